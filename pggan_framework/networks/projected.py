"""The discriminator of Projected GAN (Sauer et al. 2021, arXiv 2111.01007), on the features of a frozen network."""

from __future__ import annotations

from collections.abc import Sequence
from inspect import signature
from math import log2, sqrt
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pggan_framework.errors import UserError
from pggan_framework.labels.attributes import LabelSpace
from pggan_framework.networks.base import DiscriminatorBase, Verdict, growth_of
from pggan_framework.networks.functional import Pair, downsample
from pggan_framework.networks.layers import LEAK
from pggan_framework.networks.norms import SpectralNorm
from pggan_framework.registry import REGISTRY, register
from pggan_framework.schedules.growth import Growth

STEP = 32
"""Image pixels per pixel of the extractor's coarsest feature map."""
SCALES = 4
"""Feature maps in use: those at 1/4 to 1/32 of the image, for an extractor that halves the image five times."""


def _random(channels: Pair, kernel: int) -> Tensor:
    """Draw a kernel [C', C, kernel, kernel] from N(0, 1 / fan_in)."""
    return torch.randn(channels[1], channels[0], kernel, kernel) / sqrt(channels[0] * kernel**2)


class Mixer(nn.Module):
    """Mixes feature maps across channels, then across scales, with random weights that are not trained (section 3.2).

    A 1x1 convolution at each scale; then, from the coarsest scale to the finest, the sum with the enlarged result of
    the scale before (bilinear), and a 3x3 convolution.

    Args:
        channels: number of feature maps at each scale, the finest first.
        width: number of mixed feature maps at the finest two scales; it doubles with each coarser scale.
    """

    def __init__(self, channels: Sequence[int], width: int) -> None:
        super().__init__()
        self.widths = [width * 2 ** max(scale - 1, 0) for scale in range(len(channels))]
        for scale, count in enumerate(channels):
            inner = width * 2**scale
            self.register_buffer(f"channels_{scale}", _random((count, inner), 1))
            self.register_buffer(f"scales_{scale}", _random((inner, self.widths[scale]), 3))

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """[N, C_k, h_k, w_k], the finest first -> [N, C'_k, h_k, w_k]."""
        mixed: list[Tensor] = []
        for scale, x in reversed(list(enumerate(maps))):
            x = F.conv2d(x, self.get_buffer(f"channels_{scale}"))
            if mixed:
                x = x + F.interpolate(mixed[0], x.shape[2:], mode="bilinear")
            mixed.insert(0, F.conv2d(x, self.get_buffer(f"scales_{scale}"), padding=1))
        return mixed


class SpectralConv(nn.Module):
    """A convolution whose kernel is divided by its largest singular value, as a matrix [C', C x kernel x kernel].

    Args:
        channels: C and C' of [N, C, h, w] -> [N, C', h', w'].
        kernel: side of the kernel.
        stride: reduction of both sides.
    """

    def __init__(self, channels: Pair, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.weight = nn.Parameter(_random(channels, kernel))
        self.bias = nn.Parameter(torch.zeros(channels[1]))
        self.spectral = SpectralNorm(channels[1])
        self.stride, self.padding = stride, (kernel - 1) // 2

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, h, w] -> [N, C', h / stride, w / stride]."""
        return F.conv2d(x, self.spectral(self.weight), self.bias, self.stride, self.padding)


class ScaleDiscriminator(nn.Module):
    """Scores the feature maps of a scale: 4x4 convolutions of stride 2, then a 3x3 convolution.

    Args:
        width: number of feature maps in the input; it doubles with each halving.
        maximum: largest number of feature maps.
        halvings: number of convolutions of stride 2.
    """

    def __init__(self, width: int, maximum: int, halvings: int) -> None:
        super().__init__()
        widths = [width, *(min(width * 2 ** (count + 1), maximum) for count in range(halvings))]
        self.halve = nn.ModuleList(SpectralConv(pair, 4, 2) for pair in zip(widths[:-1], widths[1:], strict=True))
        self.score = SpectralConv((widths[-1], 1), 3)
        self.features = widths[-1]

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """[N, C, h, w] -> mean score [N], mean features [N, F]."""
        for layer in self.halve:
            x = F.leaky_relu(layer(x), LEAK)
        return self.score(x).mean((1, 2, 3)), x.mean((2, 3))


@register("discriminator")
class ProjectedDiscriminator(DiscriminatorBase):
    """Four small discriminators on the feature maps of a frozen, pretrained network (Projected GAN, arXiv 2111.01007).

    Images of every depth are enlarged to one size; a fade mixes both depths' enlarged images. The score is the mean
    over all positions and scales. The paper uses the hinge loss. The pretrained network is not part of checkpoints.
    Distances between features of the same network, such as FID, do not measure the quality of such a model.

    Args:
        shape: [C, H, W] of the images at full depth, or their growth; given by the data. C is 1, 3 or 4.
        extractor: registered feature extractor: lite0 (EfficientNet-Lite0, ImageNet; needs the extra
            ``picture-metrics``), inception, or random, which is not trained.
        size: side of the enlarged images in pixels, a multiple of 32; for other aspect ratios, about as many pixels.
            The time of a step is proportional to its square. Inception enlarges them further, to 299x299.
        fmap_base: number of mixed feature maps at the finest two scales; it doubles with each coarser scale.
        fmap_max: largest number of feature maps of the small discriminators.
        label_space: labels of the images; passed by the data. The discriminator then also predicts labels (AC-GAN,
            arXiv 1610.09585).

    Raises:
        UserError: if a package is missing, the images have another number of channels, or a number is outside its
            limits.
    """

    def __init__(
        self,
        shape: Sequence[int] | Growth,
        extractor: str = "lite0",
        size: int = 128,
        fmap_base: int = 32,
        fmap_max: int = 256,
        label_space: LabelSpace | None = None,
    ) -> None:
        growth = growth_of(shape)
        super().__init__(growth, label_space)
        if size < STEP or size % STEP:
            raise UserError(f"ProjectedDiscriminator.size {size} is not allowed; allowed: a multiple of {STEP}")
        for name, value in (("fmap_base", fmap_base), ("fmap_max", fmap_max)):
            if value < 1:
                raise UserError(f"ProjectedDiscriminator.{name} {value} is not allowed; allowed: 1 and up")
        if growth.channels not in (1, 3, 4):
            raise UserError(
                f"ProjectedDiscriminator is for images of 1, 3 or 4 channels; the data have {growth.channels}:"
                " choose Discriminator"
            )
        ratio = sqrt(growth.shape[1] / growth.shape[2])
        self.sides = [max(round(side / STEP), 1) * STEP for side in (size * ratio, size / ratio)]
        found = REGISTRY.get(extractor, "extractor").cls
        # Otherwise an extractor that resizes its images would enlarge them again, to its own default.
        own = {"size": size} if "size" in signature(found).parameters else {}
        self.extractor = _constant(found(**own))
        with torch.no_grad():
            maps = self.extractor.maps(torch.zeros(1, 3, *self.sides))[-SCALES:]
        self.mixer = Mixer([x.shape[1] for x in maps], fmap_base)
        self.scales = nn.ModuleList(
            # All scales end at the same size: 4x4 for images of 256 pixels, as in the paper.
            ScaleDiscriminator(count, max(fmap_max, count), min(SCALES - scale, int(log2(min(x.shape[2:])))))
            for scale, (count, x) in enumerate(zip(self.mixer.widths, maps, strict=True))
        )
        features = sum(scale.features for scale in self.scales)  # type: ignore[misc]
        self.classify = nn.Linear(features, label_space.width) if label_space else None

    def judge(self, images: Tensor, labels: Tensor | None = None, parts: int = 1) -> Verdict:
        """Compute scores [N] and the four discriminators' mean features [N, F] of images [N, C, h, w].

        Args:
            images: [N, C, h, w] at the current depth.
            labels: [N, width] or None; ignored, since this discriminator predicts them.
            parts: number of equal batches in `images`; each image is processed independently.

        Raises:
            ValueError: if labels are given to an unconditioned network, or the images do not have the shape of the
                current depth.
        """
        if labels is not None:
            self.check_labels(labels, len(images))
        self.check_images(images)
        x = self._enlarged(images)
        if self.fading:
            x = self.blend(self._enlarged(downsample(images, self.growth.factor(self.depth))), x)
        mixed = self.mixer(self.extractor.maps(x)[-SCALES:])
        scores, features = zip(*(scale(y) for scale, y in zip(self.scales, mixed, strict=True)), strict=True)
        joined = torch.cat(features, 1)
        logits = self.classify(joined) if self.classify is not None else None
        return Verdict(torch.stack(scores).mean(0), joined, logits)

    def _enlarged(self, images: Tensor) -> Tensor:
        shrinks = any(own > side for own, side in zip(images.shape[2:], self.sides, strict=True))
        return F.interpolate(images, self.sides, mode="bilinear", antialias=shrinks)


def _constant(network: Any) -> Any:
    """Turn all tensors of a module into buffers: no update, penalty, average or checkpoint includes them."""
    for module in network.modules():
        for name, weight in list(module.named_parameters(recurse=False)):
            delattr(module, name)
            module.register_buffer(name, weight.detach(), persistent=False)
        for name, value in list(module.named_buffers(recurse=False)):
            module.register_buffer(name, value, persistent=False)
    return network
