"""Blocks of the growing networks, one per depth."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from math import sqrt
from typing import ClassVar

import torch
from torch import Tensor, nn

from pggan_framework.labels.attributes import LabelSpace
from pggan_framework.networks.base import DiscriminatorBase, GeneratorBase, GrowingNetwork
from pggan_framework.networks.execution import DEFAULT, Execution
from pggan_framework.networks.fastgan import Excitation
from pggan_framework.networks.functional import Pair, blur, downsample, leaky_relu, pixel_norm, upsample
from pggan_framework.networks.layers import RELU_GAIN, Layers
from pggan_framework.networks.stddev import flat_stddev, group_stddev
from pggan_framework.networks.torch_private import parts_of
from pggan_framework.schedules.growth import Growth


def _dropout(share: float) -> nn.Module:
    return nn.Dropout(share) if share else nn.Identity()


class SeedBlock(nn.Module):
    """Latents [N, F] -> [N, C, h, w]: dense layer, then a convolution, each with activation and pixel norm.

    Args:
        latents: number of latents, F.
        channels: number of output channels, C.
        size: height and width, h and w.
        layers: common settings of all layers.
        pixelnorm: normalize each pixel's features.
        position_bias: train one bias of the dense layer per position and channel, not only per channel.
    """

    def __init__(
        self, latents: int, channels: int, size: Pair, layers: Layers, pixelnorm: bool, position_bias: bool = False
    ) -> None:
        super().__init__()
        self.shape = (channels, *size)
        self.slope, self.pixelnorm = layers.slope, pixelnorm
        # The gain of the Theano version, whose fan-in included the 16 positions.
        biases = None if position_bias else channels
        self.dense = layers.dense((latents, channels * size[0] * size[1]), RELU_GAIN / 4, biases)
        self.conv = layers.conv((channels, channels))

    def forward(self, latents: Tensor) -> Tensor:
        """[N, F] -> [N, C, h, w]."""
        x = nn.functional.leaky_relu(self.dense(latents), self.slope).view(-1, *self.shape)
        x = x.contiguous(memory_format=torch.channels_last)
        how = self.conv.execution
        x = self.conv(pixel_norm(x, how) if self.pixelnorm else x)
        return pixel_norm(x, how) if self.pixelnorm else x


class GeneratorBlock(nn.Module):
    """[N, C, h, w] -> [N, C', h', w']: enlarge, then two convolutions, each with norm, activation and pixel norm.

    Args:
        channels: C and C'.
        factor: enlargement factors of height and width.
        layers: common settings of all layers.
        pixelnorm: normalize each pixel's features.
        upsampling: nearest, or bilinear as a separate step.
        excitation: layer that computes gates for the output from an earlier block's output, if any.
    """

    def __init__(
        self,
        channels: Pair,
        factor: Pair,
        layers: Layers,
        pixelnorm: bool,
        upsampling: str,
        excitation: Excitation | None = None,
    ) -> None:
        super().__init__()
        # Nearest is folded into the convolution; bilinear is a separate step.
        self.bilinear = factor if upsampling == "bilinear" else (1, 1)
        up = (1, 1) if upsampling == "bilinear" else factor
        self.pixelnorm = pixelnorm
        self.first = layers.conv(channels, up=up)
        self.second = layers.conv((channels[1], channels[1]))
        self.excitation = excitation

    def forward(self, x: Tensor, source: Tensor | None = None) -> Tensor:
        """[N, C, h, w], and the output of the earlier block if excitation is used -> [N, C', h', w']."""
        first, second = self.first, self.second
        x = first(upsample(x, self.bilinear, "bilinear"))
        x = second(pixel_norm(x, first.execution) if self.pixelnorm else x)
        x = pixel_norm(x, first.execution) if self.pixelnorm else x
        return x if source is None or self.excitation is None else x * self.excitation(source)


class DiscriminatorBlock(nn.Module):
    """[N, C, h, w] -> [N, C', h', w']: two convolutions, shrinking before or after the second one's activation.

    Args:
        channels: C and C'.
        factor: reduction factors of height and width.
        layers: common settings of all layers.
        fused_downscale: shrink before the second activation.
        dropout: fraction of the output values that are dropped.
        residual: add the input, reduced and passed through a 1x1 convolution, then divide by sqrt(2).
    """

    def __init__(
        self,
        channels: Pair,
        factor: Pair,
        layers: Layers,
        fused_downscale: bool,
        dropout: float,
        residual: bool = False,
    ) -> None:
        super().__init__()
        self.mean = (1, 1) if fused_downscale else factor
        self.blurred = self.mean if layers.filtered else (1, 1)
        self.first = layers.conv((channels[0], channels[0]))
        self.second = layers.conv(channels, down=factor if fused_downscale else (1, 1))
        self.skip = layers.image(channels, gain=1.0, down=factor, bias=False) if residual else None
        self.dropout = _dropout(dropout)

    def forward(self, x: Tensor, parts: int) -> Tensor:
        """[N, C, h, w], consisting of `parts` batches -> [N, C', h', w']."""
        inner = self.second(self.first(x, parts), parts)
        inner = downsample(inner if self.blurred == (1, 1) else blur(inner, self.blurred), self.mean)
        inner = inner if self.skip is None else (self.skip(x) + inner) / sqrt(2)
        dropped: Tensor = self.dropout(inner)
        return dropped


class Head(nn.Module):
    """[N, C, h, w] of the seed block -> features [N, F]: minibatch stddev, a convolution, a dense layer.

    Args:
        channels: C and F.
        size: h and w.
        layers: common settings of all layers.
        mbstd: kind of minibatch stddev: grouped, batch, flat or none.
        mbstd_group: largest number of samples in a group.
        dropout: fraction of the values that are dropped before the dense layer.
    """

    execution: Execution = DEFAULT

    def __init__(
        self, channels: Pair, size: Pair, layers: Layers, mbstd: str, mbstd_group: int, dropout: float
    ) -> None:
        super().__init__()
        self.slope, self.mbstd = layers.slope, mbstd
        # [N, C, h, w] -> [N]; with batch, all samples form one group.
        self._stddev = (
            flat_stddev if mbstd == "flat" else partial(group_stddev, group=mbstd_group if mbstd == "grouped" else None)
        )
        extra = mbstd != "none"
        self.conv = layers.conv((channels[0] + extra, channels[0]))
        self.dropout = _dropout(dropout)
        self.dense = layers.dense((channels[0] * size[0] * size[1], channels[1]))

    def forward(self, x: Tensor, parts: int) -> Tensor:
        """[N, C, h, w], consisting of `parts` batches -> [N, F]."""
        if self.mbstd != "none":
            deviation = self._stddev(x, parts=parts).to(x.dtype)
            # Concatenate in channels-last order, which convolutions use; along axis 1 the result would be NCHW.
            x = x.permute(0, 2, 3, 1)
            x = torch.cat([x, deviation.view(-1, 1, 1, 1).expand(*x.shape[:3], 1)], 3).permute(0, 3, 1, 2)
        x = self.dropout(self.conv(x, parts).flatten(1))
        return leaky_relu(self.dense(x), self.slope, self.execution)


class _InBlocks(GrowingNetwork):
    """A network that has a block and a layer to or from images at each depth."""

    blocks: nn.ModuleList
    images: ClassVar[str]
    """Attribute with the layers to or from images."""

    def used(self) -> Iterable[nn.Module]:
        """All modules except blocks above the current depth and unused layers to or from images."""
        # Lists, since slicing a ModuleList creates a new module.
        newest = self.depth
        blocks = list(self.blocks)[: newest + 1]
        images = list(getattr(self, self.images))[newest - self.fading : newest + 1]
        rest = [part for name, part in self._modules.items() if name not in ("blocks", self.images)]
        return parts_of([*blocks, *images, *rest])


class BlockGenerator(_InBlocks, GeneratorBase):
    """A generator with a block and a layer to images at each depth, both created by the subclass's `__init__`.

    Attributes:
        blocks: the first block maps `inputs` to feature maps; each other block maps feature maps of one depth to the
            next.
        to_rgb: layers from feature maps to images.
        tanh_at_end: limit the images to [-1, 1] by tanh.
        excitation: number of depths between a block and the earlier block that computes its gates; 0 for no gates.
    """

    images = "to_rgb"
    to_rgb: nn.ModuleList
    tanh_at_end: bool = False
    excitation: int = 0

    def earlier(self) -> Sequence[nn.Module]:
        """The blocks and layers to images below the current depth."""
        return [*self.blocks[: self.depth], *self.to_rgb[: self.depth]]

    def inputs(self, latents: Tensor, labels: Tensor | None) -> Tensor:
        """Concatenate latents [N, F] and labels [N, width] to the seed block's input."""
        return latents if labels is None else torch.cat([latents, labels], 1)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Latents [N, F], labels [N, width] or None -> images [N, C, h, w] at the current depth.

        Raises:
            ValueError: if labels are given to an unconditioned generator, or are missing.
        """
        self.check_labels(labels, latents.shape[0])
        newest, blocks, to_rgb = self.depth, list(self.blocks), list(self.to_rgb)
        x = blocks[0](self.inputs(latents, labels))
        before, outputs = x, [x]
        for depth in range(1, newest + 1):
            sources = outputs[depth - self.excitation :][:1] if 0 < self.excitation <= depth else []
            if depth == newest:
                # The layer to the image too, so that its input need not be stored either.
                last = [blocks[depth], to_rgb[depth]]
                work = lambda block, to_rgb, *inputs: to_rgb(block(*inputs))  # noqa: E731
            else:
                last, work = [blocks[depth]], lambda block, *inputs: block(*inputs)
            before, x = x, self.run(depth, work, last, x, *sources, apart=True)
            if self.excitation:
                outputs.append(x)
        if newest == 0:
            x = to_rgb[0](x)
        if self.fading:
            old = upsample(to_rgb[newest - 1](before), self.growth.factor(newest))
            x = self.blend(old, x)
        return torch.tanh(x) if self.tanh_at_end else x


class BlockDiscriminator(_InBlocks, DiscriminatorBase):
    """A discriminator with a layer from images and a block at each depth, both created by the subclass's `__init__`.

    Attributes:
        from_rgb: layers from images to feature maps.
        blocks: each block maps feature maps of its depth to the depth below; the block of depth 0 maps them to features
            [N, F]. Each block also receives the number of batches.
        rows: optional layer from images to features that are added to the features of the last block.
    """

    images = "from_rgb"
    from_rgb: nn.ModuleList

    def __init__(self, growth: Growth, label_space: LabelSpace | None = None) -> None:
        super().__init__(growth, label_space)
        self.rows: nn.Module | None = None

    def earlier(self) -> Sequence[nn.Module]:
        """The blocks and layers from images below the current depth, except the last block, which gives the score."""
        return [*self.blocks[1 : self.depth], *self.from_rgb[: self.depth]]

    def encode(self, images: Tensor, labels: Tensor | None = None, parts: int = 1) -> Tensor:
        """Compute the penultimate features [N, F]; arguments and errors are those of `judge`."""
        if labels is not None:
            self.check_labels(labels, len(images))
        expected = self.growth.shape_at(self.depth)
        if tuple(images.shape[1:]) != expected:  # `check_images`, without a further function in the step of the default
            raise ValueError(f"images of shape {tuple(images.shape[1:])} at depth {self.depth}, not {expected}")
        features = self._features(images, parts)
        return features if self.rows is None else features + self.rows(images)

    def _features(self, images: Tensor, parts: int, kept: dict[int, Tensor] | None = None) -> Tensor:
        """Compute features [N, F]; `kept` receives the feature maps that each block outputs, by depth."""
        images = images.contiguous(memory_format=torch.channels_last)
        newest, blocks, from_rgb = self.depth, list(self.blocks), list(self.from_rgb)
        if newest == 0:
            head: Tensor = blocks[0](from_rgb[0](images), parts)
            return head
        last = [from_rgb[newest], blocks[newest]]
        x = self.run(newest, lambda first, block, x: block(first(x), parts), last, images, apart=True)
        if self.fading:
            smaller = self._shrink(images, self.growth.factor(newest))
            x = self.blend(from_rgb[newest - 1](smaller), x)
        for depth in range(newest - 1, 0, -1):
            if kept is not None:
                kept[depth] = x
            x = self.run(depth, lambda block, x: block(x, parts), [blocks[depth]], x, apart=True)
        features: Tensor = blocks[0](x, parts)
        return features

    def _shrink(self, images: Tensor, factor: Pair) -> Tensor:
        """Reduce images [N, C, h, w] to the previous depth."""
        return downsample(images, factor)
