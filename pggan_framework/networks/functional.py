"""Operations of both networks: convolution with activation, pixel norm, resizing.

A gradient penalty differentiates D twice. PyTorch's own double backward of a convolution computes the weight gradient
by an unusually shaped convolution, and a leaky ReLU's second derivative sends zeros through the whole network. The
functions here give the same values at every order and avoid both costs. A tensor that receives no gradient gets None
from them, whereas autograd would by default fill in zeros and propagate these to earlier layers.

Let * denote the convolution of an image x by a kernel w, y = w * x, and g the gradient of y. The gradient of x is the
adjoint convolution w^T * g, and the gradient of w is the correlation of x and g. Both are again linear in each of their
two inputs, so these three operations are closed under differentiation to any order.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import Function

from pggan_framework import cpu
from pggan_framework.networks.execution import DEFAULT, Execution
from pggan_framework.networks.torch_private import are_wanted, is_traced

Geometry = cpu.Geometry
Pair = tuple[int, int]
EPSILON = 1e-8
HALF = torch.bfloat16, torch.float16
AUTOCAST = ("cpu", "cuda")
"""Devices that have it."""

_aten: Any = torch.ops.aten
_pggan: Any = torch.ops.pggan


def full_precision(x: Tensor) -> AbstractContextManager[None]:
    """A context without autocast for the device of `x`, for operations on weights."""
    if x.device.type not in AUTOCAST or not torch.is_autocast_enabled(x.device.type):
        return nullcontext()
    return cast(AbstractContextManager[None], torch.autocast(x.device.type, enabled=False))


class _Slope(Function):
    """Backward pass of a leaky ReLU: gradient [N, C, h, w] times 1 or `slope`, by the sign of the output."""

    @staticmethod
    def forward(ctx: Any, gradient: Tensor, output: Tensor, slope: float) -> Tensor:
        ctx.save_for_backward(output)
        ctx.slope = slope
        ctx.set_materialize_grads(False)
        return _aten.leaky_relu_backward(gradient, output, slope, True)  # type: ignore[no-any-return]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        (output,) = ctx.saved_tensors
        if gradients[0] is None:
            return None, None, None
        return _Slope.apply(gradients[0], output, ctx.slope), None, None


class _LeakyReLU(Function):
    """A leaky ReLU whose second derivative is omitted instead of computed as zeros."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, slope: float) -> Tensor:
        y = F.leaky_relu(x, slope)
        ctx.save_for_backward(y)
        ctx.slope = slope
        ctx.set_materialize_grads(False)
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        (y,) = ctx.saved_tensors
        if gradients[0] is None:
            return None, None
        return _Slope.apply(gradients[0], y, ctx.slope), None


class _WeightGradient(Function):
    """The weight gradient of a convolution, bilinear in its input and its output's gradient."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, gradient: Tensor, weight: Tensor, geometry: Geometry, execution: Execution
    ) -> Tensor:
        ctx.save_for_backward(x, gradient)
        ctx.set_materialize_grads(False)
        ctx.geometry, ctx.execution = geometry, execution
        return cpu.weight_gradient(x, gradient, weight, geometry, execution.kernels)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        x, gradient = ctx.saved_tensors
        (weight,) = gradients
        if weight is None:
            return (None,) * 5
        to_x = to_gradient = None
        if ctx.needs_input_grad[0]:
            to_x = _Convolution.apply(gradient, weight, None, ctx.geometry.adjoint(), None, ctx.execution)
        if ctx.needs_input_grad[1]:
            to_gradient = _Convolution.apply(x, weight, None, ctx.geometry, None, ctx.execution)
        return to_x, to_gradient, None, None, None


class _Convolution(Function):
    """Convolution, bias and leaky ReLU; its derivatives consist of the three functions here, to any order."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        geometry: Geometry,
        slope: float | None,
        execution: Execution,
    ) -> Tensor:
        y = cpu.convolution(x, weight, bias, geometry, slope, execution.kernels)
        ctx.save_for_backward(x, weight, None if slope is None else y)
        ctx.geometry, ctx.slope, ctx.execution = geometry, slope, execution
        ctx.set_materialize_grads(False)
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        x, weight, y = ctx.saved_tensors
        (gradient,) = gradients
        if gradient is None:
            return (None,) * 6
        geometry, execution = ctx.geometry, ctx.execution
        # A penalty's inner gradient, autograd.grad(scores, images), does not need the gradients of weights and biases.
        wanted = [*are_wanted(ctx.next_functions), False][:3]  # without a bias there are two
        if torch.is_grad_enabled():
            gradient = gradient if y is None else _Slope.apply(gradient, y, ctx.slope)
            parts = (
                _Convolution.apply(gradient, weight, None, geometry.adjoint(), None, execution) if wanted[0] else None,
                _WeightGradient.apply(x, gradient, weight, geometry, execution) if wanted[1] else None,
                gradient.sum((0, 2, 3)) if wanted[2] else None,
            )
        else:
            gradient = gradient if y is None else _aten.leaky_relu_backward(gradient, y, ctx.slope, True)
            parts = cpu.convolution_backward(gradient, x, weight, geometry, wanted, execution.kernels)
        return *parts, None, None, None


def convolve(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    geometry: Geometry,
    slope: float | None = None,
    execution: Execution = DEFAULT,
) -> Tensor:
    """Convolve, add the bias, apply a leaky ReLU.

    Args:
        x: input, [N, C, h, w].
        weight: kernel, [C', C / groups, kh, kw], or [C, C' / groups, kh, kw] if the geometry is transposed.
        bias: bias [C'], or None.
        geometry: stride, padding, whether the convolution is transposed, and groups.
        slope: negative slope of the leaky ReLU; None for a linear layer.
        execution: settings of the computation.

    Returns:
        [N, C', h', w'] in channels_last memory order.
    """
    if execution.reference:
        stride, padding, transposed, groups = geometry
        if transposed:
            x = F.conv_transpose2d(x, weight, bias, stride, padding, groups=groups)
        else:
            x = F.conv2d(x, weight, bias, stride, padding, groups=groups)
        return x if slope is None else F.leaky_relu(x, slope)
    if execution.kernels != "torch" and torch.compiler.is_compiling():
        execution = replace(execution, kernels="torch")  # exported programs run without this package's kernels
    if x.device.type in AUTOCAST and torch.is_autocast_enabled(x.device.type):
        # Autocast does this cast for PyTorch's own operations.
        kind = torch.get_autocast_dtype(x.device.type)
        x, weight, bias = x.to(kind), weight.to(kind), None if bias is None else bias.to(kind)
    y: Tensor = _Convolution.apply(x, weight, bias, geometry, slope, execution)
    return y


def leaky_relu(x: Tensor, slope: float, execution: Execution = DEFAULT) -> Tensor:
    """Return `x` where it is above zero and `slope` times `x` below; `slope` is not negative."""
    if execution.reference:
        return F.leaky_relu(x, slope)
    y: Tensor = _LeakyReLU.apply(x, slope)
    return y


class _PixelNorm(Function):
    """y = x r with r = 1 / sqrt(mean(x^2) + epsilon). The gradient of x is r (g - y mean(g y))."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, execution: Execution | None = None) -> Tensor:
        kernels = "torch" if execution is None or execution.reference else execution.kernels
        # Exported programs run without this package's kernels, and a graph compiler fuses PyTorch's operations with
        # others.
        if kernels != "torch" and not (torch.compiler.is_compiling() or is_traced()) and cpu.suits_norm(x, kernels):
            y, ctx.scale = _pggan.pixel_norm(x, EPSILON)
        else:
            # In 16 bits, a sum of squares has an error of several percent, and adding epsilon has no effect.
            wide = x.float() if x.dtype in HALF else x
            ctx.scale = wide.square().mean(1, keepdim=True).add_(EPSILON).rsqrt_()
            ctx.scale = ctx.scale.to(x.dtype) if x.dtype in HALF else ctx.scale
            y = x * ctx.scale
            kernels = "torch"
        ctx.kernels = kernels
        ctx.save_for_backward(x, y)
        result: Tensor = y
        return result

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        x, y = ctx.saved_tensors
        (gradient,) = gradients
        if not torch.is_grad_enabled() and ctx.kernels != "torch":
            return _pggan.pixel_norm_backward(gradient, y, ctx.scale), None
        along = (gradient * y).mean(1, keepdim=True)
        if torch.is_grad_enabled():  # double backward needs the scale as a function of x
            scale = (x.square().mean(1, keepdim=True) + EPSILON).rsqrt()
            return (gradient - y * along) * scale, None
        return torch.addcmul(gradient, y, along, value=-1).mul_(ctx.scale), None


pixel_norm: Callable[..., Tensor] = _PixelNorm.apply
"""Scale each position's channels (axis 1 of [N, C, ...]) to mean square 1 (Karras et al. 2018, section 4.2).

A second argument, the network's `Execution`, lets a CPU use the native kernel.
"""


def upsample(x: Tensor, factor: Pair, mode: str = "nearest") -> Tensor:
    """Enlarge [N, C, h, w] by `factor` along height and width; mode ``nearest`` or ``bilinear``."""
    if factor == (1, 1):
        return x
    corners = False if mode == "bilinear" else None
    return F.interpolate(x, scale_factor=(float(factor[0]), float(factor[1])), mode=mode, align_corners=corners)


def downsample(x: Tensor, factor: Pair) -> Tensor:
    """Shrink [N, C, h, w] by the mean over boxes of `factor`."""
    return x if factor == (1, 1) else F.avg_pool2d(x, factor)


def blur(x: Tensor, factor: Pair, execution: Execution = DEFAULT) -> Tensor:
    """Smooth [N, C, h, w] by [1, 2, 1] / 4 along each axis whose factor is not 1; edge pixels are repeated once.

    Applied after nearest x2, or before a 2x2 mean, the combined filter is [1, 3, 3, 1] (Karras et al. 2020, arXiv
    1912.04958, appendix B).
    """
    rows, columns = (2 if step == 1 else 1 for step in factor)
    off = torch.arange(-1, 2, device=x.device, dtype=x.dtype).abs()  # created on the device: no transfer to wait for
    taps = [(1 - off).relu() if step == 1 else (2 - off) / 4 for step in factor]
    kernel = torch.outer(*taps).expand(x.shape[1], 1, 3, 3)
    kernel = kernel[:, :, rows - 1 : 4 - rows, columns - 1 : 4 - columns].contiguous()
    x = F.pad(x, (2 - columns, 2 - columns, 2 - rows, 2 - rows), mode="replicate")
    return convolve(x, kernel, None, Geometry((1, 1), (0, 0), False, x.shape[1]), execution=execution)


def fade(x: Tensor, blend: Callable[[Tensor, Tensor], Tensor], factor: Pair) -> Tensor:
    """Blend images [N, C, h, w] with their version at the previous depth: blend(up(down(x)), x)."""
    return blend(upsample(downsample(x, factor), factor), x)
