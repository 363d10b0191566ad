"""The unrolled discriminator: G minimises its loss against D some steps ahead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from pggan_framework.errors import at_least
from pggan_framework.losses.base import Loss, Term
from pggan_framework.losses.context import Side, StepContext
from pggan_framework.losses.functional import FunctionalAdam
from pggan_framework.networks.base import DiscriminatorBase, GeneratorBase
from pggan_framework.networks.folding import Folding, with_tensors
from pggan_framework.registry import register


@register("penalty")
class UnrolledD(Loss):
    """Unrolls D for G's update: G's terms use D some steps ahead, with gradients through them (arXiv 1611.02163).

    The steps are those D's optimiser would take on the same batch, by all terms of D; D and the optimiser are unchanged
    (Metz et al. 2017). It costs about `steps` updates of D, each with a second differentiation.

    Args:
        loss: loss of both networks; passed by the run.
        steps: number of unrolled steps.
        first_order: treat the steps as constants in G's gradient: cheaper, but ignores G's influence on D.

    Raises:
        UserError: if `steps` is below 1.
    """

    injected: ClassVar[tuple[str, ...]] = ("loss",)

    def __init__(self, loss: Loss, steps: int = 5, first_order: bool = False) -> None:
        at_least("UnrolledD", 1, steps=steps)
        self.loss, self.steps, self.first_order = loss, steps, first_order

    @property
    def terms(self) -> Sequence[Term]:
        """Those of the loss it is about."""
        return self.loss.terms

    def __add__(self, terms: Sequence[Term]) -> Loss:
        """The same of the loss with further terms."""
        return UnrolledD(self.loss + terms, self.steps, self.first_order)

    @property
    def needs_reals_for_G(self) -> bool:
        """True: D's steps take them."""
        return True

    def check(self, G: GeneratorBase, D: DiscriminatorBase) -> None:
        """Check that every term suits these networks."""
        self.loss.check(G, D)

    def after_update(self, context: StepContext) -> None:
        """Tell the terms."""
        self.loss.after_update(context)

    def state_dict(self) -> dict[str, Any]:
        """The state of the loss it is about."""
        return self.loss.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave."""
        self.loss.load_state_dict(state)

    def total(self, context: StepContext) -> Tensor:
        """The loss's own for D; for G that against the D of the future, whose loss is logged as ``unrolled_D_loss``.

        Raises:
            RuntimeError: if G's update is given no reals or not D's optimiser.
        """
        if context.side == "D":
            return self.loss.total(context)
        ahead = self._context("G", context, self._future(context), context.fakes)
        total = self.loss.total(ahead)
        context.stats.update(ahead.stats)
        return total

    def _future(self, context: StepContext) -> DiscriminatorBase:
        """D after its next steps; logs its loss at the last of them."""
        D = context.D
        if context.D_optimizer is None:
            raise RuntimeError("looking ahead needs D's optimiser")
        adam = FunctionalAdam(context.D_optimizer, dict(D.named_parameters()))
        fakes = context.fakes.detach() if self.first_order else context.fakes
        weights: dict[str, Tensor] = {name: p.detach().requires_grad_() for name, p in D.named_parameters()}
        # Changed by passes that change buffers; D's own are not.
        buffers = {name: buffer.clone() for name, buffer in D.named_buffers()}
        for _ in range(self.steps):
            total = self.loss.total(self._context("D", context, with_tensors(D, {**weights, **buffers}), fakes))
            gradients = torch.autograd.grad(
                total, list(weights.values()), create_graph=not self.first_order, allow_unused=True
            )
            weights = adam.step(weights, gradients)
            if self.first_order:
                weights = {name: weight.detach().requires_grad_() for name, weight in weights.items()}
        context.log("unrolled_D_loss", total)
        return with_tensors(D, {**weights, **buffers})

    @staticmethod
    def _context(side: Side, context: StepContext, D: DiscriminatorBase, fakes: Tensor) -> StepContext:
        """An update with another D. Its kernels are folded once; the gradient flows on through them to its weights."""
        Folding(D)
        return StepContext(
            side,
            context.G,
            D,
            context.latents,
            context.reals,
            context.labels,
            progress=context.progress,
            fakes=fakes,
            D_optimizer=context.D_optimizer,
        )
