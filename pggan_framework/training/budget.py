"""The wall-clock budget of one session: the general flag ``minutes``."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import ClassVar

from pggan_framework.errors import UserError
from pggan_framework.training.plugin import Plugin

_EXIT = 1.5
"""Seconds from the last file until the process is gone: loggers, worker threads, the interpreter."""
_ASSUMED = 0.02
"""Fraction of the budget that each part of the ending takes, where it was not measured yet; 1.5 to 5 s."""
_PARTS = ("tick", "samples", "checkpoint", "report")
"""What every ending consists of."""
_MARGIN = 1.2
"""How much longer ending may take than measured."""
_KEPT = 6
"""Measurements of each kind that count; the longest of them does."""


class Budget:
    """Seconds that a session may take, start-up and ending included.

    Args:
        minutes: all of it.
        spent: seconds of it that were gone when this object was made.

    Raises:
        UserError: if there are no minutes.
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
        """The budget of a run with the general flag `minutes`; None without."""
        return None if minutes is None else cls(minutes, spent)

    @property
    def spent(self) -> float:
        """Seconds since the start of the program."""
        return type(self).now() - self._began

    @property
    def left(self) -> float:
        """Seconds until the budget is used up; below 0 after that."""
        return self.seconds - self.spent

    @property
    def reserve(self) -> float:
        """Measured seconds that ending takes: the last tick, samples, checkpoint, report, exit."""
        guess = min(max(_ASSUMED * self.seconds, 1.5), 5.0)
        known = sum(max(costs) for costs in self._costs.values())
        return _EXIT + _MARGIN * known + guess * sum(name not in self._costs for name in _PARTS)

    @property
    def training_left(self) -> float:
        """Seconds left for training; below 0 when it must have ended."""
        return self.left - self.reserve

    def note(self, what: str, seconds: float) -> None:
        """Record how long a part of the ending takes.

        Args:
            what: ``tick``, ``samples``, ``checkpoint``, ``report`` ...
            seconds: how long it has taken now.
        """
        self._costs.setdefault(what, deque(maxlen=_KEPT)).append(seconds)


class BudgetKeeper(Plugin):
    """Ends training in time for the run to end within its budget; every run with a budget has it.

    Args:
        budget: the run's.
    """

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self._before: float | None = None
        self._steps: deque[float] = deque(maxlen=9)

    def before_step(self) -> None:
        """End training if a further step after the coming one would be too long."""
        now = Budget.now()
        if self._before is not None:
            self._steps.append(now - self._before)
        self._before = now
        longest = self.trainer.background.longest
        for what in list(longest):
            self.budget.note(what, longest.pop(what))
        step = sorted(self._steps)[len(self._steps) // 2] if self._steps else 0.0
        if self.budget.training_left < 2 * step:
            self.trainer.finish(f"the budget of {self.budget.seconds / 60:g} minutes is used up")

    def seconds_left(self) -> float:
        """What the budget leaves for training."""
        return self.budget.training_left

    def on_tick(self) -> None:
        """Report the time left."""
        self.trainer.stats["sec.left"] = max(self.budget.left, 0.0)


def training_seconds(budget: Budget | None) -> float | None:
    """What a budget leaves for training; None where there is no budget."""
    return None if budget is None else budget.training_left
