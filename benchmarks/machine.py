"""Facts about the machine that values depend on: the processor, its speed, and the memory of a process."""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path
from typing import Any

import torch


def machine_facts(threads: int) -> dict[str, Any]:
    """Return facts that values depend on: processor, threads, versions, load of the machine."""
    return {
        "machine": processor(),
        "cores": os.cpu_count(),
        "threads": threads,
        "capability": torch.backends.cpu.get_cpu_capability(),
        "torch": torch.__version__,
        "load": round(os.getloadavg()[0], 1),
        "date": time.strftime("%Y-%m-%d"),
    }


def budget_in_processor_time() -> None:
    """Let `--minutes` count the processor time of this process, which does not depend on other programs.

    With one thread (``OMP_NUM_THREADS=1``), it is the wall-clock time on an idle machine.
    """
    from pggan_framework.plugins.depth import DepthManager
    from pggan_framework.training.budget import Budget

    Budget.now = DepthManager.now = time.process_time


def processor() -> str:
    """Return the name of the processor, if it is known."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next(line.split(":")[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.machine()


def convolution_rate(side: int, channels: int) -> float:
    """Return the FLOP/s of the fastest of several 3x3 convolutions that are typical of a step."""
    side, channels = min(side, 64), max(channels, 32)
    x = torch.randn(16, channels, side, side).contiguous(memory_format=torch.channels_last)
    weight = torch.randn(channels, channels, 3, 3)
    best, flop = float("inf"), 2 * x.numel() * channels * 9
    for _ in range(3):
        start = time.process_time()
        for _ in range(max(int(2e8 / flop), 1)):
            torch.nn.functional.conv2d(x, weight, padding=1)
        best = min(best, (time.process_time() - start) / max(int(2e8 / flop), 1) / torch.get_num_threads())
    return flop / best


def copy_rate() -> float:
    """Return the bytes/s that a copy of 64 MB reads and writes."""
    source = torch.ones(1 << 24)
    target = source.clone()
    start = time.process_time()
    target.copy_(source)
    return 2 * source.numel() * 4 / (time.process_time() - start) * torch.get_num_threads()


def load_libraries() -> None:
    """Run parts of a step once, so that libraries that PyTorch loads for it are not counted as memory of the step."""
    x, weight = torch.ones(1, 3, 8, 8, requires_grad=True), torch.ones(3, 3, 3, 3, requires_grad=True)
    (gradient,) = torch.autograd.grad(torch.nn.functional.conv2d(x, weight).sum(), x, create_graph=True)
    torch.autograd.backward(gradient.square().sum())
    for fused in (False, True):
        torch.optim.Adam([weight], fused=fused).step()


def resident(field_name: str) -> float:
    """Return a field of Linux's ``/proc/self/status`` for this process, such as VmRSS, in MiB; NaN on other systems."""
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith(field_name):
            return float(line.split()[1]) / 1024
    return float("nan")
