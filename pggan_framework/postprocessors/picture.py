"""Arrays into pictures: value ranges, colours, enlargement, contact sheets. Pure functions, but for `save_png`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pggan_framework.files import atomic_path

if TYPE_CHECKING:
    from PIL.Image import Image

Bytes = NDArray[np.uint8]
"""uint8 values."""

GAP = 2
"""Pixels between two tiles of a sheet."""
_GAP_VALUE = 96

# CIE lightness rises evenly from 2 to 96, so equal steps in level look equal, in print without colours too; the hue
# turns from blue over magenta and orange to pale yellow. Linear interpolation between these stays within 0.9 of even.
_COLOUR_NODES = (
    (6, 7, 15),
    (24, 22, 59),
    (47, 31, 96),
    (82, 36, 126),
    (126, 39, 137),
    (169, 45, 132),
    (208, 56, 121),
    (231, 86, 109),
    (249, 116, 100),
    (254, 152, 98),
    (255, 186, 107),
    (252, 218, 131),
    (247, 246, 207),
)


def to_uint8(samples: NDArray[np.floating]) -> Bytes:
    """[-1, 1] -> 0 to 255, rounded to nearest and clipped; NaN, which a diverged network draws, is 0."""
    levels = np.rint((np.asarray(samples, np.float32) + np.float32(1)) * np.float32(127.5))
    clipped: Bytes = np.nan_to_num(np.clip(levels, 0, 255), nan=0).astype(np.uint8)
    return clipped


def colour_table() -> Bytes:
    """The colours of levels 0 to 255, [256, 3], dark to bright."""
    nodes = np.array(_COLOUR_NODES, np.float64)
    place = np.linspace(0, len(nodes) - 1, 256)
    columns = [np.interp(place, np.arange(len(nodes)), nodes[:, channel]) for channel in range(3)]
    table: Bytes = np.rint(np.stack(columns, axis=-1)).astype(np.uint8)
    return table


def picture_tiles(levels: Bytes) -> Bytes:
    """Pictures [N, C, h, w] -> tiles [N, h, w', K]: grey (K = 1), RGB (3) or RGBA (4).

    With 2 or more than 4 channels, which have no colours, the channels stand side by side in grey.
    """
    if levels.shape[1] in (1, 3, 4):
        last: Bytes = np.moveaxis(levels, 1, -1)
        return last
    return _side_by_side(levels[..., None])


def spectrogram_tiles(levels: Bytes) -> Bytes:
    """Spectrograms [N, C, bins, frames] -> coloured tiles [N, bins, w', 3], the low frequencies at the bottom.

    Several channels stand side by side.
    """
    coloured: Bytes = colour_table()[levels[:, :, ::-1]]
    return _side_by_side(coloured)


def enlarge(pixels: Bytes, factors: Sequence[int]) -> Bytes:
    """Repeat the pixels of [..., h, w] by whole factors (down, across)."""
    return pixels.repeat(factors[0], axis=-2).repeat(factors[1], axis=-1)


def grid_shape(count: int, height: int, width: int) -> tuple[int, int]:
    """(rows, columns) for `count` tiles of height x width.

    The sheet with the fewest empty places whose sides are at most 2 to 1, of those the one nearest to square, rather
    wide than tall; where none is so, the one nearest to square.
    """

    def cost(columns: int) -> tuple[bool, float, float, int]:
        rows = -(-count // columns)
        unlike_square = round(abs(np.log2(columns * width / (rows * height))), 9)
        long = bool(unlike_square > 1)
        return long, unlike_square if long else rows * columns - count, unlike_square, -columns

    columns = min(range(1, count + 1), key=cost)
    return -(-count // columns), columns


def sheet(tiles: Bytes, shape: tuple[int, int]) -> Image:
    """Tiles [N, h, w, K] in reading order on a sheet of `shape` (rows, columns), thin lines between them."""
    from PIL import Image

    rows, columns = shape
    count, height, width, depth = tiles.shape
    canvas = np.full((rows * (height + GAP) - GAP, columns * (width + GAP) - GAP, depth), _GAP_VALUE, np.uint8)
    if depth == 4:
        canvas[..., 3] = 255
    for index in range(count):
        top, left = index // columns * (height + GAP), index % columns * (width + GAP)
        canvas[top : top + height, left : left + width] = tiles[index]
    return Image.fromarray(canvas[..., 0] if depth == 1 else canvas)


def save_png(image: Image, path: Path) -> None:
    """Write a PNG so that nobody ever reads half of one; missing folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary:
        image.save(temporary, format="PNG")


def _side_by_side(tiles: Bytes) -> Bytes:
    """[N, C, h, w, K] -> [N, h, C * w + gaps, K]."""
    count, channels, height, width, depth = tiles.shape
    joined = np.full((count, height, channels * (width + GAP) - GAP, depth), _GAP_VALUE, np.uint8)
    for channel in range(channels):
        left = channel * (width + GAP)
        joined[:, :, left : left + width] = tiles[:, channel]
    return joined
