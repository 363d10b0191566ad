"""The training step: one update of D, one update of G, each from top to bottom.

With reals x, latents z, fakes G(z), and x_i = x + t (G(z) - x) for t uniform in [0, 1], WGAN-GP with drift minimises

    D:  E D(G(z)) - E D(x) + epsilon E D(x)^2  +  lambda E (||grad D(x_i)|| - target)^2 / target^2
    G:  - E D(G(z))

Any other loss is another list of terms (`losses`). A term declares what it needs of all that. The step computes what
the terms in use need, each once, and differentiates: first the terms that see D's scores, then those that see gradients
of the score only, so that what the two groups keep for their backward passes is not in memory together.

The same step in ordinary PyTorch, without anything that makes it fast: ``benchmarks/contestants/plain.py``;
``tests/training/test_step.py`` holds this one's gradients against it.
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
"""Scalars cut off from the graph, on the networks' device."""


class GradientSource(Protocol):
    """Adds the gradients of one update, times the context's share, to those in the trained network's weights."""

    def __call__(self, loss: Loss, context: StepContext) -> None:
        """Compute them; what the terms log is in the context then."""


def backward(loss: Loss, context: StepContext) -> None:
    """The gradients of an update by eager autograd: a `GradientSource`."""
    if type(loss).total is not Loss.total:  # UnrolledD, or a custom loss
        network = context.D if context.side == "D" else context.G
        trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
        torch.autograd.backward(loss.total(context) * context.share, inputs=trained)
        return
    # Equalised learning rate: kernel = fold(scale * weight), once for all layers and all passes of the update.
    with ExitStack() as update:  # at its end the weights change, and these kernels do not
        G = Folding(context.G, context.side == "G")
        update.callback(G.end)
        D = Folding(context.D, context.side == "D")
        update.callback(D.end)
        own, values, gradients = (D if context.side == "D" else G), [], []
        for terms in loss.groups(context):  # those that see scores; those that see gradients of the score only
            value = weighted_sum(terms, context)  # computes what they need: see StepContext.compute
            values.append(value.detach())
            share = torch.full_like(value, context.share)
            gradients.append(torch.autograd.grad(value, own.sources, share, allow_unused=True))  # frees what it kept
            del value
        context.log(f"{context.side}_loss", sum(values[1:], values[0]))
    own.backward(gradients)


class TrainingStep:
    """The two updates of a training step. Neither waits for the device.

    Args:
        G: the generator; how it computes is its `execution`.
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
        world: the ranks that train together. What is drawn is then drawn for the whole batch on each of them, and each
            takes its portion.
        micro_batch: most samples that a rank computes at once; those of a larger batch follow each other, and their
            gradients are accumulated. None: all of them.
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
        """What leaves this rank's gradients in the weights: eager autograd, or a compiled graph."""
        self.wish = False
        """Whether this rank requests the end of training; the others are notified with the gradients."""
        self._last_reals: tuple[Tensor, Tensor | None] | None = None
        self._divisions: dict[int, Division] = {}

    def discriminator_update(
        self, reals: Tensor, labels: Tensor | None = None, progress: Progress = START, total: int | None = None
    ) -> Stats:
        """Update D on one batch.

        Args:
            reals: [N, C, h, w] at the current depth, in the networks' range, not faded.
            labels: [N, width], or maps [N, K, h, w], of the reals, where the networks are conditioned; the fakes are
                made for the same.
            progress: how far training has come.
            total: images of the batch on all ranks, where `reals` are this one's portion.

        Returns:
            ``D_loss`` and what the terms log.
        """
        count = total or reals.shape[0]
        division = self.division(count)

        # Reals. While a block fades in, they fade with it, by the same alpha as G and D: else D could tell fakes by
        # detail that G cannot make yet. It is done on the batch, so that data workers need not know alpha.
        if self.D.fading:
            reals = fade(reals, self.D.alpha, self.D.growth.factor(self.D.depth))
        if self.augmentations.parts:
            reals = self.augmentations.of_reals(reals)
        reals = reals.contiguous(memory_format=torch.channels_last)
        if self.loss.needs_reals_for_G:
            self._last_reals = reals, labels

        # What is random is drawn for the whole batch on every rank, from the same seed, and each takes its portion: the
        # gradients are then those of one process.
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

        # Augmentations that adapt (ADA) look at D's scores of all reals of the batch.
        if scores is not None:
            with torch.no_grad():
                stats.update(self.augmentations.observe(self.world.gather(scores, division.rank.indices, count)))
        return stats

    def generator_update(self, count: int, progress: Progress = START) -> Stats:
        """Update G on `count` new latents, over all ranks, D held fixed.

        Where the loss compares fakes with reals in G's update too, they are the last ones D has seen, faded and
        augmented unchanged, and the fakes are made for their labels.

        Returns:
            ``G_loss`` and what the terms log.

        Raises:
            RuntimeError: if reals are due and D has seen none, or not `count` of them.
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
        """How a batch of `count` is divided among ranks and micro-batches; computed once for each size of a batch."""
        if count not in self._divisions:
            device = next(self.G.parameters()).device
            self._divisions[count] = divide(count, self.world, self.D.stddev_group, self.micro_batch, device)
        return self._divisions[count]

    def _compute(self, context: StepContext, division: Division) -> Tensor | None:
        """Leave this rank's gradients in the weights, and what the terms log in the context.

        Returns:
            D's scores [N] of the reals, where augmentations look at them.
        """
        (self.D_optimizer if context.side == "D" else self.G_optimizer).zero_grad(set_to_none=True)
        observed = context.side == "D" and bool(self.augmentations.parts)
        if len(division.micro_batches) == 1:
            self.gradients(self.loss, context)
            return context.real_verdict.scores.detach() if observed else None

        # Gradient accumulation: the gradient of a mean over the batch is the mean of the micro-batches', each weighted
        # by its fraction of the batch.
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
        """The same update of a micro-batch."""
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
        """Take one step with the gradients in the weights."""
        if self.world.size > 1:
            # All ranks take the same step: one all_reduce of the gradients, each rank's weighted by its fraction of the
            # batch. There is no wrapper around the networks.
            share = division.rank.share
            weights = [weight for group in optimizer.param_groups for weight in group["params"]]
            self.world.all_reduce([weight.grad for weight in weights if weight.grad is not None], share, self.wish)
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
