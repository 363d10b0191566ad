"""Seconds of training, counted over resumes."""

from __future__ import annotations

import time
from collections.abc import Callable


class Clock:
    """Starts when it is made.

    Args:
        before: seconds trained earlier.
        now: gives the seconds; by default those that pass.
    """

    def __init__(self, before: float = 0.0, now: Callable[[], float] = time.monotonic) -> None:
        self._before, self._now, self._start = before, now, now()

    @property
    def seconds(self) -> float:
        """Seconds, including earlier sessions."""
        return self._before + self._now() - self._start
