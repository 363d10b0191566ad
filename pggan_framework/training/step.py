"""One update of D and one of G."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from pggan_framework.augmentation.base import Augmentations
from pggan_framework.losses.base import START, Loss, Progress, StepContext
from pggan_framework.networks.base import DiscriminatorBase, GeneratorBase
from pggan_framework.networks.functional import fade
from pggan_framework.training.gradients import GradientGuard

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
        labels: n -> labels [n, width], or maps [n, K, h, w], drawn as the data's are, where the networks are
            conditioned.
        augmentations: what D is shown reals and fakes through; none by default.
        guard: what is done to gradients before they are used; nothing by default.
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
        augmentations: Augmentations | None = None,
        guard: GradientGuard = GradientGuard(),  # noqa: B008  -- immutable
    ) -> None:
        self.G, self.D, self.loss = G, D, loss
        self.G_optimizer, self.D_optimizer = G_optimizer, D_optimizer
        self.latents = latents
        self.generator = generator
        self.labels = labels
        self.augmentations = augmentations or Augmentations()
        self.guard = guard
        self._last_reals: tuple[Tensor, Tensor | None] | None = None

    def discriminator_update(self, reals: Tensor, labels: Tensor | None = None, progress: Progress = START) -> Stats:
        """Update D on one batch.

        Args:
            reals: [N, C, h, w] at the current depth, in the networks' range, not faded.
            labels: [N, width], or maps [N, K, h, w], of the reals, where the networks are conditioned; the fakes are
                made for the same.
            progress: how far training has come.

        Returns:
            ``D_loss`` and what the terms log.
        """
        count = reals.shape[0]
        if self.D.fading:
            reals = fade_reals(reals, self.D.alpha, self.D.growth.factor(self.D.depth))
        reals = self.augmentations.of_reals(reals).contiguous(memory_format=torch.channels_last)
        if self.loss.needs_reals_for_G:
            self._last_reals = reals, labels
        mixing = torch.rand(count, 1, 1, 1, device=reals.device, dtype=reals.dtype, generator=self.generator)
        latents, augment = self.latents(count), self.augmentations.of_fakes
        context = StepContext("D", self.G, self.D, latents, reals, labels, mixing, progress, augment=augment)
        stats = self._minimise(context, self.D_optimizer)
        if self.augmentations.parts:
            with torch.no_grad():
                stats.update(self.augmentations.observe(context.real_verdict.scores))
        return stats

    def generator_update(self, count: int, progress: Progress = START) -> Stats:
        """Update G on `count` new latents, D held fixed.

        Where the loss compares fakes with reals in G's update too, they are the last ones D has seen, faded and
        augmented as they were, and the fakes are made for their labels.

        Returns:
            ``G_loss`` and what the terms log.

        Raises:
            RuntimeError: if reals are due and D has seen none, or not `count` of them.
        """
        latents = self.latents(count)
        if not self.loss.needs_reals_for_G:
            reals, labels = None, None if self.labels is None else self.labels(count)
        elif self._last_reals is None or len(self._last_reals[0]) != count:
            raise RuntimeError(f"the loss needs {count} reals for G: update D on as many first")
        else:
            reals, labels = self._last_reals
        context = StepContext(
            "G",
            self.G,
            self.D,
            latents,
            reals,
            labels,
            progress=progress,
            D_optimizer=self.D_optimizer,
            augment=self.augmentations.of_fakes,
        )
        with _frozen(self.D):
            return self._minimise(context, self.G_optimizer)

    def _minimise(self, context: StepContext, optimizer: Optimizer) -> Stats:
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(self.loss.total(context))
        figures, sound = self.guard(optimizer)
        if sound:
            optimizer.step()
            self.loss.after_update(context)
        else:
            context.stats.clear()
        for name, figure in figures.items():
            context.log(f"{context.side}_{name}", figure)
        return context.stats
