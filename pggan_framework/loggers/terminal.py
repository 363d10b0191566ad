"""Terminal lines that coexist with a progress bar, and durations as text."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from typing import TextIO

PLAIN_ERRORS = (OSError, ValueError)
"""Exceptions raised by writing to a closed stream: a broken pipe, a closed file."""


def say(text: str, stream: TextIO | None = None) -> None:
    """Print lines above an active progress bar.

    Args:
        text: one or several lines, without the last newline.
        stream: the destination (default: standard output).

    Raises:
        OSError, ValueError: if the stream is closed.
    """
    from tqdm import tqdm

    stream = sys.stdout if stream is None else stream
    if stream is None:  # a process without a console has no streams
        return
    encoding = getattr(stream, "encoding", None) or "utf-8"
    # The C locale cannot encode every file name; a question mark is better than a stopped run.
    tqdm.write(text.encode(encoding, "replace").decode(encoding), file=stream)
    stream.flush()


def warn(text: str) -> None:
    """Print a warning to standard error; a closed terminal is not an error."""
    with suppress(*PLAIN_ERRORS):
        say(f"warning: {text}", sys.stderr)


def error(text: str) -> None:
    """Print the final error line of a command; a closed terminal is not a further error."""
    with suppress(*PLAIN_ERRORS):
        print(f"error: {text}", file=sys.stderr, flush=True)


def print_lines(lines: Iterable[str], stream: TextIO | None = None) -> None:
    """Print lines to standard output or another stream; a closed stream does not affect the command."""
    try:
        for line in lines:
            print(line, file=stream, flush=True)
    except PLAIN_ERRORS:
        abandon_stdout()


def abandon_stdout() -> None:
    """Discard buffered text of a closed standard output, so that the run's exit status is kept.

    Otherwise the interpreter flushes it at exit, fails, and ends with status 120.
    """
    with suppress(AttributeError, *PLAIN_ERRORS):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def duration(seconds: float) -> str:
    """Format a duration: ``7s``, ``3m 05s``, ``1h 02m 03s``, ``2d 03h 04m``."""
    whole = int(max(seconds, 0) + 0.5)
    minutes, second = divmod(whole, 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    if days:
        return f"{days}d {hour:02d}h {minute:02d}m"
    if hours:
        return f"{hours}h {minute:02d}m {second:02d}s"
    return f"{minute}m {second:02d}s" if minute else f"{second}s"
