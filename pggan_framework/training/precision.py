"""The precision of the networks, and PyTorch's settings for a GPU."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import torch

PrecisionMode = Literal["auto", "fp32", "tf32", "bf16"]

_CPU_FLAGS = frozenset({"amx_bf16", "avx512_bf16"})

AGREES = 0.05
"""Largest difference between a loss in bfloat16 and in float32, relative to 1 + its magnitude (`selfcheck.deviation`).
"""


def has_bf16(device: torch.device, cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """True if the device supports bfloat16 in hardware; without support it is several times slower."""
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
    """True if the device supports TF32: NVIDIA GPUs of compute capability 8.0 or later."""
    return device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0)


def choose_precision(mode: PrecisionMode, device: torch.device) -> tuple[torch.dtype, str]:
    """Return the dtype of the computation, and a note if it differs from the requested dtype.

    ``auto`` selects bfloat16 on GPUs that support it and float32 elsewhere. Double backward (gradient penalties) always
    runs in float32; weights, their gradients and Adam are float32 too.
    """
    if mode == "tf32" and not has_tf32(device):
        return torch.float32, f"precision: tf32 is given, but this {device.type} has no units for it; fp32 is used"
    if mode in ("fp32", "tf32") or (mode == "auto" and not (device.type == "cuda" and has_bf16(device))):
        return torch.float32, ""
    if has_bf16(device):
        return torch.bfloat16, ""
    return torch.float32, f"precision: bf16 is given, but this {device.type} has no units for it; fp32 is used"


@contextmanager
def device_settings(device: torch.device, precision: PrecisionMode, deterministic: bool) -> Iterator[None]:
    """A context with PyTorch's global GPU settings for a run; it has no effect on a CPU.

    TF32 (products of float32 rounded to 10 bits, sums in float32) is off with ``fp32`` and on otherwise. cuDNN
    benchmarks its algorithms once per shape, and shapes are constant within a phase. Deterministic runs do not
    benchmark, since the fastest algorithm, and with it the rounding, can differ between runs.

    Args:
        device: device of the run.
        precision: value of the general flag `precision`.
        deterministic: whether to use only bitwise reproducible algorithms; operations without one raise an error.
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
