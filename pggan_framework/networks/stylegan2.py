"""StyleGAN2's networks (Karras et al. 2020, arXiv 1912.04958): a mapping network, modulated convolutions; grown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import sqrt
from typing import Any

import torch
from torch import Tensor, nn

from pggan_framework.errors import UserError
from pggan_framework.labels.attributes import LabelSpace
from pggan_framework.networks.base import FeatureMaps, growth_of
from pggan_framework.networks.blocks import BlockGenerator
from pggan_framework.networks.execution import DEFAULT, Execution
from pggan_framework.networks.functional import EPSILON, Pair, full_precision, leaky_relu, pixel_norm, upsample
from pggan_framework.networks.layers import LEAK, RELU_GAIN, ScaledConv, ScaledLinear
from pggan_framework.networks.pggan import Discriminator
from pggan_framework.registry import register
from pggan_framework.schedules.growth import Growth

MAPPING_RATE = 0.01
"""Learning rate of the mapping network, as a fraction of the others'."""
AVERAGE_DECAY = 0.995
"""Decay of the average style per batch."""


class Mapping(nn.Module):
    """Latents [N, F] and labels -> styles [N, W]: normalized inputs, then dense layers with leaky ReLU.

    Args:
        inputs: number of latents, F.
        labels: width of a label, 0 without labels; a label is embedded in F numbers.
        width: size of a style, W.
        layers: number of dense layers.
    """

    def __init__(self, inputs: int, labels: int, width: int, layers: int) -> None:
        super().__init__()
        self.embed = ScaledLinear(labels, inputs, 1.0) if labels else None
        sizes = [inputs * (2 if labels else 1), *[width] * layers]
        # Weights are initialized 100 times as large and multiplied by 0.01, so they train 100 times slower.
        self.layers = nn.ModuleList(ScaledLinear(*pair, 1.0) for pair in zip(sizes, sizes[1:], strict=False))
        for layer in self.layers:
            nn.init.normal_(layer.get_parameter("weight"), std=1 / MAPPING_RATE)

    def forward(self, latents: Tensor, labels: Tensor | None) -> Tensor:
        """[N, F] and labels [N, width] -> [N, W]."""
        x = pixel_norm(latents)
        if self.embed is not None and labels is not None:
            x = torch.cat([x, pixel_norm(self.embed(labels))], 1)
        for layer in self.layers:
            x = nn.functional.leaky_relu(layer(x) * MAPPING_RATE, LEAK) * RELU_GAIN
        return x


class Modulated(nn.Module):
    """A convolution whose kernel is scaled by a style for each input channel, then to norm 1 for each output channel.

    The kernel is ``w'_ijk = s_i w_ijk / sqrt(sum_ik (s_i w_ijk)^2 + 1e-8)`` (equations 1 and 3). One kernel serves all
    samples: the input is scaled before the convolution and the output after it. Filter, noise, bias and leaky ReLU
    follow in this order.

    Args:
        channels: C and C' of [N, C, h, w] -> [N, C', h', w'].
        width: W of the styles [N, W].
        size: h' and w'.
        kernel: odd side of the kernel.
        up: enlargement factors, with the filter [1, 3, 3, 1].
        demodulate: scale the kernel to norm 1 and apply the activation; a layer to images does neither.
        noise: add noise to the output, with a learned strength.
    """

    execution: Execution = DEFAULT
    fixed_noise: Tensor

    def __init__(
        self,
        channels: Pair,
        width: int,
        size: Pair,
        kernel: int = 3,
        up: Pair = (1, 1),
        demodulate: bool = True,
        noise: bool = False,
    ) -> None:
        super().__init__()
        self.style = ScaledLinear(width, channels[0], 1.0)
        nn.init.ones_(self.style.bias)
        self.conv = ScaledConv(*channels, kernel, 1.0, up=up, filtered=True, bias=False)
        self.conv.folds_once = False  # demodulation reads the weight itself
        self.bias = nn.Parameter(torch.zeros(channels[1], 1, 1))
        self.demodulate = demodulate
        self.strength = nn.Parameter(torch.zeros(())) if noise else None
        if noise:
            self.register_buffer("fixed_noise", torch.randn(1, 1, *size))

    def forward(self, x: Tensor, styles: Tensor) -> Tensor:
        """[N, C, h, w] and [N, W] -> [N, C', h', w']."""
        scales = self.style(styles)
        x = self.conv(x * scales[:, :, None, None])
        if self.demodulate:
            with full_precision(scales):
                weights = (self.conv.weight * self.conv.scale).square().sum((2, 3))
                norms = torch.rsqrt(scales.to(weights.dtype).square() @ weights.t() + EPSILON)
            x = x * norms[:, :, None, None].to(x.dtype)
        if self.strength is not None:
            noise = (
                x.new_empty(x.shape[0], 1, *x.shape[2:]).normal_() if self.training else self.fixed_noise.to(x.dtype)
            )
            x = x + noise * self.strength
        x = x + self.bias
        return leaky_relu(x, LEAK, self.execution) * sqrt(2) if self.demodulate else x


class StyleSeed(nn.Module):
    """Styles [N, W] -> [N, C, h, w]: a learned constant, then a modulated convolution.

    Args:
        channels: C.
        width: W.
        size: h and w.
        noise: see `Modulated`.
    """

    def __init__(self, channels: int, width: int, size: Pair, noise: bool) -> None:
        super().__init__()
        self.constant = nn.Parameter(torch.randn(channels, *size))
        self.conv = Modulated((channels, channels), width, size, noise=noise)

    def forward(self, styles: Tensor) -> Tensor:
        """[N, W] -> [N, C, h, w]."""
        x = self.constant.expand(styles.shape[0], *self.constant.shape)
        styled: Tensor = self.conv(x.contiguous(memory_format=torch.channels_last), styles)
        return styled


class StyleBlock(nn.Module):
    """[N, C, h, w] and styles [N, 2, W] -> [N, C', h', w']: two modulated convolutions, the first enlarges.

    Args:
        channels: C and C'.
        width: W.
        size: h' and w'.
        factor: enlargement factors of height and width.
        noise: see `Modulated`.
    """

    def __init__(self, channels: Pair, width: int, size: Pair, factor: Pair, noise: bool) -> None:
        super().__init__()
        self.first = Modulated(channels, width, size, up=factor, noise=noise)
        self.second = Modulated((channels[1], channels[1]), width, size, noise=noise)

    def forward(self, x: Tensor, styles: Tensor) -> Tensor:
        """[N, C, h, w] and [N, 2, W] -> [N, C', h', w']."""
        styled: Tensor = self.second(self.first(x, styles[:, 0]), styles[:, 1])
        return styled


@register("generator")
class StyleGAN2Generator(BlockGenerator):
    """StyleGAN2's generator (Karras et al. 2020, arXiv 1912.04958), grown depth by depth.

    A mapping network computes a style from the latent; the styles scale the convolutions that are applied to a learned
    constant. Each depth adds its contribution to the image of the depth below, enlarged by bilinear x2 (skip
    connections, figure 7b).

    Args:
        shape: [C, H, W] of the images at full depth, or their growth; given by the data.
        fmap_base: base number of feature maps; at 2**k pixels there are fmap_base / 2**((k - 1) * fmap_decay), at most
            fmap_max.
        fmap_decay: how fast the number of feature maps falls with the resolution.
        fmap_max: largest number of feature maps.
        latent_size: number of components of a latent.
        style_size: number of components of a style (default: latent_size).
        mapping_layers: number of dense layers from latents to styles.
        noise: add noise of learned strength after each convolution; generation uses fixed noise.
        style_mixing: fraction of the training samples whose later layers use the style of another latent.
        label_space: labels of the images; passed by the data.

    Raises:
        UserError: if a parameter is outside its limits.
    """

    average: Tensor
    truncation: float = 1.0
    """psi: samples are made with ``average + psi * (style - average)``."""

    def __init__(
        self,
        shape: Sequence[int] | Growth,
        fmap_base: int = 8192,
        fmap_decay: float = 1.0,
        fmap_max: int = 512,
        latent_size: int = 512,
        style_size: int | None = None,
        mapping_layers: int = 8,
        noise: bool = True,
        style_mixing: float = 0.9,
        label_space: LabelSpace | None = None,
    ) -> None:
        growth = growth_of(shape)
        width = latent_size if style_size is None else style_size
        for name, value in (("latent_size", latent_size), ("style_size", width), ("mapping_layers", mapping_layers)):
            if value < 1:
                raise UserError(f"StyleGAN2Generator.{name} {value} is not allowed; allowed: 1 and up")
        if not 0 <= style_mixing <= 1:
            raise UserError(f"StyleGAN2Generator.style_mixing {style_mixing} is not allowed; allowed: 0 to 1")
        super().__init__(growth, latent_size, label_space)
        self.style_mixing = style_mixing
        maps, depths = FeatureMaps(growth, fmap_base, fmap_decay, fmap_max), range(growth.max_depth + 1)
        self.mapping = Mapping(latent_size, label_space.width if label_space else 0, width, mapping_layers)
        self.register_buffer("average", torch.zeros(width))
        self.blocks = nn.ModuleList([StyleSeed(maps.at(0), width, growth.seed, noise)])
        for depth in depths[1:]:
            channels, (_, *size) = (maps.at(depth - 1), maps.at(depth)), growth.shape_at(depth)
            self.blocks.append(StyleBlock(channels, width, (size[0], size[1]), growth.factor(depth), noise))
        self.to_rgb = nn.ModuleList(
            [Modulated((maps.at(d), growth.channels), width, (1, 1), 1, demodulate=False) for d in depths]
        )

    def used(self) -> Iterable[nn.Module]:
        """All modules up to the current depth, since each depth adds to the image."""
        parts = self.mapping, self.blocks[: self.depth + 1], self.to_rgb[: self.depth + 1]
        return [module for part in parts for module in part.modules()]

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Latents [N, F], labels [N, width] or None -> images [N, C, h, w] at the current depth.

        Raises:
            ValueError: if labels are given to an unconditioned generator, or are missing.
        """
        return self.synthesize(self.styles(latents, labels))

    def styles(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map latents [N, F], labels [N, width] or None to a style per convolution in use: [N, 2 * depth + 1, W].

        In training mode, styles are mixed and their moving average is updated; in eval mode, they are truncated.

        Raises:
            ValueError: as in `forward`.
        """
        self.check_labels(labels, latents.shape[0])
        count = 2 * self.depth + 1
        styles: Tensor = self.mapping(latents, labels)
        if not self.training:
            if self.truncation != 1:
                styles = torch.lerp(self.average.to(styles.dtype), styles, self.truncation)
            return styles[:, None].expand(-1, count, -1)
        with torch.no_grad():
            mean = styles.mean(0).to(self.average.dtype)
            self.average.copy_(torch.lerp(mean, self.average, AVERAGE_DECAY))
        if not self.style_mixing or count == 1:
            return styles[:, None].expand(-1, count, -1)
        others = self.mapping(torch.randn_like(latents), labels)
        mixed = torch.rand_like(latents[:, 0]) < self.style_mixing
        first = torch.where(mixed, torch.randint_like(latents[:, 0], 1, count), float(count))
        kept = torch.arange(count, device=latents.device) < first[:, None]
        return torch.where(kept[:, :, None], styles[:, None], others[:, None])

    def synthesize(self, styles: Tensor) -> Tensor:
        """Map a style per convolution in use, [N, 2 * depth + 1, W], to images [N, C, h, w] at the current depth."""
        x = self.blocks[0](styles[:, 0])
        image: Tensor = self.to_rgb[0](x, styles[:, 0])
        for depth in range(1, self.depth + 1):
            factor, own = self.growth.factor(depth), styles[:, 2 * depth - 1 : 2 * depth + 1]
            x = self.run(depth, lambda block, x, own: block(x, own), [self.blocks[depth]], x, own)
            new = upsample(image, factor, "bilinear") + self.to_rgb[depth](x, own[:, 1])
            if depth == self.depth and self.fading:
                # Nearest, as in the blend of the reals: at alpha 0, D sees the same images as before.
                new = self.blend(upsample(image, factor), new)
            image = new
        return image


@register("discriminator")
class StyleGAN2Discriminator(Discriminator):
    """StyleGAN2's discriminator (Karras et al. 2020, arXiv 1912.04958): PGGAN's with residual blocks and filters.

    Args:
        shape: [C, H, W] of the images at full depth, or their growth; given by the data.
        filtered_downscale: shrink by the filter [1, 3, 3, 1], not by 2x2 means.
        residual: add the reduced input of each block to its output.
        options: further parameters of `Discriminator`.
    """

    def __init__(
        self, shape: Sequence[int] | Growth, filtered_downscale: bool = True, residual: bool = True, **options: Any
    ) -> None:
        super().__init__(shape, filtered_downscale=filtered_downscale, residual=residual, **options)
