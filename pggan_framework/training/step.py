"""One update of D and one of G."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from pggan_framework.losses.base import Loss, StepContext
from pggan_framework.networks.base import DiscriminatorBase, GeneratorBase
from pggan_framework.networks.functional import fade

Stats = dict[str, Tensor]
"""Scalars cut off from the graph, on the networks' device."""


def fade_reals(reals: Tensor, alpha: Tensor, factor: tuple[int, int]) -> Tensor:
    """Blend reals [N, C, h, w] with what the depth before saw of them: lerp(up(down(x)), x, alpha).

    Args:
        reals: [N, C, h, w].
        alpha: scalar tensor, that of G and D.
        factor: how much taller and wider this depth is than the one before.
    """
    return fade(reals, alpha, factor)


@contextmanager
def _frozen(network: nn.Module) -> Iterator[None]:
    """Within it no weight of `network` takes a gradient, so that none is computed."""
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    for parameter in trained:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in trained:
            parameter.requires_grad_(True)


class TrainingStep:
    """The two updates of a training step. Neither waits for the device.

    Args:
        G: the generator.
        D: the discriminator, at the same depth and alpha.
        loss: what each minimises.
        G_optimizer: of G's parameters.
        D_optimizer: of D's parameters.
        latents: n -> latents [n, F] on the networks' device.
        generator: source of the interpolation weights; the global one by default.
        labels: n -> labels [n, width] drawn as the data's are, where the networks are conditioned.
    """

    def __init__(
        self,
        G: GeneratorBase,
        D: DiscriminatorBase,
        loss: Loss,
        G_optimizer: Optimizer,
        D_optimizer: Optimizer,
        latents: Callable[[int], Tensor],
        generator: torch.Generator | None = None,
        labels: Callable[[int], Tensor] | None = None,
    ) -> None:
        self.G, self.D, self.loss = G, D, loss
        self.G_optimizer, self.D_optimizer = G_optimizer, D_optimizer
        self.latents = latents
        self.generator = generator
        self.labels = labels

    def discriminator_update(self, reals: Tensor, labels: Tensor | None = None) -> Stats:
        """Update D on one batch.

        Args:
            reals: [N, C, h, w] at the current depth, in the networks' range, not faded.
            labels: [N, width] of the reals, where the networks are conditioned; the fakes are made for the same.

        Returns:
            ``D_loss`` and what the terms log.
        """
        count = reals.shape[0]
        if self.D.fading:
            reals = fade_reals(reals, self.D.alpha, self.D.growth.factor(self.D.depth))
        reals = reals.contiguous(memory_format=torch.channels_last)
        mixing = torch.rand(count, 1, 1, 1, device=reals.device, dtype=reals.dtype, generator=self.generator)
        context = StepContext("D", self.G, self.D, self.latents(count), reals, labels, mixing)
        return self._minimise(context, self.D_optimizer)

    def generator_update(self, count: int) -> Stats:
        """Update G on `count` new latents, D held fixed.

        Returns:
            ``G_loss`` and what the terms log.
        """
        latents = self.latents(count)
        labels = None if self.labels is None else self.labels(count)
        with _frozen(self.D):
            return self._minimise(StepContext("G", self.G, self.D, latents, labels=labels), self.G_optimizer)

    def _minimise(self, context: StepContext, optimizer: Optimizer) -> Stats:
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(self.loss.total(context))
        optimizer.step()
        return context.stats
