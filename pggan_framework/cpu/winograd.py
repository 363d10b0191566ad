"""Convolutions by minimal filtering (Winograd), for CPUs on which the library does not offer it.

For 16 outputs, a 3x3 convolution takes 36 products instead of 144, and a 4x4 convolution with stride 2 takes 100
instead of 256 (Lavin & Gray 2015, arXiv 1509.09308); their gradients take as many. In exact arithmetic, the result
equals the convolution; in float32, the rounding error is similar to the library's. The code is in ``winograd.cpp``; it
is compiled once per machine, on first use. Without a compiler, or if it is not faster, the library's convolutions are
used.
"""

from __future__ import annotations

import ctypes
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

from pggan_framework.cpu import native

Pair = tuple[int, int]

FEWEST_CHANNELS = 32
"""Least number of channels; with fewer, the transforms cost as much as they save."""

# The algorithms in the C++ file: for each kind, output tile sizes of the smaller and the larger algorithm.
_SAME, _DOWN, _UP = 0, 2, 4
_TILES = {_SAME: (2, 4), _DOWN: (2, 4), _UP: (4, 8)}
# Least numbers of tiles for the two; transforming the kernel costs the same for any number.
_FEWEST = {_SAME: (32, 48), _DOWN: (128, 256), _UP: (64, 256)}
_FEWEST_FOR_WEIGHTS = {_SAME: (32, 48), _DOWN: (64, 64)}

_QUICKER = 1.1
"""Least speed relative to the library in a trial."""
_TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-11}

# Tiles at a time by the total number of channels: some should stay in the cache together with a kernel.
_BLOCKS = (128, 12), (256, 24), (512, 48), (sys.maxsize, 72)

_library: Any = torch.library.Library("pggan", "FRAGMENT")  # type: ignore[no-untyped-call]
_library.define("channels_last(Tensor x) -> Tensor")
_library.define("weights(Tensor x, Tensor gradient, int[] kernel) -> Tensor")
_library.define("winograd(Tensor x, Tensor weight, Tensor? bias, bool transposed, float slope) -> Tensor")


@lru_cache(maxsize=8)
def load(number: torch.dtype, kernels: str = "auto") -> Any:
    """The code for float32 or float64, compiled if needed; None if it must not be used.

    Args:
        number: dtype of the code.
        kernels: ``torch`` never uses the code; ``native`` uses it if it computes the library's values; ``auto``, if it
            is also faster.
    """
    code = None if kernels == "torch" else native.code(number)
    if code is None or (kernels == "auto" and not native.on_trial()):
        return code
    if kernels == "native":
        return code if _apart(lambda: _is_right(code, number)) else None
    return code if native.passed(number, lambda: _apart(lambda: _trial(code, number))) else None


def _apart(work: Callable[[], bool]) -> bool:
    """Run `work` in a separate thread, where no mode traces, counts or casts its operations."""
    threads = torch.get_num_threads()

    def alone() -> bool:
        torch.set_num_threads(threads)
        return work()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(alone).result()


def _ways(code: Any, number: torch.dtype) -> list[Callable[[], Tensor]]:
    """A convolution of medium size, computed by the library and by our code."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(16, 128, 16, 16, generator=generator, dtype=number).contiguous(memory_format=torch.channels_last)
    weight = torch.randn(128, 128, 3, 3, generator=generator, dtype=number).contiguous(
        memory_format=torch.channels_last
    )
    return [
        lambda: torch.nn.functional.conv2d(x, weight, padding=1),
        lambda: _convolve(x, weight, None, False, 1.0, code),
    ]


def _is_right(code: Any, number: torch.dtype) -> bool:
    theirs, mine = (way() for way in _ways(code, number))
    return float((theirs - mine).abs().max() / theirs.abs().max()) < _TOLERANCE[number]


def _trial(code: Any, number: torch.dtype) -> bool:
    """Test whether our code computes the library's values and is faster, on a convolution of medium size."""
    if not _is_right(code, number):
        return False
    ways = _ways(code, number)
    times: list[list[float]] = [[], []]
    for _ in range(7):
        for way, taken in zip(ways, times, strict=True):
            start = time.perf_counter()
            way()
            taken.append(time.perf_counter() - start)
    return min(times[0]) > _QUICKER * min(times[1])


def ready(x: Tensor, kernels: str) -> bool:
    """True if there is code for inputs like `x`."""
    return x.device.type == "cpu" and x.dtype in native.NUMBERS and load(x.dtype, kernels) is not None


class Plan(NamedTuple):
    """The algorithm for convolutions or weight gradients of certain shapes.

    Args:
        algorithm: index of the algorithm in the list of the C++ file.
        output: shape [N, C', h, w] of the convolution's output.
        tiles: shape argument of the C++ functions: samples, tiles along height and width, input and output channels.
        block: number of tiles, or of rows of a weight gradient, that are computed at a time.
    """

    algorithm: int
    output: tuple[int, ...]
    tiles: Any
    block: int


def _kind(kernel: Pair, stride: Pair, padding: Pair, transposed: bool) -> int | None:
    """The kind of convolution; None if there is no algorithm for it."""
    if padding != (1, 1):
        return None
    if kernel == (3, 3) and stride == (1, 1):
        return _SAME
    if kernel == (4, 4) and stride == (2, 2):
        return _UP if transposed else _DOWN
    return None


def _planned(kind: int, output: tuple[int, ...], channels: int, fewest: dict[int, Pair], block: int) -> Plan | None:
    """The plan for outputs [N, C', h, w], preferring larger tiles; None if neither tile size suits."""
    samples, out, height, width = output
    for larger in (1, 0):
        side = _TILES[kind][larger]
        rows, columns = height // side, width // side
        if not (height % side or width % side) and samples * rows * columns >= fewest[kind][larger]:
            tiles = (ctypes.c_long * 5)(samples, rows, columns, channels, out)
            return Plan(kind + larger, output, tiles, block)
    return None


@lru_cache(maxsize=1024)
def plan(x: tuple[int, ...], weight: tuple[int, ...], stride: Pair, padding: Pair, transposed: bool) -> Plan | None:
    """The plan of `winograd` for a convolution of these shapes; None if the library is faster or must be used.

    Args:
        x: shape [N, C, h, w].
        weight: [C', C, kh, kw], or [C, C', kh, kw] if `transposed`.
        stride: step along height and width.
        padding: zeros added along height and width.
        transposed: compute the adjoint of the convolution with this geometry.
    """
    samples, channels, height, width = x
    out, kernel = weight[1 if transposed else 0], (weight[2], weight[3])
    kind = _kind(kernel, stride, padding, transposed)
    if kind is None or min(channels, out) < FEWEST_CHANNELS or (kind == _DOWN and (height % 2 or width % 2)):
        return None
    if kind != _SAME:
        height, width = (2 * height, 2 * width) if transposed else (height // 2, width // 2)
    block = next(block for most, block in _BLOCKS if channels + out <= most)
    return _planned(kind, (samples, out, height, width), channels, _FEWEST, block)


@lru_cache(maxsize=1024)
def weights_plan(
    x: tuple[int, ...], gradient: tuple[int, ...], kernel: Pair, stride: Pair, padding: Pair
) -> Plan | None:
    """The plan of `weights` for a weight gradient of these shapes; None if matrix products are faster.

    Args:
        x: shape of the input, [N, C, h, w].
        gradient: shape of the output's gradient, [N, C', h', w'].
        kernel: height and width.
        stride: step along height and width.
        padding: zeros added along height and width.
    """
    kind = _kind(kernel, stride, padding, False)
    if kind is None or min(x[1], gradient[1]) < FEWEST_CHANNELS:
        return None
    if any(x[axis] != gradient[axis] * stride[0] for axis in (2, 3)):
        return None
    return _planned(kind, tuple(gradient), x[1], _FEWEST_FOR_WEIGHTS, 48 if x[1] <= 64 else 96)


def suits(x: Tensor, weight: Tensor, stride: Pair, padding: Pair, transposed: bool, kernels: str = "auto") -> bool:
    """True if `winograd` supports this convolution and is faster than the library; see `plan` and `load`."""
    planned = plan(x.shape, weight.shape, stride, padding, transposed)
    return planned is not None and ready(x, kernels)


def suits_weights(
    x: Tensor, gradient: Tensor, kernel: Pair, stride: Pair, padding: Pair, kernels: str = "auto"
) -> bool:
    """True if `weights` supports this weight gradient and is faster; see `weights_plan` and `load`."""
    planned = weights_plan(x.shape, gradient.shape, kernel, stride, padding)
    return planned is not None and ready(x, kernels)


def winograd(x: Tensor, weight: Tensor, bias: Tensor | None, transposed: bool, slope: float | None) -> Tensor:
    """A convolution for which `suits` is true, with bias and leaky ReLU, as one PyTorch operator without derivatives.

    Args:
        x: [N, C, h, w].
        weight: [C', C, k, k], or [C, C', k, k] if `transposed`; k is 3 with stride 1, 4 with stride 2.
        bias: [C'] or None.
        transposed: compute the adjoint of the convolution.
        slope: slope of the leaky ReLU below zero; None for a linear layer.

    Returns:
        [N, C', h', w'] in channels_last memory order.
    """
    y: Tensor = torch.ops.pggan.winograd(x, weight, bias, transposed, 1.0 if slope is None else slope)
    return y


_STEPS = {3: (1, 1), 4: (2, 2)}
"""The stride, by the kernel's side."""


def _convolve(
    x: Tensor, weight: Tensor, bias: Tensor | None, transposed: bool, slope: float, code: Any = None
) -> Tensor:
    found = plan(x.shape, weight.shape, _STEPS[weight.shape[2]], (1, 1), transposed)
    assert found is not None, "it does not suit"
    algorithm, output, tiles, block = found
    x = x.contiguous(memory_format=torch.channels_last)
    bias = None if bias is None else bias.contiguous()
    y = torch.empty(output, dtype=x.dtype, memory_format=torch.channels_last)
    strides, start = list(weight.stride()), weight.data_ptr()
    if transposed:
        strides[:2] = strides[1::-1]
        if algorithm < _DOWN:  # for stride 1, the adjoint flips the kernel
            start += 2 * (strides[2] + strides[3]) * weight.element_size()
            strides[2:] = [-strides[2], -strides[3]]
    (code or native.code(x.dtype)).convolve(
        algorithm, x.data_ptr(), start, None if bias is None else bias.data_ptr(), y.data_ptr(), tiles,
        (ctypes.c_long * 4)(*strides), slope, block, torch.get_num_threads(),
    )  # fmt: skip
    return y


def _shape_only(x: Tensor, weight: Tensor, bias: Tensor | None, transposed: bool, slope: float) -> Tensor:
    found = plan(x.shape, weight.shape, _STEPS[weight.shape[2]], (1, 1), transposed)
    assert found is not None, "it does not suit"
    return torch.empty(found.output, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)


def weights(x: Tensor, gradient: Tensor, kernel: Sequence[int]) -> Tensor:
    """A weight gradient for which `suits_weights` is true: [C', C, k, k] in channels_last memory order.

    Args:
        x: the input [N, C, h, w].
        gradient: gradient of the output, [N, C', h', w'].
        kernel: 3x3, with stride 1, or 4x4, with stride 2.
    """
    found = weights_plan(x.shape, gradient.shape, (kernel[0], kernel[1]), _STEPS[kernel[0]], (1, 1))
    assert found is not None, "it does not suit"
    x = x.contiguous(memory_format=torch.channels_last)
    gradient = gradient.contiguous(memory_format=torch.channels_last)
    result = torch.empty(gradient.shape[1], x.shape[1], *kernel, dtype=x.dtype, memory_format=torch.channels_last)
    native.code(x.dtype).weights(
        found.algorithm, x.data_ptr(), gradient.data_ptr(), result.data_ptr(), found.tiles,
        (ctypes.c_long * 4)(*result.stride()), found.block, torch.get_num_threads(),
    )  # fmt: skip
    return result


def _channels_last(x: Tensor) -> Tensor:
    return x.clone(memory_format=torch.channels_last)


_library.impl("channels_last", _channels_last, "CompositeExplicitAutograd")


def _weights_shape_only(x: Tensor, gradient: Tensor, kernel: Sequence[int]) -> Tensor:
    shape = gradient.shape[1], x.shape[1], *kernel
    return torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)


_library.impl("weights", weights, "CPU")
_library.impl("weights", _weights_shape_only, "Meta")
_library.impl("winograd", _convolve, "CPU")
_library.impl("winograd", _shape_only, "Meta")
