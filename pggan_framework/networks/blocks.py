"""What the growing networks are made of, a block a depth."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from pggan_framework.errors import UserError
from pggan_framework.networks.execution import DEFAULT, Execution
from pggan_framework.networks.functional import Pair, downsample, leaky_relu, pixel_norm, upsample
from pggan_framework.networks.layers import RELU_GAIN, ScaledConv, ScaledLinear
from pggan_framework.networks.norms import BlockNorm
from pggan_framework.networks.stddev import flat_stddev, group_stddev
from pggan_framework.schedules.growth import Growth

LEAK = 0.2


@dataclass(frozen=True)
class Layers:
    """What all layers of a network have in common.

    Args:
        kernel: odd side of the convolutions.
        leaky: leaky ReLU with slope 0.2; else ReLU.
        wscale: equalised learning rate.
        norm: what follows each convolution of the blocks.
        spectral: divide every weight by its largest singular value.
        running: with norm ``batch``, use averages over the training in eval mode.
    """

    kernel: int
    leaky: bool
    wscale: bool
    norm: BlockNorm
    spectral: bool
    running: bool = False

    @property
    def slope(self) -> float:
        """Of the activation below zero."""
        return LEAK if self.leaky else 0.0

    def conv(self, channels: Pair, up: Pair = (1, 1), down: Pair = (1, 1)) -> ScaledConv:
        """A convolution of a block, from and to so many channels; it enlarges or shrinks by these factors."""
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
        )

    def image(self, channels: Pair, **options: Any) -> ScaledConv:
        """A 1x1 convolution from or to pictures: no norm; further `options` as in `ScaledConv`."""
        return ScaledConv(*channels, 1, wscale=self.wscale, spectral=self.spectral, **options)

    def dense(self, features: Pair, gain: float = RELU_GAIN, channels: int | None = None) -> ScaledLinear:
        """A dense layer, from and to so many features."""
        return ScaledLinear(*features, gain, self.wscale, channels, self.spectral)

    def check(self, network: str, growth: Growth) -> None:
        """See that the options go together with each other and the shapes.

        Raises:
            UserError: if not.
        """
        if self.kernel < 1 or self.kernel % 2 == 0:
            raise UserError(f"{network}.kernel_size {self.kernel} is not an odd number above 0; usual: 3 or 5")
        if self.norm == "instance" and growth.seed == (1, 1):
            raise UserError(f"{network}.norm instance needs a seed block of several pixels, not 1x1; set seed_shape")


def check_share(network: str, name: str, share: float) -> None:
    """See that a share left out by dropout is one.

    Raises:
        UserError: if it is not.
    """
    if not 0 <= share < 1:
        raise UserError(f"{network}.{name} {share} is not allowed; allowed: 0 (off) to below 1")


def _dropout(share: float) -> nn.Module:
    return nn.Dropout(share) if share else nn.Identity()


class SeedBlock(nn.Module):
    """Latents [N, F] -> [N, C, h, w]: dense layer, then a convolution, each with activation and pixel norm.

    Args:
        latents: F.
        channels: C.
        size: h and w.
        layers: what all layers have.
        pixelnorm: normalise each pixel's features.
        position_bias: a bias of the dense layer for each position, not only for each channel.
    """

    def __init__(
        self, latents: int, channels: int, size: Pair, layers: Layers, pixelnorm: bool, position_bias: bool = False
    ) -> None:
        super().__init__()
        self.shape = (channels, *size)
        self.slope, self.pixelnorm = layers.slope, pixelnorm
        # The gain is the Theano version's, whose fan-in counted the 16 positions.
        biases = None if position_bias else channels
        self.dense = layers.dense((latents, channels * size[0] * size[1]), RELU_GAIN / 4, biases)
        self.conv = layers.conv((channels, channels))

    def forward(self, latents: Tensor) -> Tensor:
        """[N, F] -> [N, C, h, w]."""
        x = nn.functional.leaky_relu(self.dense(latents), self.slope).view(-1, *self.shape)
        x = x.contiguous(memory_format=torch.channels_last)
        x = self.conv(pixel_norm(x) if self.pixelnorm else x)
        return pixel_norm(x) if self.pixelnorm else x


class GeneratorBlock(nn.Module):
    """[N, C, h, w] -> [N, C', h', w']: enlarge, then two convolutions, each with norm, activation and pixel norm.

    Args:
        channels: C and C'.
        factor: how much it enlarges height and width.
        layers: what all layers have.
        pixelnorm: normalise each pixel's features.
        upsampling: nearest or bilinear.
    """

    def __init__(self, channels: Pair, factor: Pair, layers: Layers, pixelnorm: bool, upsampling: str) -> None:
        super().__init__()
        # Nearest is folded into the convolution; bilinear is a step of its own.
        self.bilinear = factor if upsampling == "bilinear" else (1, 1)
        up = (1, 1) if upsampling == "bilinear" else factor
        self.pixelnorm = pixelnorm
        self.first = layers.conv(channels, up=up)
        self.second = layers.conv((channels[1], channels[1]))

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, h, w] -> [N, C', h', w']."""
        x = self.first(upsample(x, self.bilinear, "bilinear"))
        x = self.second(pixel_norm(x) if self.pixelnorm else x)
        return pixel_norm(x) if self.pixelnorm else x


class DiscriminatorBlock(nn.Module):
    """[N, C, h, w] -> [N, C', h', w']: two convolutions, shrinking before or after the second one's activation.

    Args:
        channels: C and C'.
        factor: how much it shrinks height and width.
        layers: what all layers have.
        fused_downscale: shrink before the second activation.
        dropout: share of the output's values left out at random.
    """

    def __init__(self, channels: Pair, factor: Pair, layers: Layers, fused_downscale: bool, dropout: float) -> None:
        super().__init__()
        self.mean = (1, 1) if fused_downscale else factor
        self.first = layers.conv((channels[0], channels[0]))
        self.second = layers.conv(channels, down=factor if fused_downscale else (1, 1))
        self.dropout = _dropout(dropout)

    def forward(self, x: Tensor, parts: int) -> Tensor:
        """[N, C, h, w], which is `parts` batches -> [N, C', h', w']."""
        x = self.second(self.first(x, parts), parts)
        dropped: Tensor = self.dropout(downsample(x, self.mean))
        return dropped


class Head(nn.Module):
    """[N, C, h, w] of the seed block -> features [N, F]: minibatch stddev, a convolution, a dense layer.

    Args:
        channels: C and F.
        size: h and w.
        layers: what all layers have.
        mbstd: kind of minibatch stddev: grouped, batch, flat or none.
        mbstd_group: most samples in a group.
        dropout: share of the values left out before the dense layer.
    """

    execution: Execution = DEFAULT

    def __init__(
        self, channels: Pair, size: Pair, layers: Layers, mbstd: str, mbstd_group: int, dropout: float
    ) -> None:
        super().__init__()
        self.slope, self.mbstd = layers.slope, mbstd
        # [N, C, h, w] -> [N]; over the whole batch it is one group.
        self._stddev = (
            flat_stddev if mbstd == "flat" else partial(group_stddev, group=mbstd_group if mbstd == "grouped" else None)
        )
        extra = mbstd != "none"
        self.conv = layers.conv((channels[0] + extra, channels[0]))
        self.dropout = _dropout(dropout)
        self.dense = layers.dense((channels[0] * size[0] * size[1], channels[1]))

    def forward(self, x: Tensor, parts: int) -> Tensor:
        """[N, C, h, w], which is `parts` batches -> [N, F]."""
        if self.mbstd != "none":
            deviation = self._stddev(x, parts=parts).to(x.dtype)
            # Channels last, as a convolution takes them: along axis 1 they would be joined in the other order first.
            x = x.permute(0, 2, 3, 1)
            x = torch.cat([x, deviation.view(-1, 1, 1, 1).expand(*x.shape[:3], 1)], 3).permute(0, 3, 1, 2)
        x = self.dropout(self.conv(x, parts).flatten(1))
        return leaky_relu(self.dense(x), self.slope, self.execution)
