"""Fast CPU training with custom convolutions and memory handling: the interface for other packages.

Nothing here stops or changes a run: if something is missing or broken, PyTorch's operations are used, and `note`
reports it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from pggan_framework.cpu import native, pixel_norm, winograd
from pggan_framework.cpu.allocation import keep_freed_memory
from pggan_framework.cpu.weight_gradients import by_products

__all__ = [
    "Geometry",
    "Kernels",
    "convolution",
    "convolution_backward",
    "facts",
    "keep_freed_memory",
    "note",
    "suits_norm",
    "weight_gradient",
]

Kernels = Literal["auto", "native", "torch"]
"""Convolutions on a CPU: those of PyTorch's library (torch); ours wherever they can be compiled (native); or ours on
CPUs where they are known, or were found in a trial, to be faster (auto)."""

suits_norm = pixel_norm.suits

_aten: Any = torch.ops.aten
_pggan: Any = torch.ops.pggan


class Geometry(NamedTuple):
    """The alignment of a convolution's kernel.

    Args:
        stride: step along height and width.
        padding: zeros added along height and width.
        transposed: use the adjoint of the convolution with this stride and padding.
        groups: number of channel groups; with more than one, PyTorch's library is used.
    """

    stride: tuple[int, int]
    padding: tuple[int, int]
    transposed: bool = False
    groups: int = 1

    @lru_cache(maxsize=64)  # noqa: B019  -- of tuples
    def adjoint(self) -> Geometry:
        """The geometry of the input gradient."""
        return self._replace(transposed=not self.transposed)


def convolution(
    x: Tensor, weight: Tensor, bias: Tensor | None, geometry: Geometry, slope: float | None, kernels: Kernels
) -> Tensor:
    """Convolve, add the bias and apply a leaky ReLU, without recording a graph.

    Args:
        x: [N, C, h, w].
        weight: [C', C / groups, kh, kw], or [C, C' / groups, kh, kw] if the geometry is transposed.
        bias: [C'] or None.
        geometry: alignment of the kernel.
        slope: slope of the leaky ReLU below zero; None for a linear layer.
        kernels: implementation to use, as in the flag ``--kernels``.

    Returns:
        [N, C', h', w'] in channels_last memory order.
    """
    y: Tensor
    if kernels != "torch" and geometry.groups == 1:
        # What is called for each convolution is written here, not in functions: below 16 px calls take a step's time.
        stride, padding, transposed, _ = geometry
        planned = winograd.plan(x.shape, weight.shape, stride, padding, transposed)
        if planned is not None and winograd.ready(x, kernels):
            y = _pggan.winograd(x, weight, bias, transposed, 1.0 if slope is None else slope)
            return y
    y = _aten.convolution(
        x, weight, bias, geometry.stride, geometry.padding, (1, 1), geometry.transposed, (0, 0), geometry.groups
    )
    # With one channel both memory formats look the same, and PyTorch chooses NCHW: undo that.
    y = y.contiguous(memory_format=torch.channels_last)
    return y if slope is None else F.leaky_relu_(y, slope)


def convolution_backward(
    gradient: Tensor, x: Tensor, weight: Tensor, geometry: Geometry, wanted: Sequence[bool], kernels: Kernels
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """The requested gradients of a convolution's input, weight and bias, without recording a graph.

    Args:
        gradient: gradient of the output, [N, C', h', w'].
        x: the input [N, C, h, w].
        weight: as in `convolution`.
        geometry: geometry of the convolution.
        wanted: for each of the three, True if its gradient is requested.
        kernels: implementation to use, as in the flag ``--kernels``.
    """
    # If we compute the weight gradient, the library gains nothing from computing both together.
    ours = kernels != "torch" and geometry.groups == 1
    if not ours or not (by_products(gradient) or winograd.ready(gradient, kernels)):
        channels = [gradient.shape[1]] if wanted[2] else None
        found: tuple[Tensor | None, Tensor | None, Tensor | None] = _aten.convolution_backward(
            gradient, x, weight, channels, geometry.stride, geometry.padding, (1, 1), geometry.transposed, (0, 0),
            geometry.groups, tuple(wanted),
        )  # fmt: skip
        return found
    return (
        convolution(gradient, weight, None, geometry.adjoint(), None, kernels) if wanted[0] else None,
        weight_gradient(x, gradient, weight, geometry, kernels) if wanted[1] else None,
        gradient.sum((0, 2, 3)) if wanted[2] else None,
    )


def weight_gradient(x: Tensor, gradient: Tensor, weight: Tensor, geometry: Geometry, kernels: Kernels) -> Tensor:
    """The gradient of a convolution's weight, in the shape of `weight`; arguments as in `convolution_backward`."""
    stride, padding, transposed, groups = geometry
    ours = kernels != "torch" and groups == 1
    kernel = (weight.shape[2], weight.shape[3])
    # For the adjoint, input and output are swapped.
    both = (gradient, x) if transposed else (x, gradient)
    if ours and winograd.suits_weights(*both, kernel, stride, padding, kernels):
        native_found: Tensor = torch.ops.pggan.weights(*both, kernel)
        return native_found
    if kernel != (1, 1) and ours and by_products(x):
        found: Tensor = torch.ops.pggan.weight_gradient(*both, kernel, stride, padding)
        return found
    whole: Tensor = _aten.convolution_backward(
        gradient, x, weight, None, stride, padding, (1, 1), transposed, (0, 0), groups, (False, True, False)
    )[1]
    return whole


def facts(channels: int, kernels: Kernels) -> dict[str, str]:
    """All settings that the exact bits of a run depend on: kernels, number of threads, instruction set.

    Args:
        channels: largest number of feature maps of a layer; with few feature maps, our convolutions are never used.
        kernels: value of the flag ``--kernels``.
    """
    used = "torch" if kernels == "torch" or not by_products(torch.empty(0)) else "products"
    if channels >= winograd.FEWEST_CHANNELS and winograd.load(torch.float32, kernels) is not None:
        used = "native"
    return {
        "kernels": used,
        "threads": str(torch.get_num_threads()),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
    }


def note(device: torch.device, channels: int, kernels: Kernels) -> str:
    """One line about the kernels of a run; empty if there is nothing unusual. Compiles our kernels if needed.

    Args:
        device: device of the networks.
        channels: largest number of feature maps of a layer; with few feature maps, our convolutions are never used.
        kernels: value of the flag ``--kernels``.
    """
    if device.type != "cpu" or kernels == "torch" or channels < winograd.FEWEST_CHANNELS:
        return ""
    compiled_before = native.exists(torch.float32)
    if winograd.load(torch.float32, kernels) is not None:
        return "" if compiled_before else "convolutions: compiled for this machine"
    reason = native.problem(torch.float32)
    if not reason:
        return "" if compiled_before else "convolutions: the library's, which are the quickest on this machine"
    if not native.processor() and kernels == "auto":
        return ""  # as on most systems other than Linux
    return f"convolutions: the library's, because {reason}; steps take up to twice as long"
