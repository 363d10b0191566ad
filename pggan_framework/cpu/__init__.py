"""Fast CPU training: own convolutions and memory handling. The interface to all other packages.

Nothing here stops or changes a run: if something is missing or broken, PyTorch computes, and `note` reports it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from pggan_framework.cpu import native, winograd
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
    "weight_gradient",
]

Kernels = Literal["auto", "native", "torch"]
"""Whose convolutions a CPU uses: those of PyTorch's library (torch); our own wherever they can be compiled (native); or
our own on CPUs on which they are known to be quicker, or were in a trial (auto)."""

_aten: Any = torch.ops.aten


class Geometry(NamedTuple):
    """The alignment of a convolution's kernel.

    Args:
        stride: step along height and width.
        padding: zeros added along height and width.
        transposed: whether it is the adjoint of the convolution with this stride and padding.
        groups: equal parts of the channels that are convolved apart; with more than one, PyTorch's library computes.
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
    """Convolve, add the bias, apply a leaky ReLU; without a graph.

    Args:
        x: [N, C, h, w].
        weight: [C', C / groups, kh, kw], or [C, C' / groups, kh, kw] if the geometry is transposed.
        bias: [C'] or None.
        geometry: alignment of the kernel.
        slope: of the leaky ReLU below zero; None for a linear layer.
        kernels: whose convolutions are used.

    Returns:
        [N, C', h', w'] in channels_last memory order.
    """
    if kernels != "torch" and geometry.groups == 1 and winograd.suits(x, weight, *geometry[:3], kernels):
        return winograd.winograd(x, weight, bias, geometry.transposed, slope)
    y: Tensor = _aten.convolution(
        x, weight, bias, geometry.stride, geometry.padding, (1, 1), geometry.transposed, (0, 0), geometry.groups
    )
    # With one channel the two memory formats look alike and the NCHW one is chosen: undo that.
    y = y.contiguous(memory_format=torch.channels_last)
    return y if slope is None else F.leaky_relu_(y, slope)


def convolution_backward(
    gradient: Tensor, x: Tensor, weight: Tensor, geometry: Geometry, wanted: Sequence[bool], kernels: Kernels
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """The requested gradients of a convolution's input, weight and bias; without a graph.

    Args:
        gradient: of the output, [N, C', h', w'].
        x: the input [N, C, h, w].
        weight: as `convolution` has it.
        geometry: that of the convolution.
        wanted: which of the three.
        kernels: whose convolutions are used.
    """
    # Where weight gradients are ours, the library has no use for computing both together.
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
    """The gradient of a convolution's weight, of the shape of `weight`; the arguments are `convolution_backward`'s."""
    stride, padding, transposed, groups = geometry
    ours = kernels != "torch" and groups == 1
    kernel = (weight.shape[2], weight.shape[3])
    # The adjoint's input and output change places.
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
    """Everything a run's results depend on to the last bit: kernels, number of threads, instruction set.

    Args:
        channels: most feature maps of a layer: with few, our convolutions are never used.
        kernels: the flag.
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
    """One line on the kernels of a run; empty if there is nothing unusual. Compiles the own ones, if needed.

    Args:
        device: where the networks are.
        channels: most feature maps of a layer: with few, ours are never used.
        kernels: the flag.
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
        return ""  # as on most machines that are not Linux
    return f"convolutions: the library's, because {reason}; steps take up to twice as long"
