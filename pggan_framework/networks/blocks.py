"""What the growing networks are made of, a block a depth."""

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
from pggan_framework.schedules.growth import Growth


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
        upsampling: nearest, or bilinear, which is a step of its own.
        excitation: makes gates of the output from an earlier block's output, if there is one.
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
        # Nearest is folded into the convolution; bilinear is a step of its own.
        self.bilinear = factor if upsampling == "bilinear" else (1, 1)
        up = (1, 1) if upsampling == "bilinear" else factor
        self.pixelnorm = pixelnorm
        self.first = layers.conv(channels, up=up)
        self.second = layers.conv((channels[1], channels[1]))
        self.excitation = excitation

    def forward(self, x: Tensor, source: Tensor | None = None) -> Tensor:
        """[N, C, h, w], and the output of the earlier block where it has one -> [N, C', h', w']."""
        x = self.first(upsample(x, self.bilinear, "bilinear"))
        x = self.second(pixel_norm(x) if self.pixelnorm else x)
        x = pixel_norm(x) if self.pixelnorm else x
        return x if source is None or self.excitation is None else x * self.excitation(source)


class DiscriminatorBlock(nn.Module):
    """[N, C, h, w] -> [N, C', h', w']: two convolutions, shrinking before or after the second one's activation.

    Args:
        channels: C and C'.
        factor: how much it shrinks height and width.
        layers: what all layers have.
        fused_downscale: shrink before the second activation.
        dropout: share of the output's values left out at random.
        residual: add the input, shrunk and through a 1x1 convolution, and divide by sqrt(2).
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
        """[N, C, h, w], which is `parts` batches -> [N, C', h', w']."""
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


class _InBlocks(GrowingNetwork):
    """A network of a block, and a layer to or from images, for each depth."""

    blocks: nn.ModuleList
    images: ClassVar[str]
    """Attribute with the layers to or from images."""

    def used(self) -> Iterable[nn.Module]:
        """All but the blocks above the current depth, and but the layers of images that are not shown."""
        # Lists, since a slice of a ModuleList is a new module.
        blocks = list(self.blocks)[: self.depth + 1]
        images = list(getattr(self, self.images))[self.depth - self.fading : self.depth + 1]
        rest = [part for name, part in self.named_children() if name not in ("blocks", self.images)]
        return [module for part in (*blocks, *images, *rest) for module in part.modules()]


class BlockGenerator(_InBlocks, GeneratorBase):
    """A generator of a block and a layer to images for each depth; `__init__` of a subclass makes them.

    Attributes:
        blocks: from `inputs` to feature maps, then from each depth's to the next one's.
        to_rgb: from feature maps to images.
        tanh_at_end: limit the images to [-1, 1] by tanh.
        excitation: give a block also the output of the block so many depths before, as its source; 0: none.
    """

    images = "to_rgb"
    to_rgb: nn.ModuleList
    tanh_at_end: bool = False
    excitation: int = 0

    def earlier(self) -> Sequence[nn.Module]:
        """The blocks and layers towards the images below the current depth."""
        return [*self.blocks[: self.depth], *self.to_rgb[: self.depth]]

    def inputs(self, latents: Tensor, labels: Tensor | None) -> Tensor:
        """What the seed block is given: latents [N, F] and labels [N, width], joined."""
        return latents if labels is None else torch.cat([latents, labels], 1)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Latents [N, F], labels [N, width] or None -> images [N, C, h, w] at the current depth.

        Raises:
            ValueError: if labels are given to a generator that is not conditioned, or are missing.
        """
        self.check_labels(labels, latents.shape[0])
        x = self.blocks[0](self.inputs(latents, labels))
        before, outputs = x, [x]
        for depth in range(1, self.depth + 1):
            sources = outputs[depth - self.excitation :][:1] if 0 < self.excitation <= depth else []
            if depth == self.depth:
                # The layer to the image too: what it is computed from need not be kept either.
                last = [self.blocks[depth], self.to_rgb[depth]]
                work = lambda block, to_rgb, *inputs: to_rgb(block(*inputs))  # noqa: E731
            else:
                last, work = [self.blocks[depth]], lambda block, *inputs: block(*inputs)
            before, x = x, self.run(depth, work, last, x, *sources, apart=True)
            if self.excitation:
                outputs.append(x)
        if self.depth == 0:
            x = self.to_rgb[0](x)
        if self.fading:
            old = upsample(self.to_rgb[self.depth - 1](before), self.growth.factor(self.depth))
            x = torch.lerp(old, x, self.alpha.to(x.dtype))
        return torch.tanh(x) if self.tanh_at_end else x


class BlockDiscriminator(_InBlocks, DiscriminatorBase):
    """A discriminator of a layer from images and a block for each depth; `__init__` of a subclass makes them.

    Attributes:
        from_rgb: from images to feature maps.
        blocks: from each depth's feature maps to those of the depth before, and from depth 0 to features [N, F]; each
            also receives the number of batches.
        rows: from images to features that are added, if there is one.
    """

    images = "from_rgb"
    from_rgb: nn.ModuleList

    def __init__(self, growth: Growth, label_space: LabelSpace | None = None) -> None:
        super().__init__(growth, label_space)
        self.rows: nn.Module | None = None

    def earlier(self) -> Sequence[nn.Module]:
        """The blocks and layers from the image below the current depth, but for the end, which gives the score."""
        return [*self.blocks[1 : self.depth], *self.from_rgb[: self.depth]]

    def encode(self, images: Tensor, labels: Tensor | None = None, parts: int = 1) -> Tensor:
        """The penultimate features [N, F] of `judge`, whose arguments and errors it has."""
        if labels is not None:
            self.check_labels(labels, len(images))
        expected = self.growth.shape_at(self.depth)
        if tuple(images.shape[1:]) != expected:
            raise ValueError(f"images of shape {tuple(images.shape[1:])} at depth {self.depth}, not {expected}")
        features = self._features(images, parts)
        return features if self.rows is None else features + self.rows(images)

    def _features(self, images: Tensor, parts: int, kept: dict[int, Tensor] | None = None) -> Tensor:
        """Features [N, F]; `kept` receives the feature maps of each depth that comes out of a block."""
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
            if kept is not None:
                kept[depth] = x
            x = self.run(depth, lambda block, x: block(x, parts), [self.blocks[depth]], x, apart=True)
        features: Tensor = self.blocks[0](x, parts)
        return features

    def _shrink(self, images: Tensor, factor: Pair) -> Tensor:
        """What the depth before sees of images [N, C, h, w]."""
        return downsample(images, factor)
