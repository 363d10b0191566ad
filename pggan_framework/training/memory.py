"""What the tensors of a step take of the machine's memory, and how much of that there is."""

from __future__ import annotations

from pathlib import Path

import torch

_OF_PEAK, _OF_GRADIENTS = 1.5, 4.2
"""Resident bytes for each byte of tensors alive at the peak of a step, and for each byte of gradients of weights.

Freed blocks are kept for the next step, and the C library seldom fits an aligned block into a hole of its own size.
The second factor stands for what convolutions make of their weights: transformed, they are several times as large.
Fitted to benchmarks/memory.py, 16 to 128 px, glibc 2.36, a CPU with AVX2.
"""


def resident_bytes(kept: int, peak: int, gradients: int, device: torch.device) -> int:
    """Most memory that training takes on `device`, beyond what PyTorch itself does.

    Args:
        kept: bytes that stay from step to step: weights, their average, the optimisers' state.
        peak: most bytes of other tensors that are alive at once.
        gradients: bytes of these that are gradients of weights.
        device: a CPU's allocator leaves much unused; of a GPU's nothing was measured, and nothing is added.
    """
    if device.type != "cpu":
        return kept + peak
    return kept + round(_OF_PEAK * peak + _OF_GRADIENTS * gradients)


def free_bytes(device: torch.device, root: Path = Path("/")) -> int | None:
    """Bytes that can still be had on `device`; None where the system does not say.

    Args:
        device: where the networks are.
        root: of the file system in which Linux says it: the machine's, and what the control group may still have.
    """
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
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
