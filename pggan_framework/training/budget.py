"""The wall-clock budget of one session: the general flag ``minutes``."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import ClassVar

from pggan_framework.errors import UserError, plural
from pggan_framework.loggers.terminal import duration
from pggan_framework.training.plugin import Plugin

_EXIT = 1.5
"""Seconds from the last file to the end of the process, for loggers, worker threads and the interpreter."""
_ASSUMED = 0.02
"""Assumed fraction of the budget for each unmeasured part of the shutdown, limited to the range from 1.5 to 5 s."""
_PARTS = ("tick", "samples", "checkpoint", "report")
"""The parts of every shutdown."""
_MARGIN = 1.2
"""Safety factor for the measured shutdown time."""
_KEPT = 6
"""Number of recent measurements per part; the longest of them is used."""


class Budget:
    """The time budget of a command in seconds, including start-up and shutdown.

    Args:
        minutes: total budget in minutes.
        spent: number of seconds that have already passed when this object is created.

    Raises:
        UserError: if `minutes` is not above 0.
    """

    now: ClassVar[Callable[[], float]] = time.monotonic
    """The clock, in seconds."""

    def __init__(self, minutes: float, spent: float = 0.0) -> None:
        if not minutes > 0:
            raise UserError(f"minutes {minutes:g} is not allowed; allowed: above 0")
        self.seconds = 60 * minutes
        self._began = type(self).now() - spent
        self._costs: dict[str, deque[float]] = {}

    @classmethod
    def of(cls, minutes: float | None, spent: float = 0.0) -> Budget | None:
        """Return the budget of a run with the general flag `minutes`; None without the flag."""
        return None if minutes is None else cls(minutes, spent)

    @property
    def spent(self) -> float:
        """Seconds since the start of the program."""
        return type(self).now() - self._began

    @property
    def left(self) -> float:
        """Seconds until the budget is used up; negative after that."""
        return self.seconds - self.spent

    @property
    def reserve(self) -> float:
        """Seconds reserved for the shutdown, based on measurements: last tick, samples, checkpoint, report, exit."""
        guess = min(max(_ASSUMED * self.seconds, 1.5), 5.0)
        known = sum(max(costs) for costs in self._costs.values())
        return _EXIT + _MARGIN * known + guess * sum(name not in self._costs for name in _PARTS)

    @property
    def training_left(self) -> float:
        """Seconds left for training; negative once training should have ended."""
        return self.left - self.reserve

    def note(self, what: str, seconds: float) -> None:
        """Record the duration of a part of the shutdown.

        Args:
            what: name of the part: ``tick``, ``samples``, ``checkpoint``, ``report`` ...
            seconds: measured duration of the part.
        """
        self._costs.setdefault(what, deque(maxlen=_KEPT)).append(seconds)


class BudgetKeeper(Plugin):
    """Ends training early enough for the run to end within its budget; part of every run with a budget.

    Args:
        budget: time budget of the run.
    """

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self._before: float | None = None
        self._steps: deque[float] = deque(maxlen=9)

    def before_step(self) -> None:
        """End training after the next step if the step after it would exceed the budget."""
        now = Budget.now()
        if self._before is not None:
            self._steps.append(now - self._before)
        elif self.budget.spent > self.budget.seconds / 2:
            self._warn()
        self._before = now
        longest = self.trainer.background.longest
        for what in list(longest):
            self.budget.note(what, longest.pop(what))
        step = sorted(self._steps)[len(self._steps) // 2] if self._steps else 0.0
        if self.budget.training_left < 2 * step:
            self.trainer.finish(f"the budget of {plural(f'{self.budget.seconds / 60:g}', 'minute')} is used up")

    def _warn(self) -> None:
        """Report that start-up has used up most of the budget."""
        whole, left = duration(self.budget.seconds), duration(max(self.budget.training_left, 0))
        self.trainer.parts.logger.message(
            f"start-up and reading the data took {duration(self.budget.spent)} of the {whole} of --minutes: {left} left"
            " for training; give more minutes"
        )

    def seconds_left(self) -> float:
        """The training time within the budget."""
        return self.budget.training_left

    def on_tick(self) -> None:
        """Report the time left."""
        self.trainer.stats["sec.left"] = max(self.budget.left, 0.0)


def training_seconds(budget: Budget | None) -> float | None:
    """Return the training time within a budget in seconds; None without a budget."""
    return None if budget is None else budget.training_left
