"""Layers with the equalized learning rate (Karras et al. 2018, section 4.1), their norms and activations."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pggan_framework.errors import UserError
from pggan_framework.networks.execution import DEFAULT, Execution
from pggan_framework.networks.functional import (
    Geometry,
    Pair,
    blur,
    convolve,
    downsample,
    leaky_relu,
    upsample,
)
from pggan_framework.networks.norms import BlockNorm, LocalResponseNorm, Norm, SpectralNorm
from pggan_framework.schedules.growth import Growth

RELU_GAIN = sqrt(2)
"""Gain of a layer before a (leaky) ReLU; He et al. 2015."""
LEAK = 0.2


class ScaledConv(nn.Module):
    """Convolution with "same" padding, bias and leaky ReLU; enlarges by nearest x2 before, or by 2x2 means after it.

    The resize is folded into the kernel, so no position is computed twice; the mean is between the convolution and the
    activation. A norm comes before the activation, with its own bias instead of the convolution's; ``local_response``
    comes after the activation, as in its paper.

    Args:
        channels_in: C of the input [N, C, h, w].
        channels_out: C of the output.
        kernel: odd side of the kernel.
        gain: the weights' standard deviation is ``gain / sqrt(fan_in)``.
        slope: negative slope of the leaky ReLU; None for a linear layer.
        wscale: draw weights from N(0, 1) and scale them in every forward pass; else draw them already scaled.
        up: enlarge by this factor along height and width.
        down: shrink by this factor.
        norm: normalization of the output.
        running: with norm ``batch``, use averages over the training in eval mode.
        spectral: divide the scaled kernel, before any resize is folded in, by its largest singular value. The kernel's
            size
            then has no effect: `wscale` only sets the learning rate.
        filtered: resize by the filter [1, 3, 3, 1] instead: apply `blur` after enlarging, or before shrinking.
        bias: add one number to each channel.
    """

    execution: Execution = DEFAULT
    made: tuple[Tensor, Tensor | None] | None = None
    """Kernel and bias that a `Folding` has made already, for the time of an update."""
    folds_once: bool = True
    """Whether a `Folding` may make them: not if the weight is also read directly, whose gradient it would miss."""

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        kernel: int,
        gain: float = RELU_GAIN,
        slope: float | None = None,
        wscale: bool = True,
        up: Pair = (1, 1),
        down: Pair = (1, 1),
        norm: BlockNorm = "none",
        running: bool = False,
        spectral: bool = False,
        filtered: bool = False,
        bias: bool = True,
    ) -> None:
        super().__init__()
        scale = gain / sqrt(channels_in * kernel**2)
        weight = torch.randn(channels_out, channels_in, kernel, kernel) * (1 if wscale else scale)
        # In the images' memory order, in which convolutions read kernels and write their gradients, so none is copied.
        self.weight = nn.Parameter(weight.contiguous(memory_format=torch.channels_last))
        biased = bias and norm in ("none", "local_response")
        self.bias = nn.Parameter(torch.zeros(channels_out)) if biased else None
        self.scale = scale if wscale else 1.0
        self.slope = slope
        self.norm = None if norm == "none" or norm == "local_response" else Norm(norm, channels_out, running)
        self.response = LocalResponseNorm() if norm == "local_response" else None
        self.spectral = SpectralNorm(channels_out) if spectral else None
        enlarges = up != (1, 1)
        self.geometry = Geometry(up if enlarges else down, (kernel // 2, kernel // 2), enlarges)
        self.resized = self.geometry.stride != (1, 1)
        self.blurs = ("after" if enlarges else "before") if filtered and self.resized else "never"

    def forward(self, x: Tensor, parts: int = 1) -> Tensor:
        """[N, C, h, w] -> [N, C', h', w'], consisting of `parts` equal batches with separate statistics."""
        factor, late = self.geometry.stride, self.norm is not None or self.blurs == "after"
        slope = None if late else self.slope
        x = blur(x, factor, self.execution) if self.blurs == "before" else x
        if self.execution.reference:
            x = self._step_by_step(x)
            x = x if slope is None else leaky_relu(x, slope, self.execution)
        else:
            kernel, bias = (self.folded(), self.bias) if self.made is None else self.made
            x = convolve(x, kernel, bias, self.geometry, slope, self.execution)
        x = blur(x, factor, self.execution) if self.blurs == "after" else x
        x = x if self.norm is None else self.norm(x, parts)
        x = leaky_relu(x, self.slope, self.execution) if late and self.slope is not None else x
        return x if self.response is None else self.response(x)

    def folded(self) -> Tensor:
        """The kernel: the scaled weight with the resize folded in."""
        weight = self.weight * self.scale  # the equalized learning rate
        return self.with_resize(weight if self.spectral is None else self.spectral(weight))

    def with_resize(self, weight: Tensor) -> Tensor:
        """Fold the resize into a scaled weight.

        The result has the images' memory order; otherwise each convolution would copy it.

        A convolution followed by a mean of 2 is one convolution of stride 2 whose kernel is the mean of two shifted
        copies;
        nearest x2 followed by a convolution is a transposed convolution of stride 2 whose kernel is the sum of two
        shifted
        copies, flipped. Both are a pooling of the kernel.
        """
        stride, _, enlarges, _ = self.geometry
        if self.resized:
            edge = (stride[0] - 1, stride[1] - 1)
            weight = weight.flip(2, 3).transpose(0, 1) if enlarges else weight
            weight = F.avg_pool2d(weight, stride, 1, edge, divisor_override=1 if enlarges else None)
        return weight.contiguous(memory_format=torch.channels_last)

    def _step_by_step(self, x: Tensor) -> Tensor:
        """Compute the same as the folded convolution with PyTorch's own operations."""
        stride, padding, enlarges, _ = self.geometry
        x = upsample(x, stride) if enlarges else x
        weight = self.weight * self.scale
        x = F.conv2d(x, weight if self.spectral is None else self.spectral(weight), self.bias, padding=padding)
        return x if enlarges else downsample(x, stride)


class PlainConv(nn.Module):
    """A grouped convolution with "same" padding. Its weights are drawn from N(0, gain^2 / fan_in) and not rescaled.

    Args:
        channels: C and C' of [N, C, h, w] -> [N, C', h, w].
        kernel: odd side of the kernel.
        gain: factor of the initial standard deviation; 0: all weights are zero.
        groups: number of channel groups that are convolved separately.
        slope: negative slope of a leaky ReLU at the end, preceded by a bias; None for neither.
    """

    execution: Execution = DEFAULT

    def __init__(
        self, channels: Pair, kernel: int = 1, gain: float = 1.0, groups: int = 1, slope: float | None = None
    ) -> None:
        super().__init__()
        shape = channels[1], channels[0] // groups, kernel, kernel
        self.weight = nn.Parameter(torch.randn(shape) * gain / sqrt(shape[1] * kernel**2))
        self.bias = None if slope is None else nn.Parameter(torch.zeros(channels[1]))
        self.geometry, self.slope = Geometry((1, 1), (kernel // 2, kernel // 2), groups=groups), slope

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, h, w] -> [N, C', h, w]."""
        weight = self.weight.contiguous(memory_format=torch.channels_last)
        return convolve(x, weight, self.bias, self.geometry, self.slope, self.execution)


class ScaledLinear(nn.Module):
    """A dense layer. Its outputs have one bias each, or `channels` biases that several positions share.

    Args:
        features_in: F of the input [N, F].
        features_out: F of the output.
        gain: the weights' standard deviation is ``gain / sqrt(features_in)``.
        wscale: as in `ScaledConv`.
        channels: number of biases; by default one per output.
        spectral: as in `ScaledConv`.
    """

    execution: Execution = DEFAULT

    def __init__(
        self,
        features_in: int,
        features_out: int,
        gain: float = RELU_GAIN,
        wscale: bool = True,
        channels: int | None = None,
        spectral: bool = False,
    ) -> None:
        super().__init__()
        scale = gain / sqrt(features_in)
        self.weight = nn.Parameter(torch.randn(features_out, features_in) * (1 if wscale else scale))
        self.bias = nn.Parameter(torch.zeros(channels or features_out))
        self.scale = scale if wscale else 1.0
        self.spectral = SpectralNorm(features_out) if spectral else None

    def forward(self, x: Tensor) -> Tensor:
        """[N, F] -> [N, F']."""
        repeats = self.weight.shape[0] // self.bias.shape[0]
        bias = self.bias if repeats == 1 else self.bias.repeat_interleave(repeats)
        if self.spectral is None and not self.execution.reference:
            # Equivalent to scaling the weight, and there are fewer inputs than weights.
            return F.linear(x * self.scale, self.weight, bias)
        weight = self.weight * self.scale
        return F.linear(x, weight if self.spectral is None else self.spectral(weight), bias)


@dataclass(frozen=True)
class Layers:
    """Common settings of all layers of a network.

    Args:
        kernel: odd side of the convolutions.
        leaky: leaky ReLU with slope 0.2; else ReLU.
        wscale: equalized learning rate.
        norm: normalization after each convolution of the blocks.
        spectral: divide every weight by its largest singular value.
        running: with norm ``batch``, use averages over the training in eval mode.
        filtered: resize by the filter [1, 3, 3, 1], not by nearest x2 and 2x2 means.
    """

    kernel: int
    leaky: bool
    wscale: bool
    norm: BlockNorm
    spectral: bool
    running: bool = False
    filtered: bool = False

    @property
    def slope(self) -> float:
        """Negative slope of the activation."""
        return LEAK if self.leaky else 0.0

    def conv(self, channels: Pair, up: Pair = (1, 1), down: Pair = (1, 1)) -> ScaledConv:
        """Create a convolution of a block from C to C' channels that enlarges or shrinks by the given factors."""
        return ScaledConv(
            *channels,
            self.kernel,
            slope=self.slope,
            wscale=self.wscale,
            up=up,
            down=down,
            norm=self.norm,
            running=self.running,
            spectral=self.spectral,
            filtered=self.filtered,
        )

    def image(self, channels: Pair, **options: Any) -> ScaledConv:
        """Create a 1x1 convolution without a norm; further `options` as in `ScaledConv`."""
        return ScaledConv(*channels, 1, wscale=self.wscale, spectral=self.spectral, filtered=self.filtered, **options)

    def dense(self, features: Pair, gain: float = RELU_GAIN, channels: int | None = None) -> ScaledLinear:
        """Create a dense layer from F to F' features."""
        return ScaledLinear(*features, gain, self.wscale, channels, self.spectral)

    def check(self, network: str, growth: Growth) -> None:
        """Check that the options are compatible with each other and with the shapes.

        Raises:
            UserError: if they are not.
        """
        if self.kernel < 1 or self.kernel % 2 == 0:
            raise UserError(f"{network}.kernel_size {self.kernel} is not an odd number above 0; usual: 3 or 5")
        if self.norm == "instance" and growth.seed == (1, 1):
            raise UserError(f"{network}.norm instance needs a seed block of several pixels, not 1x1; set seed_shape")


def check_share(network: str, name: str, share: float) -> None:
    """Check that a dropout rate is a fraction below 1.

    Raises:
        UserError: if it is not.
    """
    if not 0 <= share < 1:
        raise UserError(f"{network}.{name} {share} is not allowed; allowed: 0 (off) to below 1")
