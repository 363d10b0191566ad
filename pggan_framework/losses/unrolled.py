"""The unrolled discriminator: G minimizes its loss against D after several further updates."""

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
    """Unrolls D for G's update: G's terms use D after further updates, with gradients through them (arXiv 1611.02163).

    The updates are those of D's optimizer on the same batch with all terms of D; D and its optimizer are not changed
    (Metz et al. 2017). The cost is about `steps` updates of D, each differentiated a second time.

    Args:
        loss: wrapped loss of both networks; passed by the run.
        steps: number of unrolled steps.
        first_order: treat the steps as constants in G's gradient; this is cheaper, but ignores G's influence on D.

    Raises:
        UserError: if `steps` is below 1.
    """

    injected: ClassVar[tuple[str, ...]] = ("loss",)

    def __init__(self, loss: Loss, steps: int = 5, first_order: bool = False) -> None:
        at_least("UnrolledD", 1, steps=steps)
        self.loss, self.steps, self.first_order = loss, steps, first_order

    @property
    def terms(self) -> Sequence[Term]:
        """The terms of the wrapped loss."""
        return self.loss.terms

    def __add__(self, terms: Sequence[Term]) -> Loss:
        """Return the unrolled version of the loss with additional terms."""
        return UnrolledD(self.loss + terms, self.steps, self.first_order)

    @property
    def needs_reals_for_G(self) -> bool:
        """True, since D's updates need reals."""
        return True

    def check(self, G: GeneratorBase, D: DiscriminatorBase) -> None:
        """Check that every term supports these networks."""
        self.loss.check(G, D)

    def after_update(self, context: StepContext) -> None:
        """Notify the terms of the network that was just updated."""
        self.loss.after_update(context)

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the wrapped loss."""
        return self.loss.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the state of `state_dict`."""
        self.loss.load_state_dict(state)

    def total(self, context: StepContext) -> Tensor:
        """Compute D's loss, or G's loss against the unrolled D, whose loss is logged as ``unrolled_D_loss``.

        Raises:
            RuntimeError: if G's update is not given reals or D's optimizer.
        """
        if context.side == "D":
            return self.loss.total(context)
        ahead = self._context("G", context, self._future(context), context.fakes)
        total = self.loss.total(ahead)
        context.stats.update(ahead.stats)
        return total

    def _future(self, context: StepContext) -> DiscriminatorBase:
        """Return D after its next updates; log its loss at the last one."""
        D = context.D
        if context.D_optimizer is None:
            raise RuntimeError("looking ahead needs D's optimizer")
        adam = FunctionalAdam(context.D_optimizer, dict(D.named_parameters()))
        fakes = context.fakes.detach() if self.first_order else context.fakes
        weights: dict[str, Tensor] = {name: p.detach().requires_grad_() for name, p in D.named_parameters()}
        # Copies, so that passes that update buffers do not affect D's own.
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
        """Create an update with another D, whose kernels are folded once and pass gradients to its weights."""
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
