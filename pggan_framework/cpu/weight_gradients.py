"""The weight gradient of a convolution as matrix products, for CPUs on which the library is slow.

On CPUs without AVX-512, oneDNN computes weight gradients at about half the speed of a matrix product. On these CPUs,
gradients that `winograd` does not support are computed as a product: shifted copies of the input are arranged as rows,
a few samples at a time so that they stay in the cache, and multiplied by the output's gradient. PyTorch sees a single
operator, so a captured graph has a single node for the whole computation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

CACHED = 1 << 19
"""Values of shifted copies computed at a time, at least those of one sample; 2 MiB of float32."""

_SLOW_LIBRARY = not torch.backends.cpu.get_cpu_capability().startswith("AVX512")

_library: Any = torch.library.Library("pggan", "DEF")  # type: ignore[no-untyped-call]
_library.define("weight_gradient(Tensor x, Tensor gradient, int[] kernel, int[] stride, int[] padding) -> Tensor")


def _rows(x: Tensor, size: tuple[int, int], kernel: Sequence[int], stride: Sequence[int]) -> Tensor:
    """The receptive field of each output position in padded inputs [n, H, W, C]: [n * h * w, kh * kw * C]."""
    samples, _, _, channels = x.shape
    sample, row, column, _ = x.stride()
    shape = (samples, *size, *kernel, channels)
    steps = (sample, row * stride[0], column * stride[1], row, column, 1)
    return x.as_strided(shape, steps).reshape(samples * size[0] * size[1], -1)


def _by_products(
    x: Tensor, gradient: Tensor, kernel: Sequence[int], stride: Sequence[int], padding: Sequence[int]
) -> Tensor:
    size: tuple[int, int] = (gradient.shape[2], gradient.shape[3])
    out, channels = gradient.shape[1], x.shape[1]
    lines = F.pad(x.permute(0, 2, 3, 1), (0, 0, padding[1], padding[1], padding[0], padding[0])).contiguous()
    columns = gradient.permute(0, 2, 3, 1).reshape(len(x), -1, out)
    step = max(CACHED // (size[0] * size[1] * kernel[0] * kernel[1] * channels), 1)
    step = -(-len(x) // -(-len(x) // step))  # parts of about equal size
    total = gradient.new_zeros(out, kernel[0] * kernel[1] * channels)
    for start in range(0, len(x), step):
        left = columns[start : start + step].reshape(-1, out).t()
        total.addmm_(left, _rows(lines[start : start + step], size, kernel, stride))
    return total.view(out, *kernel, channels).permute(0, 3, 1, 2)


def _shape_only(
    x: Tensor, gradient: Tensor, kernel: Sequence[int], stride: Sequence[int], padding: Sequence[int]
) -> Tensor:
    return gradient.new_empty(gradient.shape[1], *kernel, x.shape[1]).permute(0, 3, 1, 2)


_library.impl("weight_gradient", _by_products, "CPU")
_library.impl("weight_gradient", _shape_only, "Meta")


def by_products(x: Tensor) -> bool:
    """True if weight gradients for inputs like `x` are computed as matrix products."""
    return _SLOW_LIBRARY and x.device.type == "cpu" and x.dtype in (torch.float32, torch.float64)
