"""Time of a tick outside the steps themselves."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Timing:
    """Sums the time that training waits, by cause: ``data``, ``saving``."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}

    @contextmanager
    def of(self, what: str) -> Iterator[None]:
        """Add the time until the block ends to `what`, whether or not it raises."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self._seconds[what] = self._seconds.get(what, 0.0) + time.perf_counter() - start

    def take(self, what: str) -> float:
        """Seconds waited for `what` since the last call."""
        return self._seconds.pop(what, 0.0)
