"""Parts of FastGAN (Liu et al. 2021, arXiv 2101.04775): skip-layer excitation, and decoders for D."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pggan_framework.networks.functional import Pair, downsample
from pggan_framework.networks.layers import Layers, ScaledConv
from pggan_framework.schedules.growth import Growth

SOURCES = 1, 2
"""Depths whose feature maps are decoded: those of 8 and 16 pixels, for a seed block of 4."""
DOUBLINGS = 4
"""Largest number of depths by which a decoded image is larger."""


class Excitation(nn.Module):
    """Skip-layer excitation: gates [N, C'] for a block's feature maps, computed from an earlier block's [N, C, h, w].

    The layers are: mean over boxes down to the seed block's size, a convolution over the whole result, leaky ReLU 0.1,
    1x1 convolution, sigmoid (FastGAN, Liu et al. 2021, arXiv 2101.04775, equation 2 and figure 3).

    Args:
        channels: C and C'.
        size: h and w of the seed block.
        layers: common settings of all layers.
    """

    def __init__(self, channels: Pair, size: Pair, layers: Layers) -> None:
        super().__init__()
        self.size = size
        self.first = layers.dense((channels[0] * size[0] * size[1], channels[1]))
        self.second = layers.dense((channels[1], channels[1]), 1.0)

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, h, w] -> [N, C', 1, 1] in (0, 1)."""
        inner = self.first(nn.functional.adaptive_avg_pool2d(x, self.size).flatten(1))
        return torch.sigmoid(self.second(nn.functional.leaky_relu(inner, 0.1)))[:, :, None, None]


class Decoder(nn.Module):
    """Feature maps of a depth -> images: nearest x2, convolution, batch norm and GLU for each doubling (figure 4).

    Args:
        growth: the shapes of the images.
        source: the depth of the feature maps.
        channels: number of feature maps in the input; the layers inside have half as many.
        wscale: equalized learning rate.
    """

    def __init__(self, growth: Growth, source: int, channels: int, wscale: bool) -> None:
        super().__init__()
        self.last = min(growth.max_depth, source + DOUBLINGS)
        inner = max(channels // 2, 1)
        self.blocks = nn.ModuleList(
            ScaledConv(
                channels if depth == source + 1 else inner,
                2 * inner,
                3,
                wscale=wscale,
                up=growth.factor(depth),
                norm="batch",
            )
            for depth in range(source + 1, self.last + 1)
        )
        self.to_rgb = ScaledConv(inner, growth.channels, 3, 1.0, wscale=wscale)

    def forward(self, x: Tensor, doublings: int) -> Tensor:
        """[N, C, h, w] -> images [N, C', h', w'], enlarged by the given number of doublings."""
        for block in self.blocks[:doublings]:
            x = F.glu(block(x), 1)
        image: Tensor = torch.tanh(self.to_rgb(x))
        return image


class Decoders(nn.Module):
    """FastGAN's self-supervision: decodes images from D's feature maps (section 3.2, equation 3).

    Args:
        growth: the shapes of the images.
        channels: number of feature maps by depth.
        wscale: equalized learning rate.
    """

    def __init__(self, growth: Growth, channels: Mapping[int, int], wscale: bool) -> None:
        super().__init__()
        self.growth = growth
        self.parts = nn.ModuleDict(
            {str(depth): Decoder(growth, depth, count, wscale) for depth, count in channels.items()}
        )

    def forward(self, images: Tensor, maps: Mapping[int, Tensor], depth: int) -> list[tuple[Tensor, Tensor]]:
        """Reconstructions and their targets, two batches [N, C, h, w] per source.

        Only a random quarter of the larger feature maps is decoded, the same quarter for all samples.

        Args:
            images: [N, C, h, w] at `depth`.
            maps: feature maps of `images` in D, by depth.
            depth: current depth.
        """
        found = []
        for source in SOURCES:
            if source not in maps or str(source) not in self.parts:
                continue
            decoder, x = self.parts[str(source)], maps[source]
            assert isinstance(decoder, Decoder)
            last = min(decoder.last, depth)
            target = images
            for above in range(depth, last, -1):
                target = downsample(target, self.growth.factor(above))
            if source == SOURCES[-1]:
                for axis in (2, 3):
                    side = torch.randint(2, (1,), device=x.device)
                    x, target = _half(x, axis, side), _half(target, axis, side)
            found.append((decoder(x, last - source), target))
        return found


def _half(x: Tensor, axis: int, side: Tensor) -> Tensor:
    """Return the first or second half of [N, C, h, w] along an axis; `side` is [0] or [1] and stays on the device."""
    length = x.shape[axis] // 2
    return x.index_select(axis, side * length + torch.arange(length, device=x.device))
