"""The training step: one update of D and one update of G.

With reals x, latents z, fakes G(z), and x_i = x + t (G(z) - x) for t uniform in [0, 1], WGAN-GP with drift minimizes

    D:  E D(G(z)) - E D(x) + epsilon E D(x)^2  +  lambda E (||grad D(x_i)|| - target)^2 / target^2
    G:  - E D(G(z))

Other losses are other lists of terms (`losses`). A term declares the quantities that it needs, and the step computes
each of them once. Backward passes run in two groups, first the terms that use D's scores, then the terms that use only
gradients of the scores, so that the saved tensors of both groups are never in memory at the same time.

``benchmarks/contestants/plain.py`` is the same step in plain PyTorch, without optimizations;
``tests/training/test_step.py`` compares the gradients of both.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Protocol

import torch
from torch import Tensor
from torch.optim import Optimizer

from pggan_framework.augmentation.base import Augmentations
from pggan_framework.losses.base import Loss, weighted_sum
from pggan_framework.losses.context import START, Progress, StepContext
from pggan_framework.networks.base import DiscriminatorBase, GeneratorBase
from pggan_framework.networks.folding import Folding
from pggan_framework.networks.functional import fade
from pggan_framework.training.distributed import World
from pggan_framework.training.gradients import GradientGuard
from pggan_framework.training.portions import Directions, Division, Portion, divide

Stats = dict[str, Tensor]
"""Detached scalars on the networks' device."""


class GradientSource(Protocol):
    """Accumulates the gradients of one update, multiplied by the context's share, in the trained network's weights."""

    def __call__(self, loss: Loss, context: StepContext) -> None:
        """Compute the gradients; the logged values of the terms are stored in the context."""


def backward(loss: Loss, context: StepContext) -> None:
    """Compute the gradients of an update with eager autograd; a `GradientSource`."""
    if type(loss).total is not Loss.total:  # UnrolledD, or a custom loss
        network = context.D if context.side == "D" else context.G
        trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
        torch.autograd.backward(loss.total(context) * context.share, inputs=trained)
        return
    # Equalized learning rate: compute kernel = fold(scale * weight) once for all layers and passes of the update.
    with ExitStack() as update:  # the kernels are valid until the weights change after the update
        G = Folding(context.G, context.side == "G")
        update.callback(G.end)
        D = Folding(context.D, context.side == "D")
        update.callback(D.end)
        own, values, gradients = (D if context.side == "D" else G), [], []
        for terms in loss.groups(context):  # terms of scores, then terms of score gradients only
            value = weighted_sum(terms, context)  # computes the needed quantities; see StepContext.compute
            values.append(value.detach())
            share = torch.full_like(value, context.share)
            gradients.append(
                torch.autograd.grad(value, own.sources, share, allow_unused=True)
            )  # frees its saved tensors
            del value
        context.log(f"{context.side}_loss", sum(values[1:], values[0]))
    own.backward(gradients)


class TrainingStep:
    """The two updates of a training step, which do not synchronize with the device.

    Args:
        G: generator; its `execution` determines how it computes.
        D: discriminator, at the same depth and alpha.
        loss: loss of both networks.
        G_optimizer: optimizer of G's parameters.
        D_optimizer: optimizer of D's parameters.
        latents: function that returns n latents [n, F] on the networks' device.
        generator: random generator of the interpolation weights; by default the global generator.
        labels: function that returns n labels [n, width], or maps [n, K, h, w], with the frequencies of the data, for
            conditional networks.
        augmentations: augmentations of reals and fakes before D; none by default.
        guard: gradient processing before the optimizer step; none by default.
        world: ranks of the run. Each rank draws the random numbers of the global batch and uses its portion.
        micro_batch: largest micro-batch per rank, with gradient accumulation for larger batches; None for the whole
            batch.
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
        """The function that accumulates this rank's gradients in the weights: eager autograd, or a compiled graph."""
        self.stop_requested = False
        """True if this rank requests the end of training; the all_reduce of the gradients notifies the other ranks."""
        self._last_reals: tuple[Tensor, Tensor | None] | None = None
        self._divisions: dict[int, Division] = {}

    def discriminator_update(
        self, reals: Tensor, labels: Tensor | None = None, progress: Progress = START, total: int | None = None
    ) -> Stats:
        """Update D on one batch.

        Args:
            reals: real images [N, C, h, w] at the current depth, in the networks' range, not faded.
            labels: labels of the reals, [N, width] or maps [N, K, h, w], for conditional networks; the fakes are
                generated for the same labels.
            progress: training progress.
            total: size of the global batch, if `reals` are this rank's portion.

        Returns:
            ``D_loss`` and the logged values of the terms.
        """
        count = total or reals.shape[0]
        division = self.division(count)

        # While a block fades in, the reals are faded with the same alpha as G and D; otherwise, D could detect fakes by
        # detail that G cannot yet generate. The batch is faded here, so that data workers do not need alpha.
        if self.D.fading:
            reals = fade(reals, self.D.blend, self.D.growth.factor(self.D.depth))
        if self.augmentations.parts:
            reals = self.augmentations.of_reals(reals)
        reals = reals.contiguous(memory_format=torch.channels_last)
        if self.loss.needs_reals_for_G:
            self._last_reals = reals, labels

        # Every rank draws the random numbers of the global batch from the same seed and uses its portion, so the
        # gradients equal those of a single process.
        source = self.generator if self.world.size == 1 else self.world.generator(reals.device)
        mixing = torch.rand(count, 1, 1, 1, device=reals.device, dtype=reals.dtype, generator=source)
        latents = division.rank.of(self.latents(count))

        context = StepContext(
            "D",
            self.G,
            self.D,
            latents,
            reals,
            labels,
            division.rank.of(mixing),
            progress,
            augment=self.augmentations.of_fakes if self.augmentations.parts else None,
        )
        scores = self._compute(context, division)
        stats = self._apply(context, self.D_optimizer, division)

        # Adaptive augmentations (ADA) need D's scores of all reals of the batch.
        if scores is not None:
            with torch.no_grad():
                stats.update(self.augmentations.observe(self.world.gather(scores, division.rank.indices, count)))
        return stats

    def generator_update(self, count: int, progress: Progress = START) -> Stats:
        """Update G on `count` new latents, over all ranks, with D frozen.

        If the loss also compares fakes with reals in G's update, the reals are D's last batch, with the same fading and
        augmentation, and the fakes are generated for their labels.

        Returns:
            ``G_loss`` and the logged values of the terms.

        Raises:
            RuntimeError: if reals are needed and the last batch of D is missing or does not have `count` samples.
        """
        division = self.division(count)
        latents = division.rank.of(self.latents(count))
        reals, labels = None, None
        if self.loss.needs_reals_for_G:
            if self._last_reals is None or len(self._last_reals[0]) != len(latents):
                raise RuntimeError(f"the loss needs {count} reals for G: update D on as many first")
            reals, labels = self._last_reals
        elif self.labels is not None:
            labels = division.rank.of(self.labels(count))
        context = StepContext(
            "G",
            self.G,
            self.D,
            latents,
            reals,
            labels,
            progress=progress,
            D_optimizer=self.D_optimizer,
            augment=self.augmentations.of_fakes if self.augmentations.parts else None,
        )
        self._compute(context, division)
        return self._apply(context, self.G_optimizer, division)

    def division(self, count: int) -> Division:
        """Return the division of a batch of `count` into ranks and micro-batches, computed once per batch size."""
        if count not in self._divisions:
            device = next(self.G.parameters()).device
            self._divisions[count] = divide(count, self.world, self.D.stddev_group, self.micro_batch, device)
        return self._divisions[count]

    def _compute(self, context: StepContext, division: Division) -> Tensor | None:
        """Store this rank's gradients in the weights, and the logged values of the terms in the context.

        Returns:
            D's scores of the reals, [N], if augmentations need them.
        """
        (self.D_optimizer if context.side == "D" else self.G_optimizer).zero_grad(set_to_none=True)
        observed = context.side == "D" and bool(self.augmentations.parts)
        if len(division.micro_batches) == 1:
            self.gradients(self.loss, context)
            return context.real_verdict.scores.detach() if observed else None

        # Gradient accumulation: the gradient of a mean over the batch is the mean of the gradients of the
        # micro-batches, weighted by their fractions of the batch.
        scores = context.latents.new_zeros(len(context.latents)) if observed else None
        directions = Directions((self.G, self.D))
        for portion in division.micro_batches:
            directions.take_back()
            part = self._part(context, portion)
            self.gradients(self.loss, part)
            for name, value in part.stats.items():
                context.stats[name] = context.stats.get(name, 0) + value * portion.share
            if scores is not None:
                scores[portion.indices] = part.real_verdict.scores.detach()
        return scores

    @staticmethod
    def _part(context: StepContext, portion: Portion) -> StepContext:
        """Return the context of the same update for a micro-batch."""
        labels, mixing = context.labels, context.mixing
        return StepContext(
            context.side,
            context.G,
            context.D,
            portion.of(context.latents),
            portion.of(context.reals) if context.has("reals") else None,
            None if labels is None else portion.of(labels),
            None if mixing is None else portion.of(mixing),
            context.progress,
            D_optimizer=context.D_optimizer,
            augment=context.augment,
            share=portion.share,
        )

    def _apply(self, context: StepContext, optimizer: Optimizer, division: Division) -> Stats:
        """Take an optimizer step with the gradients in the weights."""
        if self.world.size > 1:
            # All ranks take the same step: one all_reduce sums the gradients, which are weighted by the ranks'
            # fractions of the batch. The networks need no wrapper.
            share = division.rank.share
            weights = [weight for group in optimizer.param_groups for weight in group["params"]]
            self.world.all_reduce(
                [weight.grad for weight in weights if weight.grad is not None], share, self.stop_requested
            )
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
