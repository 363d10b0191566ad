"""Limit OpenMP's busy waiting if other programs need the cores."""

from __future__ import annotations

import os
import time
from collections.abc import MutableMapping
from pathlib import Path

SPINS = "2000"
"""Spin count of an idle OpenMP thread before it sleeps, on a busy machine.

libgomp's default of some hundred thousand spins assumes that every thread has a core. Otherwise each parallel loop
waits for a thread that waits for a core: with one other program on 2 cores, a training step took 20 times as long as
with 2000 spins. If all cores are free, 2000 spins cost about a fifth, so the limit is set only on busy machines.
"""


def running_elsewhere(samples: int = 20, pause: float = 0.005) -> float:
    """Return the mean number of other programs running now; 0 if the system does not report it (not Linux)."""
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
    """Let torch's threads sleep early if other programs need the cores; call before torch is imported.

    Nothing is changed if GOMP_SPINCOUNT, OMP_WAIT_POLICY or OMP_NUM_THREADS is set.
    """
    if any(name in environment for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY", "OMP_NUM_THREADS")):
        return
    if running_elsewhere() > 0.5:
        environment["GOMP_SPINCOUNT"] = SPINS
