"""How long this program has been running."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path


def program_age(words: Sequence[str]) -> float:
    """Seconds since this process began, if it was started with these words; else 0, as for a call from Python.

    Args:
        words: the last words of a command line.
    """
    if not words or sys.argv[-len(words) :] != list(words):
        return 0.0
    try:
        began = float(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")
        return max(time.clock_gettime(time.CLOCK_BOOTTIME) - began, 0.0)
    except (OSError, ValueError, IndexError, AttributeError):  # not Linux: what this process has computed so far
        return time.process_time()
