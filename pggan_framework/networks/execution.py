"""How networks compute: one immutable object, handed from the run to the networks and from these to their layers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch

from pggan_framework.cpu import Kernels

LARGE = 512 * 512
"""Pixels of feature maps that ``large`` means."""

RecomputeWish = Literal["large", "never", "always"]


def pixels_for(wish: RecomputeWish) -> int | None:
    """From how many pixels on feature maps are recomputed; None: never."""
    return {"large": LARGE, "never": None, "always": 0}[wish]


@dataclass(frozen=True)
class Execution:
    """How networks compute. None of it changes what they compute, except by rounding.

    Args:
        precision: of forward and backward passes. Gradients that are differentiated again, weights and their gradients
            are in float32 all the same.
        kernels: whose convolutions a CPU uses: the flag ``--kernels``.
        recompute_from: pixels from which on feature maps are recomputed in the backward pass, not kept; None: all are
            kept.
        reference: use PyTorch's own operations, one after the other, as the tests' reference does: resizes are not
            folded into kernels, nothing is computed together or shared, and derivatives are autograd's.
    """

    precision: torch.dtype = torch.float32
    kernels: Kernels = "auto"
    recompute_from: int | None = None
    reference: bool = False


DEFAULT = Execution()
"""The defaults of a network without further settings."""
