"""Cutting patches out of many pictures, and adding up what is in them on the way."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pggan_framework.metrics.counting import compiled


@compiled
def cut(pixels: NDArray[np.float32], places: NDArray[np.int64], patches: NDArray[np.float32]) -> NDArray[np.float64]:
    """Fill `patches` [N, P, S, S, C] with those of pictures [N, C, H, W] at `places` [N, P, 2] (row, column).

    Returns:
        The sum and the sum of squares of each channel of all patches, [2, C].
    """
    count, each, side, _, channels = patches.shape
    sums = np.zeros((2, channels))
    for n in range(count):
        for p in range(each):
            y, x = places[n, p, 0], places[n, p, 1]
            for c in range(channels):
                total, squares = 0.0, 0.0
                for i in range(side):
                    for j in range(side):
                        value = pixels[n, c, y + i, x + j]
                        patches[n, p, i, j, c] = value
                        total += value
                        squares += np.float64(value) * value
                sums[0, c] += total
                sums[1, c] += squares
    return sums
