"""Growth by the clock: a time budget, divided among the depths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from pggan_framework.registry import register
from pggan_framework.schedules.base import Facts, Schedule
from pggan_framework.schedules.growth import by_depth
from pggan_framework.schedules.plan import WHOLE, Curve, Plan, Stage, linear_fade

MINUTES = 60.0
"""Default training time in minutes."""
LAST, LEAST = 0.6, 0.02
"""Default fractions of the time: that of the last depth, and the minimum of an earlier depth."""


@register("schedule")
class WallClockSchedule(Schedule):
    """Reaches the full size within a time budget, on any machine. Training ends when the budget is used up.

    Training time is counted over all resumes. With ``--minutes``, each session plans the remaining stages again for the
    remaining time. Since the clock decides when a depth begins, neither two runs nor a resumed and an uninterrupted run
    are bitwise equal.

    Args:
        minutes: training time in minutes; if None, the remaining time of --minutes, or 60.
        shares: relative times by depth; a value applies from its depth on. If None, the last depth gets 60 %, and each
            other depth half as much as the next depth.
        fade_share: fraction of a depth's time for its transition.
        min_steps: smallest number of steps of a depth; depths that would get fewer steps are not entered.
        lr_decay_share: fraction of the last depth's time with falling learning rates; 0 disables it.
        lr_decay_to: final factor of the learning rates.

    Raises:
        UserError: if a number is outside its limits.
    """

    earlier_values: ClassVar[Mapping[str, Any]] = {"min_steps": 0}

    def __init__(
        self,
        minutes: float | None = None,
        shares: dict[int, float] | None = None,
        fade_share: float = 0.4,
        min_steps: int = 400,
        lr_decay_share: float = 0.0,
        lr_decay_to: float = 0.1,
    ) -> None:
        self.minutes, self.shares, self.fade_share, self.min_steps = minutes, shares, fade_share, min_steps
        self.lr_decay_share, self.lr_decay_to = lr_decay_share, lr_decay_to
        self.check("shares", (shares or {}).values())
        self.check("min_steps", [min_steps])
        if minutes is not None and not minutes > 0:
            raise self.refuse("minutes", minutes, "above 0")
        for name in ("fade_share", "lr_decay_share", "lr_decay_to"):
            if not 0 <= getattr(self, name) <= 1:
                raise self.refuse(name, getattr(self, name), "0 to 1")

    def plan(self, facts: Facts) -> Plan:
        """Return stages in seconds, from the first step of a new run on."""
        own = None if self.minutes is None else self.minutes * 60
        given = [seconds for seconds in (own, facts.seconds) if seconds is not None]
        return self.lay_out(facts, [], 0.0, max(min(given, default=MINUTES * 60), 0.0))

    def lay_out(self, facts: Facts, entered: Sequence[Stage], position: float, left: float) -> Plan:
        """Return the plan for the rest of the training.

        The current depth keeps its transition, and the remaining fraction of its time. The deepest depth is the last
        depth that gets `min_steps` steps, or the current depth if no deeper one does.

        Args:
            facts: properties of data and networks.
            entered: the stages of the depths entered so far, the current one last; none before the first step.
            position: seconds trained.
            left: remaining seconds.
        """
        depth = max(len(entered) - 1, 0)
        for last in range(facts.max_depth, depth, -1):
            stages = self._stages(facts, entered, position, left, last)
            if stages[last].length > 0 and self._steps(stages[last], facts, last) >= self.min_steps:
                break
        else:
            stages = self._stages(facts, entered, position, left, depth)
        return Plan(stages, ends=True, unit="second")

    def steps_at(self, last: int, facts: Facts, entered: Sequence[Stage], position: float, left: float) -> float:
        """Return the number of steps of depth `last` if it is the deepest in `lay_out`'s plan; infinity if unknown."""
        return self._steps(self._stages(facts, entered, position, left, last)[last], facts, last)

    @staticmethod
    def _steps(stage: Stage, facts: Facts, depth: int) -> float:
        return stage.length / facts.step_seconds(depth) if facts.step_seconds else float("inf")

    def _stages(
        self, facts: Facts, entered: Sequence[Stage], position: float, left: float, last: int
    ) -> Sequence[Stage]:
        """Return the stages `entered` and those up to `last`, which end in `left` seconds."""
        shares = self._weights(facts, last)
        kept, gone = list(entered[:-1]), 0.0
        depth = len(kept)
        if entered:
            gone = max(position - sum(stage.length for stage in kept), 0.0)
            length = entered[-1].length
            shares[depth] *= max(1 - gone / length, 0.0) if length > 0 else 0.0
        shares = shares[depth:]
        if not sum(shares) > 0:  # the last depth has used its time and continues
            shares[-1] = 1.0
        lengths = [left * share / sum(shares) for share in shares]
        stages = [Stage(length, linear_fade(length * self.fade_share)) for length in lengths]
        if entered:
            stages[0] = Stage(gone + lengths[0], _shortened(entered[-1].fade, gone, gone + lengths[0]))
        final = stages[-1]
        stages[-1] = Stage(final.length, final.fade, self._decay(final.length, lengths[-1]))
        return [*kept, *stages]

    def _weights(self, facts: Facts, last: int) -> list[float]:
        """Return the fractions of the time for the depths up to `last`."""
        if self.shares is not None:
            table = self.table("shares", self.shares, facts)
            weights = [by_depth(table, 0.0, depth) for depth in range(last + 1)]
            if not sum(by_depth(table, 0.0, depth) for depth in facts.depths) > 0:
                raise self.refuse("shares", self.shares, "one above 0")
            return weights
        if last == 0:
            return [1.0]
        earlier = [(1 - LAST) * 2.0**depth / (2**last - 1) for depth in range(last)]
        return [*(max(share, LEAST) for share in earlier), LAST]

    def _decay(self, end: float, length: float) -> Curve:
        """Return the learning-rate factor of a last stage that ends at `end` and has `length` seconds left."""
        fall = self.lr_decay_share * length
        return Curve(((end - fall, 1.0), (end, self.lr_decay_to))) if fall > 0 else WHOLE


def _shortened(fade: Curve, gone: float, end: float) -> Curve:
    """Return the rest of a transition that must end at `end` of its stage; alpha at `gone` is unchanged."""
    if fade.points[-1][0] <= max(end, gone):
        return fade
    return Curve(((0.0, fade.at(0.0)), (gone, fade.at(gone)), (end, 1.0))) if gone > 0 else linear_fade(end)
