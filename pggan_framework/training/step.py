"""One update of D and one of G."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from pggan_framework.augmentation.base import Augmentations
from pggan_framework.losses.base import Loss
from pggan_framework.losses.context import START, Progress, StepContext
from pggan_framework.networks.base import DiscriminatorBase, GeneratorBase
from pggan_framework.networks.functional import fade
from pggan_framework.training.backward import GradientSource, backward
from pggan_framework.training.chunks import Directions, chunks
from pggan_framework.training.distributed import World
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
        world: the processes that train together. What is drawn is then drawn for the whole batch in each of them, and
            each takes its part.
        micro_batch: most samples that a process computes at once; those of a larger batch follow each other, and their
            gradients add up. None: all of them.
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
        world: World | None = None,
        micro_batch: int | None = None,
    ) -> None:
        self.G, self.D, self.loss = G, D, loss
        self.G_optimizer, self.D_optimizer = G_optimizer, D_optimizer
        self.latents = latents
        self.generator = generator
        self.labels = labels
        self.augmentations = augmentations or Augmentations()
        self.guard = guard
        self.world = world or World()
        self.micro_batch = micro_batch
        self.gradients: GradientSource = backward
        """What leaves this process's gradients in the weights: operation by operation, or a compiled graph."""
        self.precision = torch.float32
        """What the networks compute in."""
        self.wish = False
        """Whether this process wants training to end; the others hear of it with the gradients."""
        self._last_reals: tuple[Tensor, Tensor | None] | None = None

    def share(self, count: int) -> float:
        """The share of a batch of `count` that this process computes."""
        return len(self.world.part(count, self.D.stddev_group)) / count if self.world.size > 1 else 1.0

    def _part(self, whole: Tensor) -> Tensor:
        """This process's part of what was drawn for a whole batch [N, ...]."""
        if self.world.size == 1:
            return whole
        return whole[torch.from_numpy(self.world.part(len(whole), self.D.stddev_group)).to(whole.device)]

    def discriminator_update(
        self, reals: Tensor, labels: Tensor | None = None, progress: Progress = START, total: int | None = None
    ) -> Stats:
        """Update D on one batch.

        Args:
            reals: [N, C, h, w] at the current depth, in the networks' range, not faded.
            labels: [N, width], or maps [N, K, h, w], of the reals, where the networks are conditioned; the fakes are
                made for the same.
            progress: how far training has come.
            total: pictures of the batch in all processes, where `reals` are this one's part.

        Returns:
            ``D_loss`` and what the terms log.
        """
        count = total or reals.shape[0]
        if self.D.fading:
            reals = fade_reals(reals, self.D.alpha, self.D.growth.factor(self.D.depth))
        reals = self.augmentations.of_reals(reals).contiguous(memory_format=torch.channels_last)
        if self.loss.needs_reals_for_G:
            self._last_reals = reals, labels
        source = self.generator or self.world.generator(reals.device)
        mixing = torch.rand(count, 1, 1, 1, device=reals.device, dtype=reals.dtype, generator=source)
        latents, augment = self._part(self.latents(count)), self.augmentations.of_fakes
        context = StepContext(
            "D",
            self.G,
            self.D,
            latents,
            reals,
            labels,
            self._part(mixing),
            progress,
            augment=augment,
            precision=self.precision,
        )
        stats = self._minimise(context, self.D_optimizer, count)
        if self.augmentations.parts:
            with torch.no_grad():
                scores = self.world.whole(context.real_scores, count, self.D.stddev_group)
                stats.update(self.augmentations.observe(scores))
        return stats

    def generator_update(self, count: int, progress: Progress = START) -> Stats:
        """Update G on `count` new latents, over all processes, D held fixed.

        Where the loss compares fakes with reals in G's update too, they are the last ones D has seen, faded and
        augmented as they were, and the fakes are made for their labels.

        Returns:
            ``G_loss`` and what the terms log.

        Raises:
            RuntimeError: if reals are due and D has seen none, or not `count` of them.
        """
        latents = self._part(self.latents(count))
        if not self.loss.needs_reals_for_G:
            reals, labels = None, None if self.labels is None else self._part(self.labels(count))
        elif self._last_reals is None or len(self._last_reals[0]) != len(latents):
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
            precision=self.precision,
        )
        with _frozen(self.D):
            return self._minimise(context, self.G_optimizer, count)

    def _compute(self, context: StepContext) -> None:
        """Leave this process's gradients in the weights, and the figures in the context."""
        parts = chunks(len(context.latents), self.micro_batch, self.D.stddev_group)
        if len(parts) == 1:
            self.gradients(self.loss, context)
            return
        directions, scores = Directions((self.G, self.D)), []
        for samples in parts:
            directions.take_back()
            part = context.part(samples)
            self.gradients(self.loss, part)
            for name, value in part.stats.items():
                share = value * part.share
                context.stats[name] = context.stats[name] + share if name in context.stats else share
            if context.side == "D" and self.augmentations.parts:
                scores.append(part.real_scores)
        if scores:
            order = torch.tensor([sample for samples in parts for sample in samples]).argsort()
            context.real_scores = torch.cat(scores)[order.to(context.latents.device)]

    def _minimise(self, context: StepContext, optimizer: Optimizer, count: int) -> Stats:
        optimizer.zero_grad(set_to_none=True)
        self._compute(context)
        if self.world.size > 1:
            share = self.share(count)
            weights = [weight for group in optimizer.param_groups for weight in group["params"]]
            self.world.add_up([weight.grad for weight in weights if weight.grad is not None], share, self.wish)
            context.average = partial(self.world.mean, share=share)
        figures, sound = self.guard(optimizer)
        if sound:
            optimizer.step()
            self.loss.after_update(context)
        else:
            context.stats.clear()
        for name, figure in figures.items():
            context.log(f"{context.side}_{name}", figure)
        return context.stats
