"""Limit OpenMP's busy waiting if other programs need the cores."""

from __future__ import annotations

import os
import time
from collections.abc import MutableMapping
from pathlib import Path

SPINS = "2000"
"""How often an idle OpenMP thread looks for work before it sleeps, on a busy machine.

libgomp's own choice, some hundred thousand times, assumes that every thread has a core. Where one does not, each
parallel loop waits for a thread that waits for a core: with one other program on 2 cores a training step took 20 times
as long as with 2000. With all cores free 2000 costs about a fifth, so that it is set only where it helps.
"""


def running_elsewhere(samples: int = 20, pause: float = 0.005) -> float:
    """The average number of other running programs at this moment; 0 if the system does not report it (not Linux)."""
    source = Path("/proc/loadavg")
    counts = []
    for _ in range(samples):
        try:
            counts.append(int(source.read_text().split()[3].split("/")[0]) - 1)
        except (OSError, ValueError, IndexError):
            return 0.0
        time.sleep(pause)
    return sum(counts) / samples


def share_cores(environment: MutableMapping[str, str] = os.environ) -> None:
    """Before torch is imported: let its threads sleep early if other programs need the cores too.

    Nothing is changed if GOMP_SPINCOUNT, OMP_WAIT_POLICY or OMP_NUM_THREADS is set.
    """
    if any(name in environment for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY", "OMP_NUM_THREADS")):
        return
    if running_elsewhere() > 0.5:
        environment["GOMP_SPINCOUNT"] = SPINS
