"""Growth counted in epochs: each depth has cycles with a learning rate and a number of epochs."""

from __future__ import annotations

from pggan_framework.registry import register
from pggan_framework.schedules.base import Facts, Schedule
from pggan_framework.schedules.growth import by_depth
from pggan_framework.schedules.plan import Curve, Plan, Stage, linear_fade


@register("schedule")
class StageSchedule(Schedule):
    """A number of cycles per depth, each with its own learning rate. Training ends after the last depth.

    An epoch is one pass over the data. A new block has full weight immediately, unless `fade_epochs` is set. A value in
    a table applies from its depth on.

    Args:
        cycles: [factor, epochs] pairs by depth, such as {0: [[1, 10]], 2: [[1, 10], [0.1, 5]]}; the factor scales
            G_lr_max and D_lr_max.
        fade_epochs: number of epochs of a new block's transition, which are part of its cycles.
        freeze: train only the newest block and its image layer; freeze blocks of earlier depths except the
            discriminator's output block.

    Raises:
        UserError: if a number is outside its limits.
    """

    def __init__(
        self,
        cycles: dict[int, list[tuple[float, float]]] = {0: [(1.0, 10.0)]},  # noqa: B006  -- never changed
        fade_epochs: float = 0.0,
        freeze: bool = False,
    ) -> None:
        self.cycles, self.fade_epochs, self.freeze = cycles, fade_epochs, freeze
        self.check("fade_epochs", [fade_epochs])
        for pairs in cycles.values():
            if not pairs or any(factor < 0 or epochs <= 0 for factor, epochs in pairs):
                raise self.refuse("cycles", pairs, "[factor, epochs] pairs, a factor of 0 and above, epochs above 0")

    def plan(self, facts: Facts) -> Plan:
        """Return stages in images."""
        cycles = self.table("cycles", self.cycles, facts)
        stages = []
        for depth in facts.depths:
            points, gone = [], 0.0
            for factor, epochs in by_depth(cycles, [], depth):
                points.append((gone, factor))
                gone += epochs * facts.pictures
            fade = self.fade_epochs * facts.pictures if depth > 0 else 0.0
            if fade > gone:
                raise self.refuse(
                    "fade_epochs", f"{self.fade_epochs:g} and {gone / facts.pictures:g} epochs at depth {depth}", "less"
                )
            stages.append(Stage(gone, linear_fade(fade), Curve(tuple(points), steps=True)))
        return Plan(stages, ends=True, freeze=self.freeze)
