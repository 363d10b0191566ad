"""The logistic loss.

``softplus(x)`` is ``-logsigmoid(-x)``, which PyTorch computes exactly; its softplus is cut off at 20.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.nn.functional import logsigmoid

from pggan_framework.losses.base import Loss, Term, logged_scores
from pggan_framework.losses.context import StepContext
from pggan_framework.registry import register


class LogisticD(Term):
    """``mean(softplus(-D(real))) + mean(softplus(D(fake)))``."""

    name = "D_logistic"
    side = "D"
    needs = ("real_verdict", "fake_verdict")

    def __call__(self, context: StepContext) -> Tensor:
        """Compute the scalar sum of both means."""
        real, fake = logged_scores(context)
        return -(logsigmoid(real).mean() + logsigmoid(-fake).mean())


class LogisticG(Term):
    """``mean(softplus(-D(fake)))``."""

    name = "G_logistic"
    side = "G"
    needs = ("fake_verdict",)

    def __call__(self, context: StepContext) -> Tensor:
        """Compute the scalar mean."""
        return -logsigmoid(context.fake_verdict.scores).mean()


@register("loss")
class LogisticGAN(Loss):
    """Logistic loss as in Mescheder et al. 2018 (arXiv 1801.04406): StandardGAN without label tricks."""

    @property
    def terms(self) -> Sequence[Term]:
        """D's term and G's term."""
        return LogisticD(), LogisticG()
