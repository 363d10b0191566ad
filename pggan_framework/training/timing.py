"""The time of a tick that is not spent in steps."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Timing:
    """Accumulates the waiting time of training by cause: ``data``, ``saving``."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}

    @contextmanager
    def of(self, what: str) -> Iterator[None]:
        """A context that adds its duration to `what`, even if an exception is raised."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self._seconds[what] = self._seconds.get(what, 0.0) + time.perf_counter() - start

    def take(self, what: str) -> float:
        """Return the seconds that training has waited for `what` since the last call."""
        return self._seconds.pop(what, 0.0)
