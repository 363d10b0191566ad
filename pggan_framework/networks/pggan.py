"""The generator and discriminator of Progressive Growing of GANs (Karras et al. 2018, arXiv 1710.10196, appendix A)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from pggan_framework.errors import UserError
from pggan_framework.labels.attributes import LabelSpace
from pggan_framework.networks.base import FeatureMaps, Verdict, growth_of
from pggan_framework.networks.blocks import (
    BlockDiscriminator,
    BlockGenerator,
    DiscriminatorBlock,
    GeneratorBlock,
    Head,
    SeedBlock,
)
from pggan_framework.networks.fastgan import SOURCES, Decoders, Excitation
from pggan_framework.networks.functional import EPSILON, pixel_norm
from pggan_framework.networks.layers import Layers, check_share
from pggan_framework.networks.norms import BlockNorm
from pggan_framework.networks.statistics import RowStatistics
from pggan_framework.registry import register
from pggan_framework.schedules.growth import Growth


@register("generator")
class Generator(BlockGenerator):
    """The progressively grown generator.

    Each 3x3 convolution is followed by `norm`, (leaky) ReLU and pixel norm, in this order, except that
    ``local_response`` comes after the ReLU.

    Args:
        shape: [C, H, W] of the images at full depth, or their growth; given by the data.
        fmap_base: base number of feature maps; at 2**k pixels there are fmap_base / 2**((k - 1) * fmap_decay), at most
            fmap_max.
        fmap_decay: decay of the number of feature maps with the resolution.
        fmap_max: largest number of feature maps.
        latent_size: number of components of a latent (default: 512).
        normalize_latents: scale each latent to mean square 1.
        wscale: use an equalized learning rate: weights are scaled at run time.
        pixelnorm: normalize each pixel's features after every convolution (default: only if `norm` is none).
        leakyrelu: use leaky ReLU with slope 0.2 instead of ReLU.
        tanh_at_end: limit the output images to [-1, 1] by tanh.
        kernel_size: side of the convolution kernels; odd.
        upsampling: interpolation in the blocks; filtered applies the bilinear filter after the first convolution, which
            is faster than bilinear. The fade to a new depth always uses nearest.
        label_space: labels of the images; passed by the data. Labels are concatenated to the latents before
            normalization.
        norm: normalization after each convolution of the blocks: per channel over the batch (batch), per sample and
            channel (instance), per sample (layer), or across neighbouring channels (local_response). With batch,
            generation uses running averages.
        spectral_norm: divide every weight by its largest singular value; with wscale, after scaling it.
        position_bias: use separate biases per position in the first dense layer; for networks from the GAN zoo.
        plain_labels: labels that are concatenated after the normalization of the latents; set when a model is grown.
        excitation: number of depths between a block and the earlier block that gates it (skip-layer excitation; 4 in
            FastGAN, arXiv 2101.04775); 0 disables it.

    Raises:
        UserError: if a parameter is outside its limits.
    """

    normalized: Tensor | None

    def __init__(
        self,
        shape: Sequence[int] | Growth,
        fmap_base: int = 8192,
        fmap_decay: float = 1.0,
        fmap_max: int = 512,
        latent_size: int | None = None,
        normalize_latents: bool = True,
        wscale: bool = True,
        pixelnorm: bool | None = None,
        leakyrelu: bool = True,
        tanh_at_end: bool = False,
        kernel_size: int = 3,
        upsampling: Literal["nearest", "bilinear", "filtered"] = "nearest",
        label_space: LabelSpace | None = None,
        norm: BlockNorm = "none",
        spectral_norm: bool = False,
        position_bias: bool | None = None,
        plain_labels: list[str] | None = None,
        excitation: int = 0,
    ) -> None:
        growth = growth_of(shape)
        filtered = upsampling == "filtered"
        layers = Layers(kernel_size, leakyrelu, wscale, norm, spectral_norm, running=True, filtered=filtered)
        layers.check("Generator", growth)
        if excitation < 0:
            raise UserError(f"Generator.excitation {excitation} is not allowed; allowed: 0 (none) and up; usual: 4")
        super().__init__(growth, 512 if latent_size is None else latent_size, label_space)
        self.normalize_latents = normalize_latents
        self.register_buffer("normalized", self._normalized(plain_labels or []), persistent=False)
        self.tanh_at_end, self.excitation = tanh_at_end, excitation
        maps = FeatureMaps(growth, fmap_base, fmap_decay, fmap_max)
        pixels = norm == "none" if pixelnorm is None else pixelnorm
        inputs = self.latent_size + (label_space.width if label_space else 0)
        self.blocks = nn.ModuleList([SeedBlock(inputs, maps.at(0), growth.seed, layers, pixels, bool(position_bias))])
        for depth in range(1, growth.max_depth + 1):
            channels = maps.at(depth - 1), maps.at(depth)
            excited = 0 < excitation <= depth
            gates = Excitation((maps.at(depth - excitation), maps.at(depth)), growth.seed, layers) if excited else None
            self.blocks.append(GeneratorBlock(channels, growth.factor(depth), layers, pixels, upsampling, gates))
        self.to_rgb = nn.ModuleList(
            [layers.image((maps.at(depth), growth.channels), gain=1.0) for depth in range(growth.max_depth + 1)]
        )

    def inputs(self, latents: Tensor, labels: Tensor | None) -> Tensor:
        """Concatenate latents and labels, and normalize them together if `normalize_latents` is set."""
        inputs = latents if labels is None else torch.cat([latents, labels], 1)
        if not self.normalize_latents:
            return inputs
        if self.normalized is None:
            return pixel_norm(inputs, self.execution)
        counted = self.normalized.to(inputs.dtype)
        mean = (inputs * counted).square().sum(1, keepdim=True) / counted.sum()
        return torch.where(counted > 0, inputs * (mean + EPSILON).rsqrt(), inputs)

    def _normalized(self, plain_labels: list[str]) -> Tensor | None:
        """[F + width], 1 for each input that is normalized with the others; None if all inputs are normalized."""
        attributes = self.label_space.attributes if isinstance(self.label_space, LabelSpace) else ()
        unknown = set(plain_labels) - {attribute.name for attribute in attributes}
        if unknown:
            raise UserError(
                f"Generator.plain_labels: '{min(unknown)}' is given; allowed: the labels of the data,"
                f" {', '.join(attribute.name for attribute in attributes) or 'none'}"
            )
        if not plain_labels:
            return None
        counted = [torch.full((attribute.size,), float(attribute.name not in plain_labels)) for attribute in attributes]
        return torch.cat([torch.ones(self.latent_size), *counted])


@register("discriminator")
class Discriminator(BlockDiscriminator):
    """The progressively grown discriminator.

    Each 3x3 convolution is followed by `norm` and (leaky) ReLU, except that ``local_response`` comes after the ReLU.

    Args:
        shape: [C, H, W] of the images at full depth, or their growth; given by the data.
        fmap_base: base number of feature maps; at 2**k pixels there are fmap_base / 2**((k - 1) * fmap_decay), at most
            fmap_max.
        fmap_decay: decay of the number of feature maps with the resolution.
        fmap_max: largest number of feature maps.
        wscale: use an equalized learning rate: weights are scaled at run time.
        leakyrelu: use leaky ReLU with slope 0.2 instead of ReLU.
        kernel_size: side of the convolution kernels; odd.
        mbstd: minibatch standard deviation over groups of samples (grouped), over all samples (batch), over samples and
            positions together (flat, as in older code; it does not detect a collapse), or none.
        mbstd_group: largest number of samples in a group.
        fused_downscale: average 2x2 boxes before the activation, as in the official code; this is faster than after the
            activation.
        dropout: dropout rate before the penultimate layer.
        label_space: labels of the images; passed by the data. The discriminator then also predicts labels (AC-GAN,
            Odena et al. 2017, arXiv 1610.09585).
        block_dropout: dropout rate after each block but the last.
        norm: normalization after each convolution of the blocks: per channel over the batch (batch), per sample and
            channel (instance), per sample (layer), or across neighbouring channels (local_response). With batch,
            generation uses running averages.
        spectral_norm: divide every weight by its largest singular value; with wscale, after scaling it.
        row_statistics: also feed each row's mean, deviation and change along the width to the output layer; in
            spectrograms, a row is a band and the width is time.
        filtered_downscale: shrink by the filter [1, 3, 3, 1], not by 2x2 means (Karras et al. 2020, arXiv 1912.04958).
        residual: use residual blocks (Karras et al. 2020, arXiv 1912.04958).
        decoders: add layers that decode images from the feature maps, for the penalty SelfSupervision.

    Raises:
        UserError: if a parameter is outside its limits.
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
        block_dropout: float = 0.0,
        norm: BlockNorm = "none",
        spectral_norm: bool = False,
        row_statistics: bool = False,
        filtered_downscale: bool = False,
        residual: bool = False,
        decoders: bool = False,
    ) -> None:
        name, growth = type(self).__name__, growth_of(shape)
        layers = Layers(kernel_size, leakyrelu, wscale, norm, spectral_norm, filtered=filtered_downscale)
        layers.check(name, growth)
        check_share(name, "dropout", dropout)
        check_share(name, "block_dropout", block_dropout)
        if mbstd_group < 2:
            raise UserError(f"{name}.mbstd_group {mbstd_group} is below 2: one sample has no deviation")
        super().__init__(growth, label_space)
        self.stddev_group = mbstd_group if mbstd == "grouped" else 1
        maps = FeatureMaps(growth, fmap_base, fmap_decay, fmap_max)
        inner = maps.at(0), maps.at(-1)
        self.blocks = nn.ModuleList([Head(inner, growth.seed, layers, mbstd, mbstd_group, dropout)])
        for depth in range(1, growth.max_depth + 1):
            channels = maps.at(depth), maps.at(depth - 1)
            factor = growth.factor(depth)
            block = DiscriminatorBlock(channels, factor, layers, fused_downscale, block_dropout, residual)
            self.blocks.append(block)
        self.from_rgb = nn.ModuleList(
            [
                layers.image((growth.channels, maps.at(depth)), slope=layers.slope)
                for depth in range(growth.max_depth + 1)
            ]
        )
        self.rows = RowStatistics(growth, maps.at(-1), layers) if row_statistics else None
        sources = {depth: maps.at(depth) for depth in SOURCES if depth < growth.max_depth}
        self.decoders = Decoders(growth, sources, wscale) if decoders else None
        self.score = layers.dense((maps.at(-1), 1), 1.0)
        self.classify = layers.dense((maps.at(-1), label_space.width), 1.0) if label_space else None

    def reconstructions(self, images: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Decode images from D's features of [N, C, h, w]: (reconstruction, target) pairs; none at depths 0 and 1."""
        kept: dict[int, Tensor] = {}
        self._features(images, 1, kept)
        return [] if self.decoders is None else self.decoders(images, kept, self.depth)

    def judge(self, images: Tensor, labels: Tensor | None = None, parts: int = 1) -> Verdict:
        """Compute scores [N] and penultimate features [N, F] of images [N, C, h, w] at the current depth.

        Args:
            images: [N, C, h, w].
            labels: [N, width] or None; ignored, since this discriminator predicts them.
            parts: number of equal batches in `images`; minibatch stddev and batch norm stay within each batch.

        Raises:
            ValueError: if labels are given to an unconditioned network, or the images do not have the shape of the
                current
                depth.
        """
        features = self.encode(images, labels, parts)
        logits = self.classify(features) if self.classify is not None else None
        return Verdict(self.score(features).squeeze(1), features, logits)
