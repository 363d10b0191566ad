"""How far a run is and when it will end: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from pggan_framework.errors import UserError
from pggan_framework.loggers.base import Logger, RunInfo
from pggan_framework.loggers.terminal import PLAIN_ERRORS, duration, say
from pggan_framework.registry import register

if TYPE_CHECKING:
    from tqdm import tqdm

_WINDOW = 10
"""Over how many lines the rate behind the remaining time is taken."""


@register("logger")
class ProgressLogger(Logger):
    """Shows progress on standard error: a bar with the remaining time on a terminal, plain lines in a file or pipe.

    The remaining time follows the recent rate, so it grows when a depth is added. Where a clock ends a run (a budget, a
    schedule by the clock, a time limit), the remaining time is what the clock leaves, and there is no percentage.

    Args:
        seconds: time between two plain lines, in seconds; above 0.
    """

    def __init__(self, seconds: float = 30) -> None:
        if not seconds > 0:
            raise UserError(f"ProgressLogger.seconds {seconds:g} is not allowed; allowed: above 0")
        self.seconds = seconds
        self._bar: tqdm[Any] | None = None
        self._marks: deque[tuple[float, int]] = deque(maxlen=_WINDOW)
        self._due = float("inf")
        self._nimg = 0
        self._depth = ""

    def start(self, run: RunInfo) -> None:
        """Draw the bar, or set the clock for the first line."""
        self._total = max(round(run.total_kimg * 1000), 1)
        self._seconds = run.seconds
        self._nimg = run.resumed_nimg or 0
        if sys.stderr is not None and sys.stderr.isatty():
            from tqdm import tqdm

            # unit_scale counts thousands, so images read as kimg; slow smoothing hides the pause of a sample sheet.
            self._bar = tqdm(
                total=self._total if run.seconds is None else None,
                initial=self._nimg,
                unit="img",
                unit_scale=True,
                smoothing=0.05,
                mininterval=0.5,
                dynamic_ncols=True,
                file=sys.stderr,
            )
        now = self._start = time.monotonic()
        if self._bar is None:
            self._marks.append((now, self._nimg))
            self._due = now + self.seconds

    def log(self, stats: Mapping[str, float], nimg: int) -> None:
        """Show the depth and the fade beside the bar."""
        if self._bar is not None and "depth" in stats:
            self._depth = f"depth {stats['depth']:.0f}, alpha {stats.get('alpha', 1):.2f}"
            self._bar.set_postfix_str(self._depth, refresh=False)

    def progress(self, nimg: int) -> None:
        """Move on to `nimg`."""
        if self._bar is not None:
            if self._seconds is not None:
                words = f"{duration(self._rest(time.monotonic()))} left"
                self._bar.set_postfix_str(f"{self._depth}, {words}" if self._depth else words, refresh=False)
            try:
                self._bar.update(nimg - self._nimg)
            except PLAIN_ERRORS:  # the terminal was closed
                self._drop_bar()
        elif time.monotonic() >= self._due:
            self._line(nimg)
        self._nimg = nimg

    def finish(self, status: str) -> None:
        """Leave the bar as it stands, or write a last line."""
        if self._bar is not None:
            self._drop_bar()
        elif self._marks and self._nimg != self._marks[-1][1]:
            self._line(self._nimg)

    def _line(self, nimg: int) -> None:
        now = time.monotonic()
        begin, start = self._marks[0]
        rate = (nimg - start) / (now - begin) if now > begin else 0.0
        left = f", {duration((self._total - nimg) / rate)} left" if rate > 0 and nimg < self._total else ""
        self._marks.append((now, nimg))
        self._due = now + self.seconds
        with suppress(*PLAIN_ERRORS):
            if self._seconds is not None:
                say(f"{nimg / 1000:.2f} kimg, {duration(self._rest(now))} left", sys.stderr)
                return
            share = min(nimg / self._total, 1)
            say(f"{share:4.0%}  {nimg / 1000:.2f} of {self._total / 1000:g} kimg{left}", sys.stderr)

    def _rest(self, now: float) -> float:
        """Seconds that the clock leaves."""
        assert self._seconds is not None
        return max(self._start + self._seconds - now, 0)

    def _drop_bar(self) -> None:
        if self._bar is not None:
            with suppress(*PLAIN_ERRORS):
                self._bar.close()
            self._bar = None
