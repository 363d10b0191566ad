"""The generator and discriminator of Progressive Growing of GANs (Karras et al. 2018, arXiv 1710.10196, appendix A)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from pggan_framework.errors import UserError
from pggan_framework.labels.attributes import LabelSpace
from pggan_framework.networks.base import DiscriminatorBase, FeatureMaps, GeneratorBase, Verdict, growth_of
from pggan_framework.networks.blocks import DiscriminatorBlock, GeneratorBlock, Head, Layers, SeedBlock, check_share
from pggan_framework.networks.functional import EPSILON, downsample, pixel_norm, upsample
from pggan_framework.networks.norms import BlockNorm
from pggan_framework.networks.statistics import RowStatistics
from pggan_framework.registry import register
from pggan_framework.schedules.growth import Growth


@register("generator")
class Generator(GeneratorBase):
    """The progressively grown generator.

    Each 3x3 convolution is followed by `norm`, (leaky) ReLU and pixel norm, in this order; ``local_response`` comes
    after the ReLU.

    Args:
        shape: [C, H, W] of the pictures at full depth, or their growth; given by the data.
        fmap_base: feature maps of a layer at 2**k pixels: fmap_base / 2**((k - 1) * fmap_decay), at most fmap_max.
        fmap_decay: how fast the number of feature maps falls with the resolution.
        fmap_max: most feature maps of any layer.
        latent_size: how many numbers a latent has; 512 if not given.
        normalize_latents: scale each latent to mean square 1.
        wscale: equalised learning rate, weights scaled at run time.
        pixelnorm: normalise each pixel's features after every convolution; if not given, where there is no `norm`.
        leakyrelu: leaky ReLU with slope 0.2; else ReLU.
        tanh_at_end: limit the pictures to [-1, 1] by tanh.
        kernel_size: side of the convolutions, odd.
        upsampling: how blocks enlarge; bilinear is slower. The blend with the depth before is always nearest.
        label_space: what the pictures are labelled with; given by the data. Labels are joined to the latents, before
            these are normalised.
        norm: normalise feature maps after each convolution of the blocks: each channel over the batch (batch), each
            channel of a sample (instance), each sample (layer), or each value by its neighbouring channels'
            (local_response). With batch, samples are made with averages over the training.
        spectral_norm: divide every weight by its largest singular value; with wscale, after scaling it.
        position_bias: give the first dense layer a bias for each position, not only for each channel; for networks
            from the GAN zoo.
        plain_labels: names of the labels that are joined after the normalisation of the latents; growing a model sets
            them, since a label that is normalised with the latents would change what they mean.

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
        upsampling: Literal["nearest", "bilinear"] = "nearest",
        label_space: LabelSpace | None = None,
        norm: BlockNorm = "none",
        spectral_norm: bool = False,
        position_bias: bool | None = None,
        plain_labels: list[str] | None = None,
    ) -> None:
        growth = growth_of(shape)
        layers = Layers(kernel_size, leakyrelu, wscale, norm, spectral_norm, running=True)
        layers.check("Generator", growth)
        super().__init__(growth, 512 if latent_size is None else latent_size, label_space)
        self.normalize_latents = normalize_latents
        self.register_buffer("normalized", self._normalized(plain_labels or []), persistent=False)
        self.tanh_at_end = tanh_at_end
        maps = FeatureMaps(growth, fmap_base, fmap_decay, fmap_max)
        pixels = norm == "none" if pixelnorm is None else pixelnorm
        inputs = self.latent_size + (label_space.width if label_space else 0)
        self.blocks = nn.ModuleList([SeedBlock(inputs, maps.at(0), growth.seed, layers, pixels, bool(position_bias))])
        for depth in range(1, growth.max_depth + 1):
            channels = maps.at(depth - 1), maps.at(depth)
            self.blocks.append(GeneratorBlock(channels, growth.factor(depth), layers, pixels, upsampling))
        self.to_rgb = nn.ModuleList(
            [layers.image((maps.at(depth), growth.channels), gain=1.0) for depth in range(growth.max_depth + 1)]
        )

    def earlier(self) -> Sequence[nn.Module]:
        """The blocks and layers towards the picture below the current depth."""
        return [*self.blocks[: self.depth], *self.to_rgb[: self.depth]]

    def used(self) -> Iterable[nn.Module]:
        """The blocks up to the current depth, and the layers to the images of this depth and, in a fade, the last."""
        images = list(self.to_rgb)[self.depth - self.fading : self.depth + 1]
        return [module for part in (*list(self.blocks)[: self.depth + 1], *images) for module in part.modules()]

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Latents [N, latent_size], labels [N, width] or None -> pictures [N, C, h, w] at the current depth.

        Raises:
            ValueError: if labels are given to a generator that is not conditioned, or are missing.
        """
        self.check_labels(labels, latents.shape[0])
        inputs = latents if labels is None else torch.cat([latents, labels], 1)
        if self.normalize_latents:
            inputs = pixel_norm(inputs) if self.normalized is None else self._normalize(inputs)
        x = self.blocks[0](inputs)
        before = x
        for depth in range(1, self.depth):
            before, x = x, self.run(depth, lambda block, x: block(x), [self.blocks[depth]], x, apart=True)
        if self.depth > 0:
            # The layer to the picture too: what it is computed from need not be kept either.
            last = [self.blocks[self.depth], self.to_rgb[self.depth]]
            before, x = x, self.run(self.depth, lambda block, to_rgb, x: to_rgb(block(x)), last, x, apart=True)
        else:
            x = self.to_rgb[0](x)
        if self.fading:
            old = upsample(self.to_rgb[self.depth - 1](before), self.growth.factor(self.depth))
            x = torch.lerp(old, x, self.alpha.to(x.dtype))
        return torch.tanh(x) if self.tanh_at_end else x

    def _normalized(self, plain_labels: list[str]) -> Tensor | None:
        """[F + width], 1 for each input that is normalised with the others; None where all are."""
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

    def _normalize(self, inputs: Tensor) -> Tensor:
        """Inputs [N, F + width] with mean square 1 over those that count."""
        assert self.normalized is not None
        counted = self.normalized.to(inputs.dtype)
        mean = (inputs * counted).square().sum(1, keepdim=True) / counted.sum()
        return torch.where(counted > 0, inputs * (mean + EPSILON).rsqrt(), inputs)


@register("discriminator")
class Discriminator(DiscriminatorBase):
    """The progressively grown discriminator.

    Each 3x3 convolution is followed by `norm` and (leaky) ReLU; ``local_response`` comes after the ReLU.

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
        block_dropout: share of the feature maps' values left out at random after each block but the last.
        norm: normalise feature maps after each convolution of the blocks: each channel over the batch (batch), each
            channel of a sample (instance), each sample (layer), or each value by its neighbouring channels'
            (local_response). With batch, a score depends on the whole batch, which no gradient penalty means.
        spectral_norm: divide every weight by its largest singular value; with wscale, after scaling it.
        row_statistics: also judge each row's mean, deviation and change along the width, which are those of a frequency
            along time where images are spectrograms.

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
    ) -> None:
        name, growth = type(self).__name__, growth_of(shape)
        layers = Layers(kernel_size, leakyrelu, wscale, norm, spectral_norm)
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
            block = DiscriminatorBlock(channels, growth.factor(depth), layers, fused_downscale, block_dropout)
            self.blocks.append(block)
        self.from_rgb = nn.ModuleList(
            [
                layers.image((growth.channels, maps.at(depth)), slope=layers.slope)
                for depth in range(growth.max_depth + 1)
            ]
        )
        self.rows = RowStatistics(growth, maps.at(-1), layers) if row_statistics else None
        self.score = layers.dense((maps.at(-1), 1), 1.0)
        self.classify = layers.dense((maps.at(-1), label_space.width), 1.0) if label_space else None

    def earlier(self) -> Sequence[nn.Module]:
        """The blocks and layers from the picture below the current depth, but for the end, which gives the score."""
        return [*self.blocks[1 : self.depth], *self.from_rgb[: self.depth]]

    def used(self) -> Iterable[nn.Module]:
        """The blocks up to the current depth, the layers from images of this depth and in a fade the last; the end."""
        images = list(self.from_rgb)[self.depth - self.fading : self.depth + 1]
        rest = [part for part in self.children() if part is not self.blocks and part is not self.from_rgb]
        return [module for part in (*list(self.blocks)[: self.depth + 1], *images, *rest) for module in part.modules()]

    def judge(self, images: Tensor, labels: Tensor | None = None, parts: int = 1) -> Verdict:
        """Scores [N] and penultimate features [N, F] of pictures [N, C, h, w] at the current depth.

        Args:
            images: [N, C, h, w].
            labels: [N, width] or None; not looked at, since this discriminator is to find them.
            parts: how many equal batches `images` are; minibatch stddev and batch norm stay within each.

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
        features = self._features(images, parts)
        return features if self.rows is None else features + self.rows(images)

    def _features(self, images: Tensor, parts: int) -> Tensor:
        images = images.contiguous(memory_format=torch.channels_last)
        if self.depth == 0:
            head: Tensor = self.blocks[0](self.from_rgb[0](images), parts)
            return head
        newest = [self.from_rgb[self.depth], self.blocks[self.depth]]
        x = self.run(self.depth, lambda first, block, x: block(first(x), parts), newest, images, apart=True)
        if self.fading:
            smaller = self._shrink(images, self.growth.factor(self.depth))
            x = torch.lerp(self.from_rgb[self.depth - 1](smaller), x, self.alpha.to(x.dtype))
        for depth in range(self.depth - 1, 0, -1):
            x = self.run(depth, lambda block, x: block(x, parts), [self.blocks[depth]], x, apart=True)
        features: Tensor = self.blocks[0](x, parts)
        return features

    def _shrink(self, images: Tensor, factor: tuple[int, int]) -> Tensor:
        """What the depth before sees of pictures [N, C, h, w]."""
        return downsample(images, factor)
