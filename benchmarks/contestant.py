"""The contestants of ``benchmarks/step.py``: a step from a file, or the step of another checkout of this project."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import Tensor

from pggan_framework.cpu.allocation import keep_freed_memory

WORKER = """
import json, sys, time
sys.path.insert(0, sys.argv[1])
import torch
torch.set_num_threads(int(sys.argv[3]))
from benchmarks.contestants.ours import make
setting = json.loads(sys.argv[2])
step = make(*setting)
real = torch.rand(setting[4], 3, setting[0], setting[0]) * 2 - 1
for line in sys.stdin:
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(int(line)):
        step(real)
    print(json.dumps([time.perf_counter() - wall, time.process_time() - cpu]), flush=True)
"""


class Checkout:
    """The eager step of another checkout, in a second process, since a process can import only one version.

    Args:
        folder: root of the checkout.
        setting: resolution, fmap_base, fmap_max, latent, batch, alpha.
        threads: number of threads of its process.

    Raises:
        SystemExit: if the folder is not a checkout, or its step fails; the message contains the last line of the error.
    """

    def __init__(self, folder: Path, setting: tuple[Any, ...], threads: int) -> None:
        if not (folder / "benchmarks" / "contestants" / "ours.py").is_file():
            raise SystemExit(f"{folder} has no benchmarks/contestants/ours.py; allowed: a checkout, or a Python file")
        command = [sys.executable, "-c", WORKER, str(folder.resolve()), json.dumps(setting), str(threads)]
        environment = {**os.environ, "PYTHONPATH": str(folder.resolve()), "OMP_NUM_THREADS": str(threads)}
        self.folder = folder
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
        )

    def turn(self, count: int) -> tuple[float, float]:
        """Run this number of steps; return their wall-clock seconds and processor seconds."""
        try:
            print(count, file=self._process.stdin, flush=True)
            wall, cpu = json.loads(self._process.stdout.readline() if self._process.stdout else "")
        except (BrokenPipeError, ValueError):
            lines = self._process.communicate()[1].strip().splitlines()
            raise SystemExit(f"{self.folder}: its step failed: {(lines or ['no message'])[-1]}") from None
        return wall, cpu

    def end(self) -> None:
        """End the process of the checkout."""
        self._process.communicate()


@dataclass
class Contestant:
    """The step of one file at one resolution.

    Args:
        name: name of the file.
        step: function that runs one step.
        keeps: whether the contestant requests an allocator that keeps freed memory.
        first: seconds for building the step and for the first step.
        wall: wall-clock seconds per step in each turn.
        cpu: processor seconds per step in each turn.
        memory: peak memory in MiB.
        elsewhere: another checkout, whose process runs the steps.
    """

    name: str
    step: Callable[[Tensor], None]
    keeps: bool
    first: float = 0.0
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    memory: float = 0.0
    elsewhere: Checkout | None = None

    def turn(self, real: Tensor, count: int) -> None:
        """Run `count` steps and record the time per step."""
        if self.elsewhere is not None:
            wall, cpu = self.elsewhere.turn(count)
            self.wall.append(wall / count)
            self.cpu.append(cpu / count)
            return
        keep_freed_memory(self.keeps)
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(count):
            self.step(real)
        self.wall.append((time.perf_counter() - wall) / count)
        self.cpu.append((time.process_time() - cpu) / count)


def load(path: Path) -> ModuleType:
    """Import the file of a contestant as a module.

    Raises:
        SystemExit: if it is not a Python file, or does not build a step.
    """
    spec = importlib.util.spec_from_file_location(f"contestant_{path.stem}", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise SystemExit(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if not callable(getattr(module, "make", None)):
        raise SystemExit(f"{path} has no make(resolution, fmap_base, fmap_max, latent, batch, alpha) -> step")
    return module
