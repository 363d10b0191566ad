"""Seconds of training, counted on over resumes."""

from __future__ import annotations

import time


class Clock:
    """Starts when it is made.

    Args:
        before: seconds trained earlier.
    """

    def __init__(self, before: float = 0.0) -> None:
        self._before, self._start = before, time.monotonic()

    @property
    def seconds(self) -> float:
        """Earlier ones included."""
        return self._before + time.monotonic() - self._start
