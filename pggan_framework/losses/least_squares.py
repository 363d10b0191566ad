"""The least squares loss."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from pggan_framework.losses.base import Loss, Term, logged_scores
from pggan_framework.losses.context import StepContext
from pggan_framework.registry import register


class LeastSquaresD(Term):
    """``mean((D(real) - 1) ** 2) + mean(D(fake) ** 2)``."""

    name = "D_least_squares"
    side = "D"
    needs = ("real_verdict", "fake_verdict")

    def __call__(self, context: StepContext) -> Tensor:
        """Compute the scalar sum of both means."""
        real, fake = logged_scores(context)
        return (real - 1).square().mean() + fake.square().mean()


class LeastSquaresG(Term):
    """``mean((D(fake) - 1) ** 2)``."""

    name = "G_least_squares"
    side = "G"
    needs = ("fake_verdict",)

    def __call__(self, context: StepContext) -> Tensor:
        """Compute the scalar mean."""
        return (context.fake_verdict.scores - 1).square().mean()


@register("loss")
class LSGAN(Loss):
    """Least squares loss (Mao et al. 2017, arXiv 1611.04076), with the targets 1 for reals and 0 for fakes."""

    @property
    def terms(self) -> Sequence[Term]:
        """D's term and G's term."""
        return LeastSquaresD(), LeastSquaresG()
