"""Progress and remaining time of a run: one live line on a terminal, periodic lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from pggan_framework.errors import UserError, ratio_text
from pggan_framework.loggers.base import Logger, RunInfo
from pggan_framework.loggers.terminal import PLAIN_ERRORS, duration, say
from pggan_framework.registry import register

if TYPE_CHECKING:
    from tqdm import tqdm

_WINDOW = 10
"""Number of measurements in the moving rate behind the remaining time."""
_REDRAW = 0.5
"""Seconds between two updates of the live line."""


@register("logger")
class ProgressLogger(Logger):
    """Shows progress on standard error: a live line on a terminal, plain lines in a file or pipe.

    A line shows the depth, its resolution and alpha, images per second, the remaining time of this depth and of the
    run, and the quality: the distance of the samples to the data, divided by the real-vs-real baseline. The remaining
    time is based on the recent rate, so it rises when a depth is added; with a wall-clock limit, it is the time until
    the limit.

    Args:
        seconds: seconds between two plain lines; above 0.
    """

    def __init__(self, seconds: float = 30) -> None:
        if not seconds > 0:
            raise UserError(f"ProgressLogger.seconds {seconds:g} is not allowed; allowed: above 0")
        self.seconds = seconds
        self._bar: tqdm[Any] | None = None
        self._marks: deque[tuple[float, int]] = deque(maxlen=_WINDOW)
        self._due = float("inf")
        self._nimg = self._shown = 0
        self._quality = ""

    def start(self, run: RunInfo) -> None:
        """Draw the first line, or start its timer."""
        self._run = run
        self._total = max(round(run.total_kimg * 1000), 1)
        self._nimg = self._shown = run.resumed_nimg or 0
        now = self._start = time.monotonic()
        self._marks.append((now, self._nimg))
        if run.verbosity == "quiet":
            return
        if sys.stderr is not None and sys.stderr.isatty():
            from tqdm import tqdm

            shape = "{percentage:3.0f}% {bar:12} {desc}"
            self._bar = tqdm(total=1.0, bar_format=shape, dynamic_ncols=True, file=sys.stderr)
        self._due = now + (_REDRAW if self._bar is not None else self.seconds)

    def log(self, stats: Mapping[str, float], nimg: int) -> None:
        """Store the quality if it was measured."""
        if "quality" in stats:
            self._quality = f"quality {ratio_text(stats['quality'])}x baseline"

    def progress(self, nimg: int) -> None:
        """Draw a line if the interval has passed."""
        self._nimg = nimg
        now = time.monotonic()
        if now >= self._due:
            self._draw(now)

    def finish(self, status: str) -> None:
        """Leave the live line on the screen, or write a last plain line."""
        if self._nimg != self._shown and self._due < float("inf"):
            self._draw(time.monotonic())
        self._drop_bar()

    def _draw(self, now: float) -> None:
        text, done = self._line(now), self._done(now)
        self._shown = self._nimg
        if self._bar is None:
            self._mark(now)
            self._due = now + self.seconds
            with suppress(*PLAIN_ERRORS):
                say(f"{done:4.0%}  {text}", sys.stderr)
            return
        # Rates over less than a second jump at each pause for samples.
        if now - self._marks[-1][0] >= 1:
            self._mark(now)
        self._due = now + _REDRAW
        try:
            self._bar.n = done
            self._bar.set_description_str(text, refresh=True)
        except PLAIN_ERRORS:  # the terminal was closed
            self._drop_bar()
            self._due = float("inf")

    def _mark(self, now: float) -> None:
        self._marks.append((now, self._nimg))

    def _line(self, now: float) -> str:
        """Return the text after the percentage."""
        begin, first = self._marks[0]
        rate = (self._nimg - first) / (now - begin) if now > begin else 0.0
        clock = self._run.seconds is not None
        parts = [f"{self._nimg / 1000:.2f}{'' if clock else f' of {self._total / 1000:g}'} kimg"]
        position = None if self._run.position is None else self._run.position()
        if position is not None:
            fading = f", alpha {position.alpha:.2f}" if position.alpha < 1 else ""
            parts.append(f"depth {position.depth} ({position.size}){fading}")
        if rate > 0:
            parts.append(f"{rate:.0f} img/s" if rate >= 10 else f"{rate:.2g} img/s")
        if position is not None and position.depth_left is not None:
            seconds = position.depth_left if position.by_clock else position.depth_left / rate if rate > 0 else None
            if seconds is not None and seconds > 0:
                parts.append(f"depth {duration(seconds)} left")
        if clock:
            parts.append(f"{duration(self._rest(now))} left")
        elif rate > 0 and self._nimg < self._total:
            parts.append(f"{duration((self._total - self._nimg) / rate)} left")
        return ", ".join([*parts, self._quality] if self._quality else parts)

    def _done(self, now: float) -> float:
        """Return the completed fraction of the run, or of the wall-clock limit of this session."""
        if self._run.seconds is None:
            return min(self._nimg / self._total, 1)
        return min((now - self._start) / max(self._run.seconds, 1e-9), 1)

    def _rest(self, now: float) -> float:
        """Return the seconds left until the wall-clock limit."""
        assert self._run.seconds is not None
        return max(self._start + self._run.seconds - now, 0)

    def _drop_bar(self) -> None:
        if self._bar is not None:
            with suppress(*PLAIN_ERRORS):
                self._bar.close()
            self._bar = None
