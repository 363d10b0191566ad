"""Draw the data as the networks see them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pggan_framework.data.base import DepthDataset, Pixels
from pggan_framework.postprocessors.picture import arrange, enlarge, picture_tiles, sheet, to_uint8
from pggan_framework.postprocessors.spectrogram import spectrogram_sheet

if TYPE_CHECKING:
    from PIL.Image import Image

SIDE = 512
"""Approximate size in pixels to which the shorter side of a grid is enlarged; nothing is reduced."""


def draw(dataset: DepthDataset, pictures: Pixels) -> Image:
    """Draw images [N, C, h, w] at full depth on a grid; spectrograms are drawn in colours, with axes."""
    values = centred(dataset, pictures)
    count, channels, height, width = values.shape
    if dataset.codec is not None and dataset.codec.row_hz() is not None:
        return spectrogram_sheet(values, dataset.codec, (height, width), SIDE)
    wide = width * (1 if channels in (1, 3, 4) else channels)
    grid, factor = arrange(count, height, wide, SIDE)
    return sheet(picture_tiles(enlarge(to_uint8(values), (factor, factor))), grid)


def draw_depths(dataset: DepthDataset, index: int) -> Image:
    """Draw one image at every depth, smallest first, enlarged to full size: the input of the growing networks."""
    height, width = dataset.shape[1:]
    steps = []
    for depth in range(dataset.growth.max_depth + 1):
        small = dataset.images([index], depth)[0]
        steps.append(small.repeat(height // small.shape[1], axis=1).repeat(width // small.shape[2], axis=2))
    return draw(dataset, np.stack(steps))


def centred(dataset: DepthDataset, pictures: Pixels) -> NDArray[np.float32]:
    """Convert images from the dataset's range to float32 in [-1, 1]."""
    low, high = dataset.range_in
    values: NDArray[np.float32] = (pictures.astype(np.float32) - np.float32(low)) * np.float32(
        2 / (high - low)
    ) - np.float32(1)
    return values
