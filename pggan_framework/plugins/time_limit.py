"""TimeLimit: end training after a given time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pggan_framework.errors import UserError, plural
from pggan_framework.registry import register
from pggan_framework.training.clock import Clock
from pggan_framework.training.plugin import Plugin

if TYPE_CHECKING:
    from pggan_framework.training.trainer import Trainer


@register("plugin")
class TimeLimit(Plugin):
    """Ends training after some time, like Ctrl-C: the step is finished, samples and a checkpoint are written.

    Args:
        minutes: training time in minutes, per session or in total.
        over_resumes: include the time of earlier sessions; otherwise each ``--resume`` has the full time, which suits
            cluster jobs.

    Raises:
        UserError: if the number is not above 0.
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
        """Request the end when the time is up; the next step is the last."""
        if self._clock.seconds >= self.minutes * 60:
            self.trainer.stop(f"the time limit of {plural(f'{self.minutes:g}', 'minute')} is over")

    def seconds_left(self) -> float:
        """The remaining time."""
        return self.minutes * 60 - self._clock.seconds

    def state_dict(self) -> dict[str, Any]:
        """Return the seconds trained."""
        return {"seconds": self._clock.seconds}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the time, if earlier sessions count."""
        if self.over_resumes:
            self._clock = Clock(state.get("seconds", 0.0))
