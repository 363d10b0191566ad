"""What FastGAN adds to a network (Liu et al. 2021, arXiv 2101.04775): skip-layer excitation, and decoders for D."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pggan_framework.networks.functional import Pair
from pggan_framework.networks.layers import Layers


class Excitation(nn.Module):
    """Skip-layer excitation: gates [N, C'] of a block's feature maps, from those of an earlier block [N, C, h, w].

    Mean over boxes down to the seed block's size, a convolution over all of that, leaky ReLU 0.1, 1x1 convolution,
    sigmoid (FastGAN, Liu et al. 2021, arXiv 2101.04775, equation 2 and figure 3).

    Args:
        channels: C and C'.
        size: h and w of the seed block.
        layers: what all layers have.
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
