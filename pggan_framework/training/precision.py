"""What the networks compute in, and PyTorch's own switches for a GPU."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import torch

Wish = Literal["auto", "fp32", "tf32", "bf16"]

_CPU_FLAGS = frozenset({"amx_bf16", "avx512_bf16"})

AGREES = 0.05
"""Most that a loss in bfloat16 may differ from the one in float32, times 1 + its size; see `selfcheck.deviation`."""


def has_bf16(device: torch.device, cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether the device multiplies in bfloat16 itself; one that does not is several times slower with it."""
    if device.type == "cuda":
        return has_tf32(device)
    if device.type != "cpu":
        return False
    try:
        lines = cpuinfo.read_text(encoding="utf-8").splitlines()
    except OSError:
        return False
    flags = next((line.split(":", 1)[1].split() for line in lines if line.startswith("flags") and ":" in line), [])
    return bool(_CPU_FLAGS & set(flags))


def has_tf32(device: torch.device) -> bool:
    """Whether the device has TF32, as NVIDIA's have from compute capability 8.0 on."""
    return device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0)


def choose_precision(wish: Wish, device: torch.device) -> tuple[torch.dtype, str]:
    """What to compute in, and a note where that is not what was requested.

    ``auto`` is bfloat16 on a GPU made for it and float32 elsewhere. Gradients that are differentiated again, those of
    the gradient penalties, are computed in float32 in any case, as are the weights, their gradients and Adam.
    """
    if wish == "tf32" and not has_tf32(device):
        return torch.float32, f"precision: tf32 is given, but this {device.type} has no units for it; fp32 is used"
    if wish in ("fp32", "tf32") or (wish == "auto" and not (device.type == "cuda" and has_bf16(device))):
        return torch.float32, ""
    if has_bf16(device):
        return torch.bfloat16, ""
    return torch.float32, f"precision: bf16 is given, but this {device.type} has no units for it; fp32 is used"


@contextmanager
def device_settings(device: torch.device, precision: Wish, deterministic: bool) -> Iterator[None]:
    """Within it PyTorch's process-wide switches for GPUs are set as a run needs them; a CPU has none of them.

    TF32 (products of float32 rounded to 10 bits, sums in float32) is off with ``fp32`` and on otherwise. cuDNN tries
    its algorithms once for each shape, which a phase keeps, unless the run is deterministic: the fastest differs from
    one start to the next, and so does rounding.

    Args:
        device: the run's.
        precision: the general flag.
        deterministic: use algorithms that give the same bits each time; an operation that has none raises an error.
    """
    if device.type != "cuda":
        yield
        return
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32, cudnn.benchmark, cudnn.deterministic
    was_strict = torch.are_deterministic_algorithms_enabled()
    if deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when CUDA is first used
    matmul.allow_tf32 = cudnn.allow_tf32 = precision != "fp32"
    cudnn.benchmark, cudnn.deterministic = not deterministic, deterministic
    torch.use_deterministic_algorithms(deterministic or was_strict)
    try:
        yield
    finally:
        matmul.allow_tf32, cudnn.allow_tf32, cudnn.benchmark, cudnn.deterministic = before
        torch.use_deterministic_algorithms(was_strict)
