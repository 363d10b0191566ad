"""Settings of the computation: an immutable object that a run passes to its networks, which pass it to their layers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch

from pggan_framework.cpu import Kernels

LARGE = 512 * 512
"""Pixels of feature maps that ``large`` means."""

RecomputeMode = Literal["large", "never", "always"]


def pixels_for(mode: RecomputeMode) -> int | None:
    """Smallest number of pixels at which feature maps are recomputed; None: never."""
    return {"large": LARGE, "never": None, "always": 0}[mode]


@dataclass(frozen=True)
class Execution:
    """Settings of the computation; they change results only by rounding.

    Args:
        precision: precision of forward and backward passes. Weights, their gradients, and gradients that are
            differentiated again are always in float32.
        kernels: convolution kernels on a CPU, as the flag ``--kernels``.
        recompute_from: smallest number of pixels at which feature maps are recomputed in the backward pass instead of
            stored; None: all are stored.
        reference: use PyTorch's own operations one by one, as the reference in the tests does: no folded resizes, no
            combined or shared computations, and autograd's derivatives.
    """

    precision: torch.dtype = torch.float32
    kernels: Kernels = "auto"
    recompute_from: int | None = None
    reference: bool = False


DEFAULT = Execution()
"""The defaults of a network without further settings."""
