"""TimeLimit: training for no longer than some time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pggan_framework.errors import UserError
from pggan_framework.registry import register
from pggan_framework.training.clock import Clock
from pggan_framework.training.plugin import Plugin

if TYPE_CHECKING:
    from pggan_framework.training.trainer import Trainer


@register("plugin")
class TimeLimit(Plugin):
    """Ends training after some time, as Ctrl-C would: the step is finished, samples and a checkpoint are written.

    Args:
        minutes: of training; for each start, or over all resumes.
        over_resumes: whether the time of earlier starts counts too. Else each ``--resume`` has the full time, as a job
            on a cluster has.

    Raises:
        UserError: if there are no minutes.
    """

    def __init__(self, minutes: float = 60.0, over_resumes: bool = False) -> None:
        if not minutes > 0:
            raise UserError(f"TimeLimit.minutes {minutes} is not allowed; allowed: above 0")
        self.minutes, self.over_resumes = minutes, over_resumes

    def setup(self, trainer: Trainer) -> None:
        """Start the clock."""
        super().setup(trainer)
        self._clock = Clock()

    def before_step(self) -> None:
        """Ask for the end when it is time; the step that follows is the last."""
        if self._clock.seconds >= self.minutes * 60:
            self.trainer.stop(f"{self.minutes:g} minutes are over")

    def seconds_left(self) -> float:
        """What is left of the time."""
        return self.minutes * 60 - self._clock.seconds

    def state_dict(self) -> dict[str, Any]:
        """Seconds trained."""
        return {"seconds": self._clock.seconds}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on counting, if earlier starts count."""
        if self.over_resumes:
            self._clock = Clock(state.get("seconds", 0.0))
