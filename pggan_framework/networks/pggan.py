"""The generator and discriminator of Progressive Growing of GANs (Karras et al. 2018, arXiv 1710.10196, appendix A)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from pggan_framework.errors import UserError
from pggan_framework.growth import Growth
from pggan_framework.labels import LabelSpace
from pggan_framework.networks.base import DiscriminatorBase, FeatureMaps, GeneratorBase, Verdict
from pggan_framework.networks.functional import EPSILON, Pair, downsample, group_stddev, pixel_norm, upsample
from pggan_framework.networks.layers import RELU_GAIN, ScaledConv, ScaledLinear
from pggan_framework.registry import register

LEAK = 0.2


def _growth_of(shape: Sequence[int] | Growth) -> Growth:
    return shape if isinstance(shape, Growth) else Growth.of(shape)


def _check_kernel(name: str, kernel_size: int) -> None:
    if kernel_size < 1 or kernel_size % 2 == 0:
        raise UserError(f"{name}.kernel_size {kernel_size} is not an odd number above 0; usual: 3 or 5")


class _GeneratorBlock(nn.Module):
    """[N, C, h, w] -> [N, C', h', w']: enlarge, then two convolutions, each with activation and pixel norm."""

    def __init__(
        self, channels: Pair, factor: Pair, kernel: int, slope: float, wscale: bool, pixelnorm: bool, upsampling: str
    ) -> None:
        super().__init__()
        # Nearest is folded into the convolution; bilinear is a step of its own.
        self.bilinear = factor if upsampling == "bilinear" else (1, 1)
        up = (1, 1) if upsampling == "bilinear" else factor
        self.pixelnorm = pixelnorm
        self.first = ScaledConv(channels[0], channels[1], kernel, slope=slope, wscale=wscale, up=up)
        self.second = ScaledConv(channels[1], channels[1], kernel, slope=slope, wscale=wscale)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(upsample(x, self.bilinear, "bilinear"))
        x = self.second(pixel_norm(x) if self.pixelnorm else x)
        return pixel_norm(x) if self.pixelnorm else x


class _Seed(nn.Module):
    """Latents [N, F] -> [N, C, h, w] of the seed block: dense layer, then a convolution."""

    def __init__(
        self, latents: int, channels: int, size: Pair, kernel: int, slope: float, wscale: bool, pixelnorm: bool
    ) -> None:
        super().__init__()
        self.shape = (channels, *size)
        self.slope, self.pixelnorm = slope, pixelnorm
        # The gain is the Theano version's, whose fan-in counted the 16 positions.
        self.dense = ScaledLinear(latents, channels * size[0] * size[1], RELU_GAIN / 4, wscale, channels)
        self.conv = ScaledConv(channels, channels, kernel, slope=slope, wscale=wscale)

    def forward(self, latents: Tensor) -> Tensor:
        x = nn.functional.leaky_relu(self.dense(latents), self.slope).view(-1, *self.shape)
        x = x.contiguous(memory_format=torch.channels_last)
        x = self.conv(pixel_norm(x) if self.pixelnorm else x)
        return pixel_norm(x) if self.pixelnorm else x


@register("generator")
class Generator(GeneratorBase):
    """The progressively grown generator.

    Args:
        shape: [C, H, W] of the pictures at full depth, or their growth; given by the data.
        fmap_base: feature maps of a layer at 2**k pixels: fmap_base / 2**((k - 1) * fmap_decay), at most fmap_max.
        fmap_decay: how fast the number of feature maps falls with the resolution.
        fmap_max: most feature maps of any layer.
        latent_size: how many numbers a latent has; 512 if not given.
        normalize_latents: scale each latent to mean square 1.
        wscale: equalised learning rate, weights scaled at run time.
        pixelnorm: normalise each pixel's features after every convolution.
        leakyrelu: leaky ReLU with slope 0.2; else ReLU.
        tanh_at_end: limit the pictures to [-1, 1] by tanh.
        kernel_size: side of the convolutions, odd.
        upsampling: how blocks enlarge; bilinear is slower. The blend with the depth before is always nearest.
        label_space: what the pictures are labelled with; given by the data. Labels are joined to the latents, before
            these are normalised.
    """

    def __init__(
        self,
        shape: Sequence[int] | Growth,
        fmap_base: int = 8192,
        fmap_decay: float = 1.0,
        fmap_max: int = 512,
        latent_size: int | None = None,
        normalize_latents: bool = True,
        wscale: bool = True,
        pixelnorm: bool = True,
        leakyrelu: bool = True,
        tanh_at_end: bool = False,
        kernel_size: int = 3,
        upsampling: Literal["nearest", "bilinear"] = "nearest",
        label_space: LabelSpace | None = None,
    ) -> None:
        _check_kernel("Generator", kernel_size)
        growth = _growth_of(shape)
        super().__init__(growth, 512 if latent_size is None else latent_size, label_space)
        self.normalize_latents = normalize_latents
        self.tanh_at_end = tanh_at_end
        maps = FeatureMaps(growth, fmap_base, fmap_decay, fmap_max)
        slope = LEAK if leakyrelu else 0.0
        size = growth.seed
        inputs = self.latent_size + (label_space.width if label_space else 0)
        self.blocks = nn.ModuleList([_Seed(inputs, maps.at(0), size, kernel_size, slope, wscale, pixelnorm)])
        for depth in range(1, growth.max_depth + 1):
            channels = maps.at(depth - 1), maps.at(depth)
            block = _GeneratorBlock(channels, growth.factor(depth), kernel_size, slope, wscale, pixelnorm, upsampling)
            self.blocks.append(block)
        self.to_rgb = nn.ModuleList(
            [
                ScaledConv(maps.at(depth), growth.channels, 1, 1.0, wscale=wscale)
                for depth in range(growth.max_depth + 1)
            ]
        )

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Latents [N, latent_size], labels [N, width] or None -> pictures [N, C, h, w] at the current depth.

        Raises:
            ValueError: if labels are given to a generator that is not conditioned, or are missing.
        """
        self.check_labels(labels, len(latents))
        inputs = latents if labels is None else torch.cat([latents, labels], 1)
        x = self.blocks[0](pixel_norm(inputs) if self.normalize_latents else inputs)
        before = x
        for block in list(self.blocks)[1 : self.depth + 1]:
            before, x = x, block(x)
        x = self.to_rgb[self.depth](x)
        if self.fading:
            old = upsample(self.to_rgb[self.depth - 1](before), self.growth.factor(self.depth))
            x = torch.lerp(old, x, self.alpha)
        return torch.tanh(x) if self.tanh_at_end else x


class _DiscriminatorBlock(nn.Module):
    """[N, C, h, w] -> [N, C', h', w']: two convolutions, shrinking before or after the second one's activation."""

    def __init__(
        self, channels: Pair, factor: Pair, kernel: int, slope: float, wscale: bool, fused_downscale: bool
    ) -> None:
        super().__init__()
        self.mean = (1, 1) if fused_downscale else factor
        down = factor if fused_downscale else (1, 1)
        self.first = ScaledConv(channels[0], channels[0], kernel, slope=slope, wscale=wscale)
        self.second = ScaledConv(channels[0], channels[1], kernel, slope=slope, wscale=wscale, down=down)

    def forward(self, x: Tensor) -> Tensor:
        return downsample(self.second(self.first(x)), self.mean)


class _Head(nn.Module):
    """[N, C, h, w] of the seed block -> features [N, F]: minibatch stddev, a convolution, a dense layer."""

    def __init__(
        self,
        channels: Pair,
        size: Pair,
        kernel: int,
        slope: float,
        wscale: bool,
        mbstd: str,
        mbstd_group: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.slope, self.mbstd, self.mbstd_group = slope, mbstd, mbstd_group
        extra = mbstd != "none"
        self.conv = ScaledConv(channels[0] + extra, channels[0], kernel, slope=slope, wscale=wscale)
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()
        self.dense = ScaledLinear(channels[0] * size[0] * size[1], channels[1], wscale=wscale)

    def forward(self, x: Tensor, parts: int) -> Tensor:
        if self.mbstd != "none":
            deviation = torch.cat([self.deviation(part) for part in x.chunk(parts)])
            x = torch.cat([x, deviation.view(-1, 1, 1, 1).expand(-1, 1, *x.shape[2:])], 1)
            x = x.contiguous(memory_format=torch.channels_last)
        return nn.functional.leaky_relu(self.dense(self.dropout(self.conv(x).flatten(1))), self.slope)

    def deviation(self, x: Tensor) -> Tensor:
        """[N, C, h, w] -> [N]."""
        if self.mbstd == "flat":
            return (x.var(unbiased=False) + EPSILON).sqrt().expand(x.shape[0])
        return group_stddev(x, self.mbstd_group if self.mbstd == "grouped" else x.shape[0])


@register("discriminator")
class Discriminator(DiscriminatorBase):
    """The progressively grown discriminator.

    Args:
        shape: [C, H, W] of the pictures at full depth, or their growth; given by the data.
        fmap_base: feature maps of a layer at 2**k pixels: fmap_base / 2**((k - 1) * fmap_decay), at most fmap_max.
        fmap_decay: how fast the number of feature maps falls with the resolution.
        fmap_max: most feature maps of any layer.
        wscale: equalised learning rate, weights scaled at run time.
        leakyrelu: leaky ReLU with slope 0.2; else ReLU.
        kernel_size: side of the convolutions, odd.
        mbstd: minibatch standard deviation over groups of samples (grouped), over all samples (batch), over samples
            and positions at once as some older code has it, which does not show a collapse (flat), or none.
        mbstd_group: most samples in a group.
        fused_downscale: take the 2x2 mean between the second convolution and its activation, as the official code
            does, which is faster; else after the activation.
        dropout: share of the features left out at random before the penultimate layer.
        label_space: what the pictures are labelled with; given by the data. The discriminator then also says which
            label a picture has (AC-GAN, Odena et al. 2017, arXiv 1610.09585); it is not told.
    """

    def __init__(
        self,
        shape: Sequence[int] | Growth,
        fmap_base: int = 8192,
        fmap_decay: float = 1.0,
        fmap_max: int = 512,
        wscale: bool = True,
        leakyrelu: bool = True,
        kernel_size: int = 3,
        mbstd: Literal["grouped", "flat", "batch", "none"] = "grouped",
        mbstd_group: int = 4,
        fused_downscale: bool = True,
        dropout: float = 0.0,
        label_space: LabelSpace | None = None,
    ) -> None:
        name = type(self).__name__
        _check_kernel(name, kernel_size)
        if not 0 <= dropout < 1:
            raise UserError(f"{name}.dropout {dropout} is not allowed; allowed: 0 (off) to below 1")
        if mbstd_group < 2:
            raise UserError(f"{name}.mbstd_group {mbstd_group} is below 2: one sample has no deviation")
        growth = _growth_of(shape)
        super().__init__(growth, label_space)
        maps = FeatureMaps(growth, fmap_base, fmap_decay, fmap_max)
        slope = LEAK if leakyrelu else 0.0
        inner = maps.at(0), maps.at(-1)
        head = _Head(inner, growth.seed, kernel_size, slope, wscale, mbstd, mbstd_group, dropout)
        self.blocks = nn.ModuleList([head])
        for depth in range(1, growth.max_depth + 1):
            channels = maps.at(depth), maps.at(depth - 1)
            self.blocks.append(
                _DiscriminatorBlock(channels, growth.factor(depth), kernel_size, slope, wscale, fused_downscale)
            )
        self.from_rgb = nn.ModuleList(
            [
                ScaledConv(growth.channels, maps.at(depth), 1, slope=slope, wscale=wscale)
                for depth in range(growth.max_depth + 1)
            ]
        )
        self.score = ScaledLinear(maps.at(-1), 1, 1.0, wscale)
        self.classify = ScaledLinear(maps.at(-1), label_space.width, 1.0, wscale) if label_space else None

    def judge(self, images: Tensor, labels: Tensor | None = None, parts: int = 1) -> Verdict:
        """Scores [N] and penultimate features [N, F] of pictures [N, C, h, w] at the current depth.

        Args:
            images: [N, C, h, w].
            labels: [N, width] or None; not looked at, since this discriminator is to find them.
            parts: how many equal batches `images` are; minibatch stddev stays within each.

        Raises:
            ValueError: if labels are given and it is not conditioned, or the pictures are not of the current depth's
                shape.
        """
        features = self.encode(images, labels, parts)
        logits = self.classify(features) if self.classify is not None else None
        return Verdict(self.score(features).squeeze(1), features, logits)

    def encode(self, images: Tensor, labels: Tensor | None = None, parts: int = 1) -> Tensor:
        """The penultimate features [N, F] of `judge`, whose arguments and errors it has."""
        if labels is not None:
            self.check_labels(labels, len(images))
        expected = self.growth.shape_at(self.depth)
        if tuple(images.shape[1:]) != expected:
            raise ValueError(f"pictures of shape {tuple(images.shape[1:])} at depth {self.depth}, not {expected}")
        images = images.contiguous(memory_format=torch.channels_last)
        x = self.from_rgb[self.depth](images)
        for depth in range(self.depth, 0, -1):
            x = self.blocks[depth](x)
            if depth == self.depth and self.fading:
                old = self.from_rgb[depth - 1](downsample(images, self.growth.factor(depth)))
                x = torch.lerp(old, x, self.alpha)
        features: Tensor = self.blocks[0](x, parts)
        return features
