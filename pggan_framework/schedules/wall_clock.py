"""Growth by the clock: a budget of time, shared out among the depths."""

from __future__ import annotations

from pggan_framework.growth import by_depth
from pggan_framework.registry import register
from pggan_framework.schedules.base import Facts, Schedule
from pggan_framework.schedules.plan import Plan, Stage, linear_fade


@register("schedule")
class WallClockSchedule(Schedule):
    """Reaches the full size within a budget of time, whatever the machine. Training ends when it is used up.

    The time counted is that of training, over all resumes. Since the clock decides when a depth begins, two runs are
    not equal bit for bit, and neither is a resumed one.

    Args:
        minutes: for all of the training.
        shares: of the time, by depth; in proportion to their sum, and a share holds from its depth on.
        fade_share: of a depth's time that its fade takes.

    Raises:
        UserError: if a number is outside its limits.
    """

    def __init__(
        self,
        minutes: float = 60.0,
        shares: dict[int, float] = {0: 1.0},  # noqa: B006  -- never changed
        fade_share: float = 0.5,
    ) -> None:
        self.minutes, self.shares, self.fade_share = minutes, shares, fade_share
        self.check("shares", shares.values())
        if not minutes > 0:
            raise self.refuse("minutes", minutes, "above 0")
        if not 0 <= fade_share <= 1:
            raise self.refuse("fade_share", fade_share, "0 to 1")

    def plan(self, facts: Facts) -> Plan:
        """Stages in seconds."""
        table = self.table("shares", self.shares, facts)
        shares = [by_depth(table, 0.0, depth) for depth in facts.depths]
        if not sum(shares) > 0:
            raise self.refuse("shares", self.shares, "one above 0")
        seconds = [self.minutes * 60 * share / sum(shares) for share in shares]
        stages = [Stage(length, linear_fade(length * self.fade_share)) for length in seconds]
        return Plan(stages, ends=True, unit="second")
