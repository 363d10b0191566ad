"""Penalties on D's scores: drift and total variation."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from pggan_framework.losses.context import StepContext
from pggan_framework.losses.penalty import Penalty
from pggan_framework.registry import register


@register("penalty")
class Drift(Penalty):
    """Keeps the scores of reals near zero (Karras et al. 2018, arXiv 1710.10196, appendix A.1).

    The penalty is ``mean(D(real) ** 2)``.

    Args:
        weight: weight of the penalty, epsilon in the paper.
    """

    name = "drift"
    side = "D"
    needs = ("real_verdict",)

    def __init__(self, weight: float = 0.001, **kwargs: Any) -> None:
        super().__init__(weight, **kwargs)

    def __call__(self, context: StepContext) -> Tensor:
        """Compute the scalar mean square."""
        return context.real_verdict.scores.square().mean()


@register("penalty")
class TV(Penalty):
    """Pulls the difference between the scores of a real and a fake to a margin (Zhang et al. 2018, arXiv 1812.00810).

    The penalty is ``mean(abs(D(real) - D(fake) - delta))``, where each real is paired with the fake of the same index.

    Args:
        weight: weight of the penalty, lambda in the paper.
        delta: margin between the scores of a real and a fake.
    """

    name = "score_tv"
    side = "D"
    needs = ("real_verdict", "fake_verdict")

    def __init__(self, weight: float = 10.0, delta: float = 5.0, **kwargs: Any) -> None:
        super().__init__(weight, **kwargs)
        self.delta = delta

    def __call__(self, context: StepContext) -> Tensor:
        """Compute the scalar mean."""
        return (context.real_verdict.scores - context.fake_verdict.scores - self.delta).abs().mean()
