"""Pixel norm in one pass over memory, and its gradient, in the C++ code of ``winograd.cpp``.

PyTorch's operations go through the feature maps five times, and their gradient nine times.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pggan_framework.cpu import native, winograd

_library: Any = torch.library.Library("pggan", "FRAGMENT")  # type: ignore[no-untyped-call]
_library.define("pixel_norm(Tensor x, float epsilon) -> (Tensor, Tensor)")
_library.define("pixel_norm_backward(Tensor gradient, Tensor y, Tensor scale) -> Tensor")


def suits(x: Tensor, kernels: str) -> bool:
    """True if there is code for `x`, whose channels must be next to each other in memory."""
    order = torch.channels_last if x.dim() == 4 else torch.contiguous_format
    return x.dim() in (2, 4) and x.is_contiguous(memory_format=order) and winograd.ready(x, kernels)


def pixel_norm(x: Tensor, epsilon: float) -> tuple[Tensor, Tensor]:
    """Return `functional.pixel_norm` of `x`, [N, C] or [N, C, h, w], and its factors, [N, 1] or [N, 1, h, w]."""
    y, scale = torch.empty_like(x), x.new_empty(x.shape[0], 1, *x.shape[2:])
    native.code(x.dtype).normalize(
        x.data_ptr(), y.data_ptr(), scale.data_ptr(), scale.numel(), x.shape[1], epsilon, torch.get_num_threads()
    )
    return y, scale


def pixel_norm_backward(gradient: Tensor, y: Tensor, scale: Tensor) -> Tensor:
    """The gradient of `x`, computed from the gradient of `y`."""
    if gradient.stride() != y.stride():
        gradient = torch.empty_like(y).copy_(gradient)
    found = torch.empty_like(y)
    native.code(y.dtype).normalize_backward(
        gradient.data_ptr(), y.data_ptr(), scale.data_ptr(), found.data_ptr(), scale.numel(), y.shape[1],
        torch.get_num_threads(),
    )  # fmt: skip
    return found


_library.impl("pixel_norm", pixel_norm, "CPU")
_library.impl("pixel_norm", lambda x, epsilon: (torch.empty_like(x), x.new_empty(len(x), 1, *x.shape[2:])), "Meta")
_library.impl("pixel_norm_backward", pixel_norm_backward, "CPU")
_library.impl("pixel_norm_backward", lambda gradient, y, scale: torch.empty_like(y), "Meta")
