"""The hinge loss."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.nn.functional import relu

from pggan_framework.losses.base import Loss, Term, logged_scores
from pggan_framework.losses.context import StepContext
from pggan_framework.registry import register


class HingeD(Term):
    """``mean(relu(1 - D(real))) + mean(relu(1 + D(fake)))``."""

    name = "D_hinge"
    side = "D"
    needs = ("real_verdict", "fake_verdict")

    def __call__(self, context: StepContext) -> Tensor:
        """Compute the scalar sum of both means."""
        real, fake = logged_scores(context)
        return relu(1 - real).mean() + relu(1 + fake).mean()


class HingeG(Term):
    """``-mean(D(fake))``."""

    name = "G_hinge"
    side = "G"
    needs = ("fake_verdict",)

    def __call__(self, context: StepContext) -> Tensor:
        """Compute the scalar negative mean."""
        return -context.fake_verdict.scores.mean()


@register("loss")
class HingeGAN(Loss):
    """Hinge loss (Lim and Ye 2017, arXiv 1705.02894): reals above 1 and fakes below -1 have no gradient in D's loss."""

    @property
    def terms(self) -> Sequence[Term]:
        """D's term and G's term."""
        return HingeD(), HingeG()
