"""R3GAN's networks (Huang et al. 2024, arXiv 2501.05441): residual, grouped convolutions, no normalization; grown."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from typing import ClassVar

import torch
from torch import Tensor, nn

from pggan_framework.errors import UserError
from pggan_framework.labels.attributes import LabelSpace
from pggan_framework.networks.base import FeatureMaps, Verdict, growth_of
from pggan_framework.networks.blocks import BlockDiscriminator, BlockGenerator
from pggan_framework.networks.execution import DEFAULT, Execution
from pggan_framework.networks.functional import Pair, blur, downsample, upsample
from pggan_framework.networks.layers import LEAK, PlainConv
from pggan_framework.registry import register
from pggan_framework.schedules.growth import Growth

GAIN = sqrt(2 / (1 + LEAK**2))
"""Of a layer before a leaky ReLU (He et al. 2015)."""


def _dense(features: Pair, gain: float = 1.0) -> nn.Linear:
    """A dense layer without a bias, drawn from N(0, gain^2 / fan_in)."""
    layer = nn.Linear(*features, bias=False)
    nn.init.normal_(layer.weight, std=gain / sqrt(features[0]))
    return layer


class Residual(nn.Module):
    """x + 1x1(act(grouped 3x3(act(1x1(x))))): an inverted bottleneck whose last kernel starts at zero.

    The other kernels have the gain ``GAIN * L ** -0.25``, where L is the number of such blocks in the network (fix-up
    initialization, Zhang et al. 2019, arXiv 1901.09321).

    Args:
        channels: C of [N, C, h, w].
        options: settings of the network.
    """

    def __init__(self, channels: int, options: _Options) -> None:
        super().__init__()
        inner = channels * options.expansion
        groups = max(inner // options.group_size, 1)
        inner = -(-inner // groups) * groups
        gain = GAIN * options.total**-0.25
        self.expand = PlainConv((channels, inner), 1, gain, slope=LEAK)
        self.mix = PlainConv((inner, inner), 3, gain, groups, slope=LEAK)
        self.reduce = PlainConv((inner, channels), gain=0.0)

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, h, w] -> [N, C, h, w]."""
        total: Tensor = x + self.reduce(self.mix(self.expand(x)))
        return total


class _Options:
    """Common settings of both networks, described in `R3GANGenerator`.

    Raises:
        UserError: if a number is outside its limits.
    """

    def __init__(self, network: str, growth: Growth, blocks: int, expansion: int, group_size: int) -> None:
        for name, value in (("blocks_per_depth", blocks), ("expansion", expansion), ("group_size", group_size)):
            if value < 1:
                raise UserError(f"{network}.{name} {value} is not allowed; allowed: 1 and up")
        self.blocks, self.expansion, self.group_size = blocks, expansion, group_size
        self.total = blocks * (growth.max_depth + 1)

    def residuals(self, channels: int) -> nn.Sequential:
        """The residual blocks of a depth."""
        return nn.Sequential(*(Residual(channels, self) for _ in range(self.blocks)))


class Basis(nn.Module):
    """Inputs [N, F] -> [N, C, h, w]: a learned image for each channel, scaled by a dense layer, then residual blocks.

    Args:
        features: number of inputs, F.
        shape: [C, h, w].
        options: settings of the network.
    """

    def __init__(self, features: int, shape: tuple[int, int, int], options: _Options) -> None:
        super().__init__()
        self.images = nn.Parameter(torch.randn(shape))
        self.scales = _dense((features, shape[0]))
        self.residuals = options.residuals(shape[0])

    def forward(self, inputs: Tensor) -> Tensor:
        """[N, F] -> [N, C, h, w]."""
        x = self.images * self.scales(inputs)[:, :, None, None]
        grown: Tensor = self.residuals(x.contiguous(memory_format=torch.channels_last))
        return grown


class Enlarge(nn.Module):
    """[N, C, h, w] -> [N, C', h', w']: a 1x1 convolution if C' differs from C, bilinear x2, then residual blocks.

    Args:
        channels: C and C'.
        factor: enlargement factors of height and width.
        options: settings of the network.
    """

    def __init__(self, channels: Pair, factor: Pair, options: _Options) -> None:
        super().__init__()
        self.factor = factor
        self.change = PlainConv(channels) if channels[0] != channels[1] else nn.Identity()
        self.residuals = options.residuals(channels[1])

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, h, w] -> [N, C', h', w']."""
        grown: Tensor = self.residuals(upsample(self.change(x), self.factor, "bilinear"))
        return grown


class Shrink(nn.Module):
    """[N, C, h, w] -> [N, C', h', w'], the reverse of `Enlarge`: residual blocks, filter [1, 3, 3, 1], 1x1 convolution.

    Args:
        channels: C and C'.
        factor: reduction factors of height and width.
        options: settings of the network.
    """

    execution: Execution = DEFAULT

    def __init__(self, channels: Pair, factor: Pair, options: _Options) -> None:
        super().__init__()
        self.factor = factor
        self.residuals = options.residuals(channels[0])
        self.change = PlainConv(channels) if channels[0] != channels[1] else nn.Identity()

    def forward(self, x: Tensor, parts: int) -> Tensor:
        """[N, C, h, w] -> [N, C', h', w']; samples are independent, so `parts` has no effect."""
        x = downsample(blur(self.residuals(x), self.factor, self.execution), self.factor)
        shrunk: Tensor = self.change(x)
        return shrunk


class Products(nn.Module):
    """[N, C, h, w] of the seed block -> [N, C]: residual blocks, then each channel's product with a learned image.

    Args:
        shape: [C, h, w].
        options: settings of the network.
    """

    def __init__(self, shape: tuple[int, int, int], options: _Options) -> None:
        super().__init__()
        self.residuals = options.residuals(shape[0])
        self.images = nn.Parameter(torch.randn(shape) / sqrt(shape[1] * shape[2]))

    def forward(self, x: Tensor, parts: int) -> Tensor:
        """[N, C, h, w] -> [N, C]; samples are independent, so `parts` has no effect."""
        features: Tensor = (self.residuals(x) * self.images).sum((2, 3))
        return features


@register("generator")
class R3GANGenerator(BlockGenerator):
    """R3GAN's generator (Huang et al. 2024, arXiv 2501.05441), grown depth by depth.

    The input is a learned image for each channel, scaled by the latent. Each depth applies bilinear x2 and residual
    blocks with grouped convolutions and leaky ReLU, without normalization. Weights have no equalized learning rate; the
    paper's learning rate is 0.0002.

    Args:
        shape: [C, H, W] of the images at full depth, or their growth; given by the data.
        fmap_base: base number of feature maps; at 2**k pixels there are fmap_base / 2**((k - 1) * fmap_decay), at most
            fmap_max.
        fmap_decay: how fast the number of feature maps falls with the resolution.
        fmap_max: largest number of feature maps; 768 in the paper.
        latent_size: number of components of a latent.
        blocks_per_depth: number of residual blocks at each depth.
        expansion: factor of the number of feature maps inside a residual block.
        group_size: feature maps per group of the 3x3 convolutions.
        label_embedding: size of the label embedding that is concatenated to the latent.
        label_space: labels of the images; passed by the data.

    Raises:
        UserError: if a parameter is outside its limits.
    """

    def __init__(
        self,
        shape: Sequence[int] | Growth,
        fmap_base: int = 8192,
        fmap_decay: float = 1.0,
        fmap_max: int = 512,
        latent_size: int = 64,
        blocks_per_depth: int = 2,
        expansion: int = 2,
        group_size: int = 16,
        label_embedding: int = 64,
        label_space: LabelSpace | None = None,
    ) -> None:
        growth = growth_of(shape)
        for name, value in (("latent_size", latent_size), ("label_embedding", label_embedding)):
            if value < 1:
                raise UserError(f"R3GANGenerator.{name} {value} is not allowed; allowed: 1 and up")
        options = _Options("R3GANGenerator", growth, blocks_per_depth, expansion, group_size)
        super().__init__(growth, latent_size, label_space)
        maps = FeatureMaps(growth, fmap_base, fmap_decay, fmap_max)
        self.embed = _dense((label_space.width, label_embedding)) if label_space else None
        features = latent_size + (label_embedding if label_space else 0)
        self.blocks = nn.ModuleList([Basis(features, (maps.at(0), *growth.seed), options)])
        for depth in range(1, growth.max_depth + 1):
            self.blocks.append(Enlarge((maps.at(depth - 1), maps.at(depth)), growth.factor(depth), options))
        self.to_rgb = nn.ModuleList(
            [PlainConv((maps.at(depth), growth.channels)) for depth in range(growth.max_depth + 1)]
        )

    def inputs(self, latents: Tensor, labels: Tensor | None) -> Tensor:
        """Concatenate latents [N, F] and, if there are labels, their embedding."""
        return latents if self.embed is None or labels is None else torch.cat([latents, self.embed(labels)], 1)


@register("discriminator")
class R3GANDiscriminator(BlockDiscriminator):
    """R3GAN's discriminator (Huang et al. 2024, arXiv 2501.05441), grown depth by depth: the reverse of its generator.

    For labelled data, the score is the product of the features with the label's embedding, so no auxiliary classifier
    is needed.

    Args:
        shape: [C, H, W] of the images at full depth, or their growth; given by the data.
        fmap_base: base number of feature maps; at 2**k pixels there are fmap_base / 2**((k - 1) * fmap_decay), at most
            fmap_max.
        fmap_decay: how fast the number of feature maps falls with the resolution.
        fmap_max: largest number of feature maps; 768 in the paper.
        blocks_per_depth: number of residual blocks at each depth.
        expansion: factor of the number of feature maps inside a residual block.
        group_size: feature maps per group of the 3x3 convolutions.
        label_space: labels of the images; passed by the data.

    Raises:
        UserError: if a parameter is outside its limits.
    """

    classifies: ClassVar[bool] = False

    def __init__(
        self,
        shape: Sequence[int] | Growth,
        fmap_base: int = 8192,
        fmap_decay: float = 1.0,
        fmap_max: int = 512,
        blocks_per_depth: int = 2,
        expansion: int = 2,
        group_size: int = 16,
        label_space: LabelSpace | None = None,
    ) -> None:
        growth = growth_of(shape)
        options = _Options("R3GANDiscriminator", growth, blocks_per_depth, expansion, group_size)
        super().__init__(growth, label_space)
        maps = FeatureMaps(growth, fmap_base, fmap_decay, fmap_max)
        self.blocks = nn.ModuleList([Products((maps.at(0), *growth.seed), options)])
        for depth in range(1, growth.max_depth + 1):
            self.blocks.append(Shrink((maps.at(depth), maps.at(depth - 1)), growth.factor(depth), options))
        self.from_rgb = nn.ModuleList(
            [PlainConv((growth.channels, maps.at(depth))) for depth in range(growth.max_depth + 1)]
        )
        width = maps.at(0)
        self.score = _dense((width, width if label_space else 1))
        self.embed = _dense((label_space.width, width), 1 / sqrt(width)) if label_space else None

    def judge(self, images: Tensor, labels: Tensor | None = None, parts: int = 1) -> Verdict:
        """Compute scores [N] and penultimate features [N, F] of images [N, C, h, w], with labels if it is conditioned.

        Raises:
            ValueError: if labels are missing or unexpected, or the images do not have the shape of the current depth.
        """
        self.check_labels(labels, len(images))
        features = self.encode(images, labels, parts)
        scores: Tensor = self.score(features)
        if self.embed is None or labels is None:
            return Verdict(scores.squeeze(1), features)
        return Verdict((scores * self.embed(labels)).sum(1), features)
