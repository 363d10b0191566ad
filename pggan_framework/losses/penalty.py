"""The base class of penalties: a weight schedule, and a lazy interval."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import ClassVar

import numpy as np

from pggan_framework.errors import UserError, at_least
from pggan_framework.losses.base import Term
from pggan_framework.losses.context import StepContext


class Penalty(Term):
    """A term selected by ``--penalties``. A subclass is registered with ``@register("penalty")``.

    Args:
        weight: factor of the penalty.
        interval: compute the penalty only in every n-th update of its network, with n times the weight (lazy
            regularization, Karras et al. 2020, arXiv 1912.04958): equal on average at a lower cost.
        schedule: factors of the weight by thousand real images shown, such as {0: 1, 100: 0.1}, interpolated linearly,
            and constant before the first and after the last.
        depth_weights: weights by depth that replace `weight`, such as {3: 5}.

    Raises:
        UserError: if a weight, factor or interval is outside its limits.
    """

    schedulable: ClassVar[tuple[str, ...]] = ("weight", "interval")

    def __init__(
        self,
        weight: float = 1.0,
        interval: int = 1,
        schedule: dict[float, float] | None = None,
        depth_weights: dict[int, float] | None = None,
    ) -> None:
        self.weight, self.interval = weight, interval
        self.schedule, self.depth_weights = schedule or {}, depth_weights or {}
        for name, values in (
            ("weight", [weight]),
            ("schedule", [*self.schedule, *self.schedule.values()]),
            ("depth_weights", [*self.depth_weights, *self.depth_weights.values()]),
        ):
            self.require(name, all(isfinite(value) and value >= 0 for value in values), "0 and above")

    @property
    def interval(self) -> int:
        """Number of its network's updates from one computation of the penalty to the next.

        Raises:
            UserError: if it is set below 1.
        """
        return self._interval

    @interval.setter
    def interval(self, value: int) -> None:
        at_least(type(self).__name__, 1, interval=value)
        self._interval = value

    def require(self, name: str, holds: bool, allowed: str) -> None:
        """Raise UserError for the parameter `name` unless the allowed condition `holds`.

        Raises:
            UserError: if the condition does not hold.
        """
        if not holds:
            raise UserError(f"{type(self).__name__}.{name} {getattr(self, name)} is not allowed; allowed: {allowed}")

    @property
    def terms(self) -> Sequence[Term]:
        """The terms to add to the loss: the penalty itself."""
        return (self,)

    def weight_in(self, context: StepContext) -> float:
        """Return the weight at the current depth and time, multiplied by the interval; 0 in the updates in between."""
        if context.progress.updates % self._interval:
            return 0.0
        depths = [depth for depth in self.depth_weights if depth <= context.D.depth]
        weight = self.depth_weights[max(depths)] if depths else self.weight
        if self.schedule:
            kimgs, factors = zip(*sorted(self.schedule.items()), strict=True)
            weight *= float(np.interp(context.progress.nimg / 1000, kimgs, factors))
        return weight * self._interval
