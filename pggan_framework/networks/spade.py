"""Networks conditioned on label maps: SPADE's generator, grown, and a discriminator that receives the map."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pggan_framework.errors import UserError
from pggan_framework.labels.attributes import LabelSpace
from pggan_framework.labels.maps import MapResize, MapSpace
from pggan_framework.networks.base import FeatureMaps, GeneratorBase, Verdict, growth_of
from pggan_framework.networks.functional import Pair, downsample, upsample
from pggan_framework.networks.layers import RELU_GAIN, ScaledConv, ScaledLinear
from pggan_framework.networks.norms import EPSILON
from pggan_framework.networks.pggan import Discriminator
from pggan_framework.registry import register
from pggan_framework.schedules.growth import Growth

LEAK = 0.2
_MODULATION_GAIN = 0.5
"""Of gamma and beta: with it, 1 + gamma is rarely negative at the start."""

PlainNorm = Literal["batch", "instance"]
"""The mean and variance of a channel: over the batch, or over one sample."""


def shrink_maps(maps: Tensor, factor: Pair, resize: MapResize) -> Tensor:
    """Reduce maps [N, K, h, w] to the previous depth; the result equals `MapSpace.condition` at that depth."""
    return downsample(maps, factor) if resize == "shares" else maps[..., :: factor[0], :: factor[1]]


def _map_space(name: str, space: LabelSpace | None) -> MapSpace:
    """The space of label maps.

    Raises:
        UserError: if the data have no label maps.
    """
    if isinstance(space, MapSpace):
        return space
    has = "no labels" if space is None else f"the labels {', '.join(entry.name for entry in space.attributes)}"
    raise UserError(f"{name} is for label maps, but the data have {has}; allowed: dataset_class LabelMapDataset")


class _Standardize(nn.Module):
    """Brings each channel of [N, C, h, w] to mean 0 and variance 1; no weights."""

    running_mean: Tensor | None
    running_var: Tensor | None

    def __init__(self, kind: PlainNorm, channels: int) -> None:
        super().__init__()
        averaged = kind == "batch"
        self.register_buffer("running_mean", torch.zeros(channels) if averaged else None)
        self.register_buffer("running_var", torch.ones(channels) if averaged else None)

    def forward(self, x: Tensor) -> Tensor:
        if self.running_mean is None:
            return F.group_norm(x, x.shape[1], eps=EPSILON)
        return F.batch_norm(x, self.running_mean, self.running_var, None, None, self.training, eps=EPSILON)


class SPADE(nn.Module):
    """Spatially adaptive normalization: ``norm(x) * (1 + gamma) + beta``, both computed from the map at every pixel.

    The map passes through a 3x3 convolution and ReLU shared by gamma and beta, then through one 3x3 convolution for
    each (Park et al. 2019, arXiv 1903.07291, figure 3).

    Args:
        channels: C of the normalized feature maps.
        classes: K of the map.
        hidden: channels between the map and gamma and beta.
        norm: kind of normalization.
        wscale: equalized learning rate.
    """

    def __init__(self, channels: int, classes: int, hidden: int, norm: PlainNorm, wscale: bool = True) -> None:
        super().__init__()
        self.standardise = _Standardize(norm, channels)  # checkpoints contain this name
        # Only one of the K channels is 1 at a pixel: the gain compensates for the others, which are 0.
        self.shared = ScaledConv(classes, hidden, 3, RELU_GAIN * classes**0.5, slope=0.0, wscale=wscale)
        # One convolution computes both: gamma is the first half of its outputs, beta the second.
        self.modulation = ScaledConv(hidden, 2 * channels, 3, _MODULATION_GAIN, wscale=wscale)

    def forward(self, x: Tensor, maps: Tensor) -> Tensor:
        """[N, C, h, w] and maps [N, K, h, w] -> [N, C, h, w]."""
        gamma, beta = self.modulation(self.shared(maps)).chunk(2, 1)
        steered: Tensor = self.standardise(x) * (1 + gamma) + beta
        return steered


class SPADEBlock(nn.Module):
    """[N, C, h, w] -> [N, C', h, w]: twice SPADE, leaky ReLU and 3x3 convolution, with a shortcut around them.

    If the number of channels changes, the shortcut is SPADE and a 1x1 convolution.

    Args:
        channels: C and C'.
        classes: K of the map.
        hidden: see `SPADE`.
        norm: see `SPADE`.
        wscale: equalized learning rate.
        spectral_norm: divide the weights of the convolutions, except those applied to the map, by their largest
            singular
            value.
    """

    def __init__(
        self, channels: Pair, classes: int, hidden: int, norm: PlainNorm, wscale: bool, spectral_norm: bool
    ) -> None:
        super().__init__()
        wide, out = channels
        middle = min(wide, out)
        self.first_norm = SPADE(wide, classes, hidden, norm, wscale)
        self.first = ScaledConv(wide, middle, 3, wscale=wscale, spectral=spectral_norm)
        self.second_norm = SPADE(middle, classes, hidden, norm, wscale)
        self.second = ScaledConv(middle, out, 3, wscale=wscale, spectral=spectral_norm)
        self.short_norm = SPADE(wide, classes, hidden, norm, wscale) if wide != out else None
        self.short = ScaledConv(wide, out, 1, 1.0, wscale=wscale, spectral=spectral_norm) if wide != out else None

    def forward(self, x: Tensor, maps: Tensor) -> Tensor:
        """[N, C, h, w] and maps [N, K, h, w] -> [N, C', h, w]."""
        inner = self.first(F.leaky_relu(self.first_norm(x, maps), LEAK))
        inner = self.second(F.leaky_relu(self.second_norm(inner, maps), LEAK))
        if self.short_norm is not None and self.short is not None:
            x = self.short(self.short_norm(x, maps))
        total: Tensor = x + inner
        return total


@register("generator")
class SPADEGenerator(GeneratorBase):
    """Generates images from label maps (SPADE, Park et al. 2019, arXiv 1903.07291), grown depth by depth.

    The map, reduced to the size of the seed block and concatenated to a dense layer of the latent, passes through a
    convolution. Each depth then applies nearest x2 and a residual block whose norms are modulated by the map at that
    depth's size.

    Args:
        shape: [C, H, W] of the images at full depth, or their growth; given by the data.
        fmap_base: base number of feature maps; at 2**k pixels there are fmap_base / 2**((k - 1) * fmap_decay), at most
            fmap_max.
        fmap_decay: how fast the number of feature maps falls with the resolution.
        fmap_max: largest number of feature maps.
        latent_size: number of components of a latent; 0 generates one image per map.
        hidden: channels between the map and the modulation of the norms; 128 in the paper.
        norm: normalization per channel over the batch (batch, as in the paper), or per sample and channel (instance).
            With batch, generation uses averages over the training.
        spectral_norm: divide the weights of the residual blocks' convolutions by their largest singular value.
        wscale: use an equalized learning rate: weights are scaled at run time.
        tanh_at_end: limit the output images to [-1, 1] by tanh.
        label_space: the label maps; given by the data.

    Raises:
        UserError: if the data have no label maps, or a number is outside its limits.
    """

    takes_maps: ClassVar[bool] = True

    def __init__(
        self,
        shape: Sequence[int] | Growth,
        fmap_base: int = 8192,
        fmap_decay: float = 1.0,
        fmap_max: int = 512,
        latent_size: int = 64,
        hidden: int = 128,
        norm: PlainNorm = "batch",
        spectral_norm: bool = True,
        wscale: bool = True,
        tanh_at_end: bool = True,
        label_space: LabelSpace | None = None,
    ) -> None:
        space = _map_space("SPADEGenerator", label_space)
        for name, value, least in (("latent_size", latent_size, 0), ("hidden", hidden, 1)):
            if value < least:
                raise UserError(f"SPADEGenerator.{name} {value} is not allowed; allowed: {least} and up")
        growth = growth_of(shape)
        super().__init__(growth, latent_size, space)
        self.resize, self.tanh_at_end = space.resize, tanh_at_end
        features = FeatureMaps(growth, fmap_base, fmap_decay, fmap_max)
        classes, first = len(space.classes), features.at(0)
        self.noise = (
            ScaledLinear(latent_size, first * growth.seed[0] * growth.seed[1], 1.0, wscale, first)
            if latent_size
            else None
        )
        self.seed = ScaledConv(classes + (first if latent_size else 0), first, 3, wscale=wscale)
        self.blocks = nn.ModuleList()
        self.to_rgb = nn.ModuleList()
        for depth in range(growth.max_depth + 1):
            channels = features.at(max(depth - 1, 0)), features.at(depth)
            self.blocks.append(SPADEBlock(channels, classes, hidden, norm, wscale, spectral_norm))
            self.to_rgb.append(ScaledConv(features.at(depth), growth.channels, 3, 1.0, wscale=wscale))

    def earlier(self) -> Sequence[nn.Module]:
        """The seed, the blocks and the layers to images below the current depth."""
        if self.depth == 0:
            return []
        seed = [self.seed] if self.noise is None else [self.seed, self.noise]
        return [*seed, *self.blocks[: self.depth], *self.to_rgb[: self.depth]]

    def used(self) -> Iterable[nn.Module]:
        """All modules except those of higher depths and the layers to images of other depths."""
        noise = [] if self.noise is None else [self.noise]
        parts = [
            self.seed,
            *noise,
            *self.blocks[: self.depth + 1],
            *self.to_rgb[self.depth - self.fading : self.depth + 1],
        ]
        return [module for part in parts for module in part.modules()]

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Latents [N, latent_size] and maps [N, K, h, w] -> images [N, C, h, w] at the current depth.

        Raises:
            ValueError: if the maps are missing or of another depth's size.
        """
        self.check_labels(labels, latents.shape[0])
        assert labels is not None
        pyramid = [labels.contiguous(memory_format=torch.channels_last)]
        for depth in range(self.depth, 0, -1):
            smaller = shrink_maps(pyramid[0], self.growth.factor(depth), self.resize)
            pyramid.insert(0, smaller.contiguous(memory_format=torch.channels_last))
        x = pyramid[0]
        if self.noise is not None:
            noise = self.noise(latents).view(latents.shape[0], -1, *self.growth.seed)
            x = torch.cat([x, noise], 1).contiguous(memory_format=torch.channels_last)
        x = before = self.blocks[0](self.seed(x), pyramid[0])
        for depth in range(1, self.depth + 1):
            before, x = x, self._block(depth, x, pyramid[depth])
        x = self._picture(x, self.depth)
        if self.fading:
            old = upsample(self._picture(before, self.depth - 1), self.growth.factor(self.depth))
            x = self.blend(old, x)
        return torch.tanh(x) if self.tanh_at_end else x

    def _block(self, depth: int, x: Tensor, maps: Tensor) -> Tensor:
        factor = self.growth.factor(depth)
        return self.run(depth, lambda block, x, maps: block(upsample(x, factor), maps), [self.blocks[depth]], x, maps)

    def _picture(self, x: Tensor, depth: int) -> Tensor:
        picture: Tensor = self.to_rgb[depth](F.leaky_relu(x, LEAK))
        return picture


@register("discriminator")
class MapDiscriminator(Discriminator):
    """The progressively grown discriminator with the label map as additional input.

    The classes of the map are concatenated to the image as further channels at every depth, as in SPADE and pix2pix
    (Isola et al. 2017, arXiv 1611.07004). It does not classify, so no auxiliary classifier needs a weight.

    Args:
        shape: [C, H, W] of the images at full depth, or their growth; given by the data.
        label_space: the label maps; given by the data.
        options: further parameters of `Discriminator`.

    Raises:
        UserError: if the data have no label maps.
    """

    takes_maps: ClassVar[bool] = True
    classifies: ClassVar[bool] = False

    def __init__(self, shape: Sequence[int] | Growth, label_space: LabelSpace | None = None, **options: Any) -> None:
        space = _map_space("MapDiscriminator", label_space)
        growth = growth_of(shape)
        joined = replace(growth, channels=growth.channels + len(space.classes))
        super().__init__(joined, label_space=None, **options)
        self.growth, self.label_space, self.resize = growth, space, space.resize

    def encode(self, images: Tensor, labels: Tensor | None = None, parts: int = 1) -> Tensor:
        """Compute the penultimate features [N, F] of images [N, C, h, w] with maps [N, K, h, w] at the current depth.

        Raises:
            ValueError: if the maps are missing, or maps or images do not have the shape of the current depth.
        """
        self.check_labels(labels, len(images))
        assert labels is not None
        self.check_images(images)
        return self._features(torch.cat([images, labels.to(images)], 1), parts)

    def judge(self, images: Tensor, labels: Tensor | None = None, parts: int = 1) -> Verdict:
        """Compute scores [N] and penultimate features [N, F] of images [N, C, h, w] with label maps.

        Args:
            images: [N, C, h, w] at the current depth.
            labels: maps [N, K, h, w].
            parts: number of equal batches in `images`; batch statistics stay within each batch.

        Raises:
            ValueError: if the maps are missing, or maps or images do not have the shape of the current depth.
        """
        features = self.encode(images, labels, parts)
        return Verdict(self.score(features).squeeze(1), features)

    def _shrink(self, images: Tensor, factor: Pair) -> Tensor:
        pictures, maps = images[:, : self.growth.channels], images[:, self.growth.channels :]
        return torch.cat([downsample(pictures, factor), shrink_maps(maps, factor, self.resize)], 1)
