"""What values depend on, and what they are measured against: the processor, its speed, a process's memory."""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path
from typing import Any

import torch


def machine_facts(threads: int) -> dict[str, Any]:
    """What values depend on: processor, threads, versions, how busy the machine is."""
    return {
        "machine": processor(),
        "cores": os.cpu_count(),
        "threads": threads,
        "capability": torch.backends.cpu.get_cpu_capability(),
        "torch": torch.__version__,
        "load": round(os.getloadavg()[0], 1),
        "date": time.strftime("%Y-%m-%d"),
    }


def processor() -> str:
    """The processor's name, as far as it is known."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next(line.split(":")[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.machine()


def convolution_rate(side: int, channels: int) -> float:
    """FLOP/s of the quickest of some 3x3 convolutions as a step has them."""
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
    """Bytes/s read and written by a copy of 64 MB."""
    source = torch.ones(1 << 24)
    target = source.clone()
    start = time.process_time()
    target.copy_(source)
    return 2 * source.numel() * 4 / (time.process_time() - start) * torch.get_num_threads()


def load_libraries() -> None:
    """Do a little of what a step does, so that what PyTorch loads for it is not part of a step's memory."""
    x, weight = torch.ones(1, 3, 8, 8, requires_grad=True), torch.ones(3, 3, 3, 3, requires_grad=True)
    (gradient,) = torch.autograd.grad(torch.nn.functional.conv2d(x, weight).sum(), x, create_graph=True)
    torch.autograd.backward(gradient.square().sum())
    for fused in (False, True):
        torch.optim.Adam([weight], fused=fused).step()


def resident(field_name: str) -> float:
    """MiB of this process by a field of Linux's ``/proc/self/status``, such as VmRSS; NaN elsewhere."""
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith(field_name):
            return float(line.split()[1]) / 1024
    return float("nan")
