"""Train many tiny steps and detect growth of memory, open files, threads, and CPU time per tick.

    python benchmarks/leaks.py --steps 20000 --out leaks.json

Each tick does everything that a run does: samples, a checkpoint, lines in the logs, data workers. CPU time is used
since it does not depend on other load of the machine.
"""

from __future__ import annotations

import argparse
import json
import os
import threading
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import torch

from pggan_framework import Plugin, register, run

TICK = 100
"""Steps."""
FLAGS = {
    "dataset_class": "TonesDataset",
    "TonesDataset.count": 20,
    "Generator.fmap_base": 8,
    "Generator.fmap_max": 2,
    "Generator.latent_size": 2,
    "Discriminator.fmap_base": 8,
    "Discriminator.fmap_max": 2,
    "minibatch_size": 2,
    "DepthManager.max_lod": 0,
    "DepthManager.tick_kimg_default": 2 * TICK / 1000,
    "DepthManager.tick_kimg_overrides": {},
    "DepthManager.lod_training_nimg": 10**9,
    "SaverPlugin.network_snapshot_ticks": 1,
    "OutputGenerator.output_snapshot_ticks": 1,
    "OutputGenerator.samples_count": 2,
    "ImageSaver.resolution": 16,
    "SoundSaver.griffin_lim_iter": 1,
    "QualityMonitor.every_ticks": 0,
    "HTMLReport.write": False,
    "loggers": ["JSONLLogger"],
    "compile": "never",
    "exp_name": "leaks",
}
ROWS: list[dict[str, float]] = []


@register("plugin")
class Usage(Plugin):
    """Records the resources of the process at each tick."""

    def __init__(self, minutes: float = 1e9, out: str = "") -> None:
        self.minutes, self.out = minutes, out
        self._begun, self._cpu = time.monotonic(), time.process_time()

    def on_tick(self) -> None:
        """Record a row."""
        cpu = time.process_time()
        status = Path("/proc/self/status").read_text()
        memory = int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) / 1024
        files = len(os.listdir("/proc/self/fd"))
        row = {"step": self.trainer.iteration, "MB": memory, "files": files, "threads": threading.active_count()}
        ROWS.append({**row, "cpu_s": cpu - self._cpu})
        self._cpu = cpu
        if self.out:
            Path(self.out).write_text(json.dumps(ROWS) + "\n")
        if time.monotonic() - self._begun > self.minutes * 60:
            self.trainer.stop("the minutes are over")


def main() -> None:
    """Train, and compare the second tenth of the ticks with the last."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=20000)
    parser.add_argument("--minutes", type=float, default=1e9)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--out", default="")
    given = parser.parse_args()
    torch.set_num_threads(1)
    more = {"Usage.minutes": given.minutes, "Usage.out": given.out, "num_data_workers": given.workers}
    with TemporaryDirectory() as folder:
        length = {"total_kimg": 2 * given.steps / 1000, "plugins": ["Usage"], "result_dir": folder}
        run(overrides={**FLAGS, **length, **more})
    tenth = max(1, len(ROWS) // 10)
    early, late = ROWS[tenth : 2 * tenth] or ROWS[:1], ROWS[-tenth:]
    for name in ("MB", "files", "threads", "cpu_s"):
        before, after = (median(row[name] for row in rows) for rows in (early, late))
        print(f"{name:<8} {before:>9.2f} at step {early[0]['step']:.0f}, {after:>9.2f} at step {late[-1]['step']:.0f}")


if __name__ == "__main__":
    main()
