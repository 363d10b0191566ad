"""The learning rate and the logged level of detail as pure functions of the training progress."""

from __future__ import annotations

from math import exp


def lr_rampup(nimg: float, rampup_kimg: float) -> float:
    """Return the learning-rate factor of Karras et al.: ``exp(-5 (1 - n/R)^2)`` over `rampup_kimg`, then 1."""
    length = rampup_kimg * 1000
    return exp(-5 * (1 - nimg / length) ** 2) if nimg < length else 1.0


def lod(depth: int, alpha: float, max_lod: int, depth_offset: int = 0) -> float:
    """Return the level of detail as the original tool logs it: 0 is the full resolution, and each halving adds 1."""
    return max_lod - depth_offset - depth - alpha + 1
