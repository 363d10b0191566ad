"""What keeps a critic in check: the gradient penalty and the drift."""

from __future__ import annotations

import torch
from torch import Tensor

from pggan_framework.losses.base import StepContext, Term


class GradientPenalty(Term):
    """``mean((norm(grad D(x)) - target) ** 2) / target ** 2`` at interpolates (Gulrajani et al. 2017, 1704.00028).

    Args:
        weight: lambda.
        target: the norm the gradient is drawn to, above 0.
    """

    name = "gradient_penalty"
    side = "D"

    def __init__(self, weight: float, target: float) -> None:
        self.weight, self.target = weight, target

    def __call__(self, context: StepContext) -> Tensor:
        """The scalar penalty; logs the mean norm as ``gradient_norm``."""
        norms: Tensor = torch.linalg.vector_norm(context.interpolate_gradients, dim=(1, 2, 3))
        context.log("gradient_norm", norms.mean())
        return ((norms - self.target) / self.target).square().mean()


class Drift(Term):
    """``mean(D(real) ** 2)``: holds the scores near zero (Karras et al. 2018, appendix A.1).

    Args:
        weight: epsilon.
    """

    name = "drift"
    side = "D"

    def __init__(self, weight: float) -> None:
        self.weight = weight

    def __call__(self, context: StepContext) -> Tensor:
        """The scalar mean square."""
        return context.real_verdict.scores.square().mean()
