"""How the learning rate and the logged level of detail follow the training, as pure functions."""

from __future__ import annotations

from math import exp


def lr_rampup(nimg: float, rampup_kimg: float) -> float:
    """Factor of the learning rate: ``exp(-5 (1 - n/R)^2)`` over the first `rampup_kimg`, then 1, as Karras et al."""
    length = rampup_kimg * 1000
    return exp(-5 * (1 - nimg / length) ** 2) if nimg < length else 1.0


def lod(depth: int, alpha: float, max_lod: int, depth_offset: int = 0) -> float:
    """The original tool's level of detail, for logs: 0 is the full image, each halving adds 1."""
    return max_lod - depth_offset - depth - alpha + 1
