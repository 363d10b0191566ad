"""The plain, strided networks of DCGAN (Radford et al. 2015, arXiv 1511.06434). They do not grow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pggan_framework.errors import UserError
from pggan_framework.labels.attributes import LabelSpace
from pggan_framework.networks.base import DiscriminatorBase, GeneratorBase, GrowingNetwork, Verdict, growth_of
from pggan_framework.networks.execution import DEFAULT, Execution
from pggan_framework.networks.functional import Geometry, Pair, convolve, leaky_relu
from pggan_framework.networks.layers import LEAK, check_share
from pggan_framework.networks.norms import FeatureNorm, Norm, SpectralNorm
from pggan_framework.registry import register
from pggan_framework.schedules.growth import Growth

STD = 0.02
"""Standard deviation of all weights at the start (Radford et al. 2015, section 4)."""


class StridedConv(nn.Module):
    """A strided convolution that halves axes, or a transposed one that doubles them.

    An axis with factor 2 uses the full kernel length. An axis that keeps its size needs an odd length, so an even
    length is reduced by one. An odd kernel with stride 2 behaves like PyTorch's layers with ``padding=(kernel - 1) /
    2`` and, if transposed, ``output_padding=1``.

    Args:
        channels: C and C' of [N, C, h, w] -> [N, C', h', w'].
        factor: 1 or 2 along height and width.
        kernel: length of the kernel.
        transposed: enlarge instead of shrink.
        bias: add one number to each channel.
        spectral: divide the weight by its largest singular value; not available for a transposed convolution.
        slope: negative slope of a leaky ReLU at the end; None for no activation.
    """

    execution: Execution = DEFAULT

    def __init__(
        self,
        channels: Pair,
        factor: Pair,
        kernel: int,
        transposed: bool = False,
        bias: bool = True,
        spectral: bool = False,
        slope: float | None = None,
    ) -> None:
        super().__init__()
        self.slope = slope
        sides = [kernel if step == 2 else kernel - 1 + kernel % 2 for step in factor]
        # A zero at the end of an odd kernel lets stride 2 reach every pixel, in either direction.
        self.missing = [side % 2 if step == 2 else 0 for side, step in zip(sides, factor, strict=True)]
        self.geometry = Geometry(factor, ((sides[0] - 1) // 2, (sides[1] - 1) // 2), transposed)
        order = channels if transposed else channels[::-1]
        self.weight = nn.Parameter(torch.randn(*order, *sides) * STD)
        self.bias = nn.Parameter(torch.zeros(channels[1])) if bias else None
        self.spectral = SpectralNorm(channels[1]) if spectral else None

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, h, w] -> [N, C', h', w']."""
        weight = self.weight if self.spectral is None else self.spectral(self.weight)
        if any(self.missing):
            weight = F.pad(weight, (0, self.missing[1], 0, self.missing[0]))
        return convolve(x, weight, self.bias, self.geometry, self.slope, self.execution)


class _Dense(nn.Module):
    """[N, F] -> [N, F']."""

    def __init__(self, features_in: int, features_out: int, bias: bool = True, spectral: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(features_out, features_in) * STD)
        self.bias = nn.Parameter(torch.zeros(features_out)) if bias else None
        self.spectral = SpectralNorm(features_out) if spectral else None

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight if self.spectral is None else self.spectral(self.weight), self.bias)


class _Stage(nn.Module):
    """[N, C, h, w] -> [N, C', h', w']: strided convolution, norm, leaky ReLU, dropout."""

    execution: Execution = DEFAULT

    def __init__(
        self,
        channels: Pair,
        factor: Pair,
        kernel: int,
        norm: FeatureNorm | Literal["spectral"],
        slope: float,
        dropout: float,
        transposed: bool = False,
    ) -> None:
        super().__init__()
        self.slope = slope
        self.norm = None if norm == "none" or norm == "spectral" else Norm(norm, channels[1], running=transposed)
        # A norm has its own bias and is followed by the activation.
        plain = self.norm is None
        self.conv = StridedConv(
            channels, factor, kernel, transposed, plain, norm == "spectral", slope if plain else None
        )
        self.dropout = nn.Dropout(dropout) if dropout else None

    def forward(self, x: Tensor, parts: int = 1) -> Tensor:
        x = self.conv(x)
        if self.norm is not None:
            x = leaky_relu(self.norm(x, parts), self.slope, self.execution)
        return x if self.dropout is None else self.dropout(x)


class _FullSize(GrowingNetwork):
    """Common base of both networks: no growing, and feature maps by depth."""

    grows: ClassVar[bool] = False

    def feature_maps(self, base: int, maximum: int, kernel_size: int, norm: str, dropout: float) -> list[int]:
        """Compute C at each depth, from the seed block to half the image size.

        Raises:
            UserError: if a parameter is outside its limits, or the size is not supported.
        """
        name, growth = type(self).__name__, self.growth
        if kernel_size < 2:
            raise UserError(f"{name}.kernel_size {kernel_size} is not allowed; allowed: 2 and up, usual: 3, 4 or 5")
        check_share(name, "dropout", dropout)
        if base < 1 or maximum < 1:
            raise UserError(f"{name}.fmap_base {base} and fmap_max {maximum} must be above 0")
        size = "x".join(map(str, growth.seed))
        if growth.max_depth < 1:
            raise UserError(f"{name} needs images larger than the seed block, {size}; allowed: twice as large and up")
        if norm == "instance" and growth.seed == (1, 1):
            raise UserError(f"{name}.norm instance needs a seed block of several pixels, not {size}; set seed_shape")
        return [min(base << (growth.max_depth - 1 - depth), maximum) for depth in range(growth.max_depth)]


@register("generator")
class DCGANGenerator(_FullSize, GeneratorBase):
    """The generator of DCGAN: a dense layer to the seed block, then transposed convolutions up to the image, tanh.

    It has its full size from the first step; set progressive_growing to False.

    Args:
        shape: [C, H, W] of the images, or their growth; given by the data.
        fmap_base: number of feature maps at half the image size; it doubles with each further halving.
        fmap_max: largest number of feature maps.
        latent_size: number of components of a latent.
        kernel_size: side of the transposed convolutions; odd sizes can cause checkerboard artifacts.
        norm: normalization of feature maps per channel over the batch (batch), per sample and channel (instance), per
            sample (layer), or none.
        leakyrelu: use leaky ReLU with slope 0.2 instead of ReLU.
        dropout: dropout rate after each layer but the last.
        label_space: labels of the images; passed by the data. Labels are concatenated to the latents.

    Raises:
        UserError: if a parameter is outside its limits, or the images are no larger than the seed block.
    """

    def __init__(
        self,
        shape: Sequence[int] | Growth,
        fmap_base: int = 64,
        fmap_max: int = 512,
        latent_size: int = 100,
        kernel_size: int = 4,
        norm: FeatureNorm = "batch",
        leakyrelu: bool = False,
        dropout: float = 0.0,
        label_space: LabelSpace | None = None,
    ) -> None:
        growth = growth_of(shape)
        super().__init__(growth, latent_size, label_space)
        if latent_size < 1:
            raise UserError(f"DCGANGenerator.latent_size {latent_size} is not allowed; allowed: 1 and up")
        maps = self.feature_maps(fmap_base, fmap_max, kernel_size, norm, dropout)
        slope = LEAK if leakyrelu else 0.0
        self.slope = slope
        self.seed_shape = (maps[0], *growth.seed)
        inputs = latent_size + (label_space.width if label_space else 0)
        self.dense = _Dense(inputs, maps[0] * growth.seed[0] * growth.seed[1], bias=norm == "none")
        self.norm = None if norm == "none" else Norm(norm, maps[0], running=True)
        self.dropout = nn.Dropout(dropout) if dropout else None
        self.stages = nn.ModuleList(
            _Stage(channels, growth.factor(depth), kernel_size, norm, slope, dropout, transposed=True)
            for depth, channels in enumerate(zip(maps, maps[1:], strict=False), 1)
        )
        last = growth.factor(growth.max_depth)
        self.to_picture = StridedConv((maps[-1], growth.channels), last, kernel_size, transposed=True)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Latents [N, latent_size], labels [N, width] or None -> images [N, C, H, W] in [-1, 1].

        Raises:
            ValueError: if labels are given to an unconditioned generator, or are missing.
        """
        self.check_labels(labels, latents.shape[0])
        x = self.dense(latents if labels is None else torch.cat([latents, labels], 1)).view(-1, *self.seed_shape)
        x = x.contiguous(memory_format=torch.channels_last)
        x = F.leaky_relu(x if self.norm is None else self.norm(x), self.slope)
        x = x if self.dropout is None else self.dropout(x)
        for depth, stage in enumerate(self.stages, 1):
            x = self.run(depth, lambda stage, x: stage(x), [stage], x)
        return torch.tanh(self.to_picture(x))


@register("discriminator")
class DCGANDiscriminator(_FullSize, DiscriminatorBase):
    """The discriminator of DCGAN: strided convolutions from the image down to the seed block, then a dense layer.

    It has its full size from the first step; set progressive_growing to False.

    Args:
        shape: [C, H, W] of the images, or their growth; given by the data.
        fmap_base: number of feature maps at half the image size; it doubles with each further halving.
        fmap_max: largest number of feature maps.
        kernel_size: side of the convolution kernels.
        norm: normalization of feature maps per sample (layer, works with every loss), per sample and channel (instance)
            or over the batch (batch, as in the paper); of weights (spectral); or none. Gradient penalties require the
            score of an image to be independent of the other images; norm batch violates this.
        dropout: dropout rate after each convolution.
        label_space: labels of the images; passed by the data. The discriminator then also predicts labels (AC-GAN,
            Odena et al. 2017, arXiv 1610.09585).

    Raises:
        UserError: if a parameter is outside its limits, or the images are no larger than the seed block.
    """

    def __init__(
        self,
        shape: Sequence[int] | Growth,
        fmap_base: int = 64,
        fmap_max: int = 512,
        kernel_size: int = 4,
        norm: Literal["none", "batch", "instance", "layer", "spectral"] = "layer",
        dropout: float = 0.0,
        label_space: LabelSpace | None = None,
    ) -> None:
        growth = growth_of(shape)
        super().__init__(growth, label_space)
        maps = self.feature_maps(fmap_base, fmap_max, kernel_size, norm, dropout)
        channels = [*maps, growth.channels]
        self.stages = nn.ModuleList()
        for depth in range(growth.max_depth, 0, -1):
            own = (
                norm if depth < growth.max_depth or norm == "spectral" else "none"
            )  # the first layer normalizes weights only
            pair = channels[depth], channels[depth - 1]
            self.stages.append(_Stage(pair, growth.factor(depth), kernel_size, own, LEAK, dropout))
        features = maps[0] * growth.seed[0] * growth.seed[1]
        self.score = _Dense(features, 1, spectral=norm == "spectral")
        self.classify = _Dense(features, label_space.width) if label_space else None

    def judge(self, images: Tensor, labels: Tensor | None = None, parts: int = 1) -> Verdict:
        """Compute scores [N] and penultimate features [N, F], the seed block's output, of images [N, C, H, W].

        Args:
            images: [N, C, H, W].
            labels: [N, width] or None; ignored, since this discriminator predicts them.
            parts: number of equal batches in `images`; with norm batch, each has its own mean and variance.

        Raises:
            ValueError: if labels are given to an unconditioned network, or the images have another shape.
        """
        if labels is not None:
            self.check_labels(labels, len(images))
        self.check_images(images)
        x = images.contiguous(memory_format=torch.channels_last)
        for place, stage in enumerate(self.stages):
            x = self.run(self.max_depth - place, lambda stage, x: stage(x, parts), [stage], x)
        features = x.flatten(1)
        logits = self.classify(features) if self.classify is not None else None
        return Verdict(self.score(features).squeeze(1), features, logits)
