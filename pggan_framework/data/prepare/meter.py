"""Progress of a preparation, shown as a bar on a terminal and as occasional lines elsewhere."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from pggan_framework.errors import plural, ratio_text

if TYPE_CHECKING:
    from tqdm import tqdm

QUIET = 2.0
"""Seconds of work before progress is shown."""
SECONDS = 15.0
"""Seconds between plain lines."""


class Meter:
    """Shows progress on standard error, except for work that takes only a few seconds.

    Args:
        doing: verb for the activity, such as ``reading``.
        done: past tense of the verb, such as ``read``.
        total: number of items.
        thing: name of an item, such as ``recording``.
        start: number of items that were finished earlier.
    """

    def __init__(self, doing: str, done: str, total: int, thing: str, start: int = 0) -> None:
        self._doing, self._past, self._total, self._thing = doing, done, total, thing
        self._start = self._count = start
        self._begun = time.monotonic()
        self._due = self._begun + SECONDS
        self._bar: tqdm[Any] | None = None
        if sys.stderr is not None and sys.stderr.isatty():
            from tqdm import tqdm

            self._bar = tqdm(
                desc=doing, total=total, initial=start, unit=f" {thing}s", delay=QUIET, dynamic_ncols=True, leave=False
            )

    def update(self, count: int) -> None:
        """Report that `count` items are finished."""
        if self._bar is not None:
            with suppress(OSError, ValueError):  # the terminal was closed
                self._bar.update(count - self._count)
        self._count = count
        if self._bar is None and time.monotonic() >= self._due:
            self._due = time.monotonic() + SECONDS
            self._say(f"{self._doing} {count:,} of {plural(f'{self._total:,}', self._thing)}")

    def finish(self, sound: float = 0.0) -> None:
        """Remove the bar; if all items are finished, print the duration and the seconds of processed sound."""
        if self._bar is not None:
            with suppress(OSError, ValueError):
                self._bar.close()
        seconds = time.monotonic() - self._begun
        if self._count == self._total and seconds >= QUIET:
            speed = f", {ratio_text(sound / seconds)} times real time" if sound else ""
            before = f" ({self._start:,} before)" if self._start else ""
            self._say(f"{self._past} {plural(f'{self._total:,}', self._thing)}{before} in {seconds:,.0f} s{speed}")

    def _say(self, text: str) -> None:
        with suppress(AttributeError, OSError, ValueError):
            print(text, file=sys.stderr, flush=True)
