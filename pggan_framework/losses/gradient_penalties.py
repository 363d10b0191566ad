"""Gradient penalties: penalties on the gradient of D's score."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pggan_framework.losses.context import StepContext
from pggan_framework.losses.penalty import Penalty
from pggan_framework.registry import register


def _mean_square(gradients: Tensor) -> Tensor:
    """Compute the mean over the batch of the squared norm of [N, C, h, w]."""
    return gradients.square().sum((1, 2, 3)).mean()


@register("penalty")
class GradientPenalty(Penalty):
    """Pulls the norm of D's gradient between reals and fakes to a target (arXiv 1704.00028, eq. 3).

    The penalty is ``mean((norm(grad D(x)) - target) ** 2) / target ** 2`` at interpolates x.

    Args:
        weight: weight of the penalty, lambda in the paper.
        target: target gradient norm, above 0.
        one_sided: ignore gradient norms below the target.
    """

    name = "gradient_penalty"
    side = "D"
    needs = ("interpolate_gradients",)

    def __init__(self, weight: float = 10.0, target: float = 1.0, one_sided: bool = False, **kwargs: Any) -> None:
        super().__init__(weight, **kwargs)
        self.target, self.one_sided = target, one_sided
        self.require("target", target > 0, "above 0; a target of 0 is ZeroGP")

    def __call__(self, context: StepContext) -> Tensor:
        """Compute the scalar penalty; log the mean norm as ``gradient_norm``."""
        norms: Tensor = torch.linalg.vector_norm(context.interpolate_gradients, dim=(1, 2, 3))
        context.log("gradient_norm", norms.mean())
        beyond = (norms - self.target) / self.target
        return (beyond.relu() if self.one_sided else beyond).square().mean()


@register("penalty")
class ZeroGP(Penalty):
    """Pulls D's gradient between reals and fakes to zero (Thanh-Tung et al. 2019, arXiv 1902.03984).

    The penalty is ``mean(norm(grad D(x)) ** 2)`` at interpolates x.

    Args:
        weight: weight of the penalty, lambda in the paper.
    """

    name = "zero_gp"
    side = "D"
    needs = ("interpolate_gradients",)

    def __init__(self, weight: float = 10.0, **kwargs: Any) -> None:
        super().__init__(weight, **kwargs)

    def __call__(self, context: StepContext) -> Tensor:
        """Compute the scalar mean."""
        return _mean_square(context.interpolate_gradients)


@register("penalty")
class R1(Penalty):
    """Pulls D's gradient at reals to zero (Mescheder et al. 2018, arXiv 1801.04406, eq. 9).

    The penalty is ``mean(norm(grad D(real)) ** 2) / 2``.

    Args:
        weight: weight of the penalty, gamma in the paper.
    """

    name = "r1"
    side = "D"
    needs = ("real_gradients",)

    def __init__(self, weight: float = 10.0, **kwargs: Any) -> None:
        super().__init__(weight, **kwargs)

    def __call__(self, context: StepContext) -> Tensor:
        """Compute half the mean."""
        return _mean_square(context.real_gradients) / 2


@register("penalty")
class R2(Penalty):
    """Pulls D's gradient at fakes to zero (Mescheder et al. 2018, arXiv 1801.04406, eq. 10).

    The penalty is ``mean(norm(grad D(fake)) ** 2) / 2``.

    Args:
        weight: weight of the penalty, gamma in the paper.
    """

    name = "r2"
    side = "D"
    needs = ("fake_gradients",)

    def __init__(self, weight: float = 10.0, **kwargs: Any) -> None:
        super().__init__(weight, **kwargs)

    def __call__(self, context: StepContext) -> Tensor:
        """Compute half the mean."""
        return _mean_square(context.fake_gradients) / 2
