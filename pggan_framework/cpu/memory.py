"""Memory needed by the tensors of a step, and memory available."""

from __future__ import annotations

from pathlib import Path

import torch

from pggan_framework.cpu.pool import load

_HOLES, _FIXED = 1.12, 8 << 20
"""With the pool: address space per live byte at the peak of a step, including holes between blocks, and the memory of
code and small objects. Measured by benchmarks/memory.py at 16 to 512 px, on a CPU with AVX2."""

_GLIBC = 2.2
"""The same without the pool. glibc cannot place an aligned block in a hole of the same size, so about half of the
memory is unused. The value varies by a tenth or more from run to run. Measured by the same script, with glibc 2.36."""


def resident_bytes(kept: int, peak: int, device: torch.device) -> int:
    """The peak memory of training on `device`, beyond PyTorch's own.

    Args:
        kept: bytes that stay allocated between steps: weights, EMA, optimizer state.
        peak: largest number of bytes of other tensors and of convolution workspaces that are live at the same time.
        device: device of the training; on a CPU, the memory that the allocator leaves unused is added, on a GPU (not
            measured) nothing.
    """
    if device.type != "cpu":
        return kept + peak
    return kept + (round(_HOLES * peak) + _FIXED if load() is not None else round(_GLIBC * peak))


def bytes_at_hand(device: torch.device) -> int | None:
    """The memory budget of a run on `device` in bytes; None if the system does not report it.

    On a CPU it is the free memory. On a GPU it is a fraction of the total memory, independent of current use: the plan
    changes rounding, so it must be the same when a run is resumed.
    """
    if device.type == "cuda":
        return round(_OF_A_GPU * torch.cuda.mem_get_info(device)[1])
    if device.type == "mps":
        return round(_OF_A_GPU * torch.mps.recommended_max_memory())
    return free_bytes(device)


_OF_A_GPU = 0.85
"""The rest is for PyTorch, cuDNN's workspaces and other programs."""


def free_bytes(device: torch.device, root: Path = Path("/")) -> int | None:
    """The available bytes on `device`; None if the system does not report them.

    Args:
        device: device of the networks.
        root: root of the file system in which Linux reports the free memory of the machine and the control group.
    """
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    if device.type == "mps":
        return int(torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory())
    found = []
    try:
        lines = (root / "proc/meminfo").read_text(encoding="ascii").splitlines()
        found += [int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:")]
        group = root / "sys/fs/cgroup"
        limit, used = ((group / f"memory.{name}").read_text(encoding="ascii") for name in ("max", "current"))
        found.append(int(limit) - int(used))
    except (OSError, ValueError):
        pass  # no control group, or one without a limit
    return min(found) if found else None
