"""The operations both networks are made of: convolution with activation, pixel norm, resizing.

A gradient penalty differentiates D twice. PyTorch's own double backward of a convolution computes the weight gradient
by an unusually shaped convolution, and a leaky ReLU's second derivative sends zeros through the whole network. The
functions here give the same values at every order and do neither. What no gradient reaches gets None from them, where
autograd would by default fill in zeros and send these through what lies before.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import Function

from pggan_framework.cpu import winograd
from pggan_framework.cpu.weight_gradients import apart, weight_gradient

Pair = tuple[int, int]
EPSILON = 1e-8

_aten: Any = torch.ops.aten
_inputs_only = False
_plain = False


@contextmanager
def input_gradients_only() -> Iterator[None]:
    """Within it, a backward pass leaves out the gradients of convolution weights and biases.

    For ``autograd.grad(scores, images, create_graph=True)``: a Python autograd function is not told which gradients
    are wanted, and would compute and keep those of the weights for nothing.
    """
    global _inputs_only
    before, _inputs_only = _inputs_only, True
    try:
        yield
    finally:
        _inputs_only = before


@contextmanager
def plain_operations() -> Iterator[None]:
    """Within it, layers compute what they mean in PyTorch's own operations, one after the other: the reference.

    Resizes are not folded into kernels, nothing is computed together or shared, and derivatives are autograd's.
    """
    global _plain
    before, _plain = _plain, True
    try:
        yield
    finally:
        _plain = before


def plain() -> bool:
    """Whether `plain_operations` holds."""
    return _plain


def full_precision(x: Tensor) -> AbstractContextManager[None]:
    """Within it nothing is computed in 16 bits because of an autocast for the device of `x`: for weights."""
    if not _casts(x):
        return nullcontext()
    return cast(AbstractContextManager[None], torch.autocast(x.device.type, enabled=False))


def _casts(x: Tensor) -> bool:
    return x.device.type in ("cpu", "cuda") and torch.is_autocast_enabled(x.device.type)


class _Slope(Function):
    """The backward of a leaky ReLU: gradient [N, C, h, w] times 1 or `slope`, by the sign of the output."""

    @staticmethod
    def forward(ctx: Any, gradient: Tensor, output: Tensor, slope: float) -> Tensor:
        ctx.save_for_backward(output)
        ctx.slope = slope
        ctx.set_materialize_grads(False)
        return cast(Tensor, _aten.leaky_relu_backward(gradient, output, slope, True))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        (output,) = ctx.saved_tensors
        if gradients[0] is None:
            return None, None, None
        return _Slope.apply(gradients[0], output, ctx.slope), None, None


class _LeakyReLU(Function):
    """A leaky ReLU whose second derivative is left out rather than computed as zeros."""

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
        ctx: Any, x: Tensor, gradient: Tensor, weight: Tensor, stride: Pair, padding: Pair, transposed: bool
    ) -> Tensor:
        ctx.save_for_backward(x, gradient)
        ctx.set_materialize_grads(False)
        ctx.geometry = stride, padding
        ctx.transposed = transposed
        return weight_gradient(x, gradient, weight, stride, padding, transposed)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        x, gradient = ctx.saved_tensors
        (weight,) = gradients
        if weight is None:
            return (None,) * 6
        stride, padding = ctx.geometry
        to_x = to_gradient = None
        if ctx.needs_input_grad[0]:
            to_x = convolve(gradient, weight, None, stride, padding, not ctx.transposed)
        if ctx.needs_input_grad[1]:
            to_gradient = convolve(x, weight, None, stride, padding, ctx.transposed)
        return to_x, to_gradient, None, None, None, None


def _values(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Pair,
    padding: Pair,
    transposed: bool,
    slope: float | None = None,
) -> Tensor:
    """What `convolve` returns, without a graph."""
    if winograd.suits(x, weight, stride, padding, transposed):
        return winograd.winograd(x, weight, bias, transposed, slope)
    y: Tensor = _aten.convolution(x, weight, bias, stride, padding, (1, 1), transposed, (0, 0), 1)
    # With one channel the two memory formats look alike and the NCHW one is chosen: undo that.
    y = y.contiguous(memory_format=torch.channels_last)
    return y if slope is None else F.leaky_relu_(y, slope)


class _Convolution(Function):
    """Convolution, bias and leaky ReLU; its derivatives are made of the three functions here, to any order."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        stride: Pair,
        padding: Pair,
        transposed: bool,
        slope: float | None,
    ) -> Tensor:
        y = _values(x, weight, bias, stride, padding, transposed, slope)
        ctx.save_for_backward(x, weight, None if slope is None else y)
        ctx.geometry = stride, padding
        ctx.transposed, ctx.slope = transposed, slope
        ctx.set_materialize_grads(False)
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        x, weight, y = ctx.saved_tensors
        (gradient,) = gradients
        if gradient is None:
            return (None,) * 8
        stride, padding = ctx.geometry
        if y is not None:
            gradient = _Slope.apply(gradient, y, ctx.slope)
        to_x, to_weight, to_bias = ctx.needs_input_grad[:3]
        if _inputs_only:
            to_weight = to_bias = False
        if torch.is_grad_enabled():
            parts = (
                convolve(gradient, weight, None, stride, padding, not ctx.transposed) if to_x else None,
                _WeightGradient.apply(x, gradient, weight, *ctx.geometry, ctx.transposed) if to_weight else None,
                gradient.sum((0, 2, 3)) if to_bias else None,
            )
        elif apart(gradient):
            parts = (
                _values(gradient, weight, None, stride, padding, not ctx.transposed) if to_x else None,
                weight_gradient(x, gradient, weight, stride, padding, ctx.transposed) if to_weight else None,
                gradient.sum((0, 2, 3)) if to_bias else None,
            )
        else:
            mask = to_x, to_weight, to_bias
            channels = [gradient.shape[1]] if to_bias else None
            parts = _aten.convolution_backward(
                gradient, x, weight, channels, *ctx.geometry, (1, 1), ctx.transposed, (0, 0), 1, mask
            )
        return *parts, None, None, None, None


def convolve(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Pair,
    padding: Pair,
    transposed: bool = False,
    slope: float | None = None,
) -> Tensor:
    """Convolve, add the bias, apply a leaky ReLU.

    Args:
        x: [N, C, h, w].
        weight: [C', C, kh, kw], or [C, C', kh, kw] if `transposed`.
        bias: [C'] or None.
        stride: step along height and width.
        padding: zeros added along height and width.
        transposed: the adjoint of the convolution with this geometry.
        slope: of the leaky ReLU below zero; None for a linear layer.

    Returns:
        [N, C', h', w'] in channels_last memory order.
    """
    if _plain:
        x = (F.conv_transpose2d if transposed else F.conv2d)(x, weight, bias, stride, padding)
        return x if slope is None else F.leaky_relu(x, slope)
    if _casts(x):
        # Which autocast does for PyTorch's own operations.
        kind = torch.get_autocast_dtype(x.device.type)
        x, weight, bias = x.to(kind), weight.to(kind), None if bias is None else bias.to(kind)
    return cast(Tensor, _Convolution.apply(x, weight, bias, stride, padding, transposed, slope))


def leaky_relu(x: Tensor, slope: float) -> Tensor:
    """`x` where it is above zero, `slope` times it below; `slope` is not negative."""
    return F.leaky_relu(x, slope) if _plain else cast(Tensor, _LeakyReLU.apply(x, slope))


def pixel_norm(x: Tensor) -> Tensor:
    """Scale each position's channels (axis 1 of [N, C, ...]) to mean square 1 (Karras et al. 2018, section 4.2)."""
    # In 16 bits a sum of squares is off by percents, and what is added to it is nothing.
    wide = x.float() if x.dtype in (torch.bfloat16, torch.float16) else x
    return x * torch.rsqrt(wide.square().mean(1, keepdim=True) + EPSILON).to(x.dtype)


def upsample(x: Tensor, factor: Pair, mode: str = "nearest") -> Tensor:
    """Enlarge [N, C, h, w] by `factor` along height and width; mode ``nearest`` or ``bilinear``."""
    if factor == (1, 1):
        return x
    corners = False if mode == "bilinear" else None
    return F.interpolate(x, scale_factor=(float(factor[0]), float(factor[1])), mode=mode, align_corners=corners)


def downsample(x: Tensor, factor: Pair) -> Tensor:
    """Shrink [N, C, h, w] by the mean over boxes of `factor`."""
    return x if factor == (1, 1) else F.avg_pool2d(x, factor)


def fade(x: Tensor, alpha: Tensor, factor: Pair) -> Tensor:
    """Blend pictures [N, C, h, w] with what the depth before would see of them: lerp(up(down(x)), x, alpha)."""
    return torch.lerp(upsample(downsample(x, factor), factor), x, alpha)
