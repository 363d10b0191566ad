"""Statistics of a whole spectrogram for a discriminator: each row's mean, deviation and change along time."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pggan_framework.networks.functional import leaky_relu
from pggan_framework.networks.layers import RELU_GAIN, Layers
from pggan_framework.schedules.growth import Growth

HIDDEN = 128
"""Units of the layer that sees the statistics."""
SCALES = 1.0, 2.0, 4.0
"""Of mean, deviation and change, so that all three vary about as much in log spectrograms."""
EPSILON = 1e-4


class RowStatistics(nn.Module):
    """Images [N, C, h, w] at any depth -> features [N, F].

    A convolution covers only a few columns. The consistency of a sound's average spectrum, range and flutter is only
    visible over the whole length. The statistics of an image do not change when its pixels are doubled, so one layer
    serves all depths and its weights stay valid when the networks grow.

    Args:
        growth: the shapes of the images.
        features: number of features, F.
        layers: common settings of all layers.
    """

    def __init__(self, growth: Growth, features: int, layers: Layers) -> None:
        super().__init__()
        channels, self.rows, self.columns = growth.shape
        self.slope = layers.slope
        self.first = layers.dense((3 * channels * self.rows, HIDDEN))
        self.second = layers.dense((HIDDEN, features), RELU_GAIN / 4)

    def forward(self, images: Tensor) -> Tensor:
        """[N, C, h, w] -> [N, F]."""
        found = row_statistics(images, self.columns)
        found = found.repeat_interleave(self.rows // images.shape[2], 2).flatten(1)
        features: Tensor = self.second(leaky_relu(self.first(found), self.slope))
        return features


def row_statistics(images: Tensor, columns: int) -> Tensor:
    """[N, C, h, w] -> [N, 3 C, h]: mean, standard deviation and mean change along the width at `columns` columns."""
    mean = images.mean(3)
    deviation = (images.var(3, unbiased=False) + EPSILON).sqrt()
    change = images.diff(dim=3).abs().sum(3) / columns
    return torch.cat([scale * part for scale, part in zip(SCALES, (mean, deviation, change), strict=True)], 1)
