"""The running time of this program."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path


def program_age(words: Sequence[str]) -> float:
    """Return the age of this process in seconds; 0 if its command line does not end with `words` (a call from Python).

    Args:
        words: last arguments of a command line.
    """
    if not words or sys.argv[-len(words) :] != list(words):
        return 0.0
    try:
        began = float(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")
        return max(time.clock_gettime(time.CLOCK_BOOTTIME) - began, 0.0)
    except (OSError, ValueError, IndexError, AttributeError):  # not Linux: fall back to the CPU time of this process
        return time.process_time()
