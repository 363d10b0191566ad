"""How far a preparation is: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tqdm import tqdm

QUIET = 2.0
"""Seconds of work of which nothing is said."""
SECONDS = 15.0
"""Seconds between two plain lines."""


class Meter:
    """Shows progress on standard error; of work of a few seconds it says nothing.

    Args:
        doing: what is being done: ``reading``.
        done: the same in the past: ``read``.
        total: of how many things.
        things: what they are: ``recordings``.
        start: how many were done before.
    """

    def __init__(self, doing: str, done: str, total: int, things: str, start: int = 0) -> None:
        self._doing, self._past, self._total, self._things = doing, done, total, things
        self._start = self._count = start
        self._begun = time.monotonic()
        self._due = self._begun + SECONDS
        self._bar: tqdm[Any] | None = None
        if sys.stderr is not None and sys.stderr.isatty():
            from tqdm import tqdm

            self._bar = tqdm(
                desc=doing, total=total, initial=start, unit=f" {things}", delay=QUIET, dynamic_ncols=True, leave=False
            )

    def update(self, count: int) -> None:
        """`count` things are done."""
        if self._bar is not None:
            with suppress(OSError, ValueError):  # the terminal was closed
                self._bar.update(count - self._count)
        self._count = count
        if self._bar is None and time.monotonic() >= self._due:
            self._due = time.monotonic() + SECONDS
            self._say(f"{self._doing} {count:,} of {self._total:,} {self._things}")

    def finish(self, sound: float = 0.0) -> None:
        """Take the bar away; with all done, say how long it took, and how many seconds of sound that was for."""
        if self._bar is not None:
            with suppress(OSError, ValueError):
                self._bar.close()
        seconds = time.monotonic() - self._begun
        if self._count == self._total and seconds >= QUIET:
            speed = f", {sound / seconds:,.0f} times real time" if sound else ""
            before = f" ({self._start:,} before)" if self._start else ""
            self._say(f"{self._past} {self._total:,} {self._things}{before} in {seconds:,.0f} s{speed}")

    def _say(self, text: str) -> None:
        with suppress(AttributeError, OSError, ValueError):
            print(text, file=sys.stderr, flush=True)
