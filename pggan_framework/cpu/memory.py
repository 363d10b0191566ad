"""Memory needed by the tensors of a step, and memory available."""

from __future__ import annotations

from pathlib import Path

import torch

from pggan_framework.cpu.pool import load

_HOLES, _FIXED = 1.12, 8 << 20
"""With the pool: address space for each byte alive at the peak of a step, holes between blocks included, and what code
and small objects take. By benchmarks/memory.py, 16 to 512 px, on a CPU with AVX2."""

_GLIBC = 2.2
"""The same without it: glibc cannot place an aligned block in a hole of the same size, so about as much memory again is
unused. From one run to the next it varies by a tenth and more. By the same, glibc 2.36."""


def resident_bytes(kept: int, peak: int, device: torch.device) -> int:
    """The peak memory of training on `device`, beyond PyTorch's own.

    Args:
        kept: bytes that stay from step to step: weights, their average, the optimisers' state.
        peak: most bytes of other tensors, and of what convolutions need besides, that are alive at once.
        device: a CPU's allocator leaves some unused; of a GPU's nothing was measured, and nothing is added.
    """
    if device.type != "cpu":
        return kept + peak
    return kept + (round(_HOLES * peak) + _FIXED if load() is not None else round(_GLIBC * peak))


def bytes_at_hand(device: torch.device) -> int | None:
    """Bytes that a run may plan with on `device`; None where the system does not say.

    On a CPU those that are free. On a GPU a fraction of all it has, whoever uses some at the moment: what is planned
    there changes rounding, and must be the same when a run is resumed.
    """
    if device.type == "cuda":
        return round(_OF_A_GPU * torch.cuda.mem_get_info(device)[1])
    if device.type == "mps":
        return round(_OF_A_GPU * torch.mps.recommended_max_memory())
    return free_bytes(device)


_OF_A_GPU = 0.85
"""The rest is for what PyTorch, cuDNN's workspaces and other programs take."""


def free_bytes(device: torch.device, root: Path = Path("/")) -> int | None:
    """The available bytes on `device`; None if the system does not report them.

    Args:
        device: where the networks are.
        root: of the file system in which Linux says it: the machine's, and what the control group may still have.
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
        pass  # no such group, or one without a limit
    return min(found) if found else None
