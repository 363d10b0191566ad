"""Training time in seconds, accumulated over resumes."""

from __future__ import annotations

import time
from collections.abc import Callable


class Clock:
    """A clock that starts when it is created.

    Args:
        before: training time of earlier sessions in seconds.
        now: function that returns the current time in seconds; by default the monotonic clock.
    """

    def __init__(self, before: float = 0.0, now: Callable[[], float] = time.monotonic) -> None:
        self._before, self._now, self._start = before, now, now()

    @property
    def seconds(self) -> float:
        """Return the training time in seconds, including earlier sessions."""
        return self._before + self._now() - self._start
