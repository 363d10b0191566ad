"""What the networks compute in: float32, or bfloat16 where the device is made for it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch

Wish = Literal["auto", "fp32", "bf16"]

_CPU_FLAGS = frozenset({"amx_bf16", "avx512_bf16"})


def has_bf16(device: torch.device, cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether the device multiplies in bfloat16 itself; one that does not is several times slower with it."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    try:
        lines = cpuinfo.read_text(encoding="utf-8").splitlines()
    except OSError:
        return False
    flags = next((line.split(":", 1)[1].split() for line in lines if line.startswith("flags") and ":" in line), [])
    return bool(_CPU_FLAGS & set(flags))


def choose_precision(wish: Wish, device: torch.device) -> tuple[torch.dtype, str]:
    """What to compute in, and a note where that is not what was requested.

    ``auto`` is bfloat16 on a GPU made for it and float32 elsewhere. Gradients that are differentiated again, those of
    the gradient penalties, are computed in float32 in any case, as are the weights, their gradients and Adam.
    """
    if wish == "fp32" or (wish == "auto" and not (device.type == "cuda" and has_bf16(device))):
        return torch.float32, ""
    if has_bf16(device):
        return torch.bfloat16, ""
    return torch.float32, f"precision: bf16 is given, but this {device.type} has no units for it; fp32 is used"
