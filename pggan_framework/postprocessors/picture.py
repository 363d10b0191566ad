"""Conversion of arrays to images: value ranges, enlargement, sample grids. Pure functions, except `save_png`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pggan_framework.postprocessors.colours import Bytes
from pggan_framework.storage.atomic import atomic_path

if TYPE_CHECKING:
    from PIL.Image import Image

GAP = 2
"""Pixels between two tiles of a grid."""
GAP_VALUE = 96
"""Grey level of these pixels."""
Tile = tuple[int, int, int, int]
"""(left, top, width, height) in pixels of a sample in a grid."""
_TILES, _EXTENT = "tiles", "extent"
"""Text entries of a grid's PNG."""


def to_uint8(samples: NDArray[np.floating]) -> Bytes:
    """Map [-1, 1] to 0 to 255, rounded to nearest and clipped; NaN, the output of a diverged network, becomes 0."""
    levels = np.rint((np.asarray(samples, np.float32) + np.float32(1)) * np.float32(127.5))
    clipped: Bytes = np.nan_to_num(np.clip(levels, 0, 255), nan=0).astype(np.uint8)
    return clipped


def picture_tiles(levels: Bytes) -> Bytes:
    """Convert images [N, C, h, w] to tiles [N, h, w', K]: grey (K = 1), RGB (3) or RGBA (4).

    2 channels, or more than 4, are not colours: they are drawn side by side in grey.
    """
    if levels.shape[1] in (1, 3, 4):
        last: Bytes = np.moveaxis(levels, 1, -1)
        return last
    return _side_by_side(levels[..., None])


def enlarge(pixels: Bytes, factors: Sequence[int]) -> Bytes:
    """Repeat the pixels of [..., h, w] by integer factors (down, across)."""
    return pixels.repeat(factors[0], axis=-2).repeat(factors[1], axis=-1)


def grid_shape(count: int, height: int, width: int) -> tuple[int, int]:
    """Return (rows, columns) for `count` tiles of height x width.

    Among grids with an aspect ratio of at most 2 to 1, the function selects the one with the fewest empty tiles, then
    the one closest to square, preferably wide. If there is no such grid, it selects the one closest to square.
    """

    def cost(columns: int) -> tuple[bool, float, float, int]:
        rows = -(-count // columns)
        unlike_square = round(abs(np.log2(columns * width / (rows * height))), 9)
        long = bool(unlike_square > 1)
        return long, unlike_square if long else rows * columns - count, unlike_square, -columns

    columns = min(range(1, count + 1), key=cost)
    return -(-count // columns), columns


def arrange(
    count: int, height: int, width: int, resolution: int, columns: int | None = None
) -> tuple[tuple[int, int], int]:
    """Return (rows, columns) of a grid, and its integer enlargement factor.

    Args:
        count: number of tiles.
        height: height of a tile in pixels.
        width: width of a tile in pixels.
        resolution: target for the grid's shorter side after the enlargement.
        columns: number of columns (default: from `grid_shape`).
    """
    rows, columns = grid_shape(count, height, width) if columns is None else (-(-count // columns), columns)
    return (rows, columns), max(round(resolution / min(rows * height, columns * width)), 1)


def sheet(tiles: Bytes, shape: tuple[int, int]) -> Image:
    """Draw tiles [N, h, w, K] in reading order on a grid of `shape` (rows, columns), with thin lines between them."""
    from PIL import Image

    rows, columns = shape
    count, height, width, depth = tiles.shape
    canvas = np.full((rows * (height + GAP) - GAP, columns * (width + GAP) - GAP, depth), GAP_VALUE, np.uint8)
    if depth == 4:
        canvas[..., 3] = 255
    places = []
    for index in range(count):
        top, left = index // columns * (height + GAP), index % columns * (width + GAP)
        canvas[top : top + height, left : left + width] = tiles[index]
        places.append((left, top, width, height))
    image = Image.fromarray(canvas[..., 0] if depth == 1 else canvas)
    record_tiles(image, places)
    return image


def record_tiles(image: Image, tiles: Sequence[Tile], extent: str = "") -> None:
    """Store the positions of a grid's samples in the image; `save_png` writes them and `tiles_of` reads them.

    Args:
        image: image of the grid.
        tiles: tiles of the samples, in order.
        extent: the range of a tile's axes, ``0.5 s, 0 to 8 kHz``.
    """
    image.info.update({_TILES: json.dumps(tiles), _EXTENT: extent})


def tiles_of(path: Path) -> list[Tile]:
    """Read the tiles of a grid; the complete image if the file does not record them."""
    from PIL import Image

    with Image.open(path, formats=["PNG"]) as image:
        try:
            found = [(int(x), int(y), int(w), int(h)) for x, y, w, h in json.loads(image.info[_TILES])]
        except (KeyError, ValueError, TypeError, OverflowError, RecursionError):
            found = []
        inside = all(0 <= x < x + w <= image.width and 0 <= y < y + h <= image.height for x, y, w, h in found)
        return found if found and inside else [(0, 0, *image.size)]


def extent_of(path: Path) -> str:
    """Read the range of the axes of a grid's tiles; empty if the file does not record it."""
    from PIL import Image

    with Image.open(path, formats=["PNG"]) as image:
        return str(image.info.get(_EXTENT, ""))


def save_png(image: Image, path: Path) -> None:
    """Write a PNG atomically, with its recorded tiles; missing folders are created."""
    from PIL.PngImagePlugin import PngInfo

    texts = PngInfo()
    for name in (_TILES, _EXTENT):
        if image.info.get(name):
            texts.add_text(name, image.info[name])
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary:
        # zlib's Z_RLE takes a third of the time of the default for sample grids; the files have about the same size.
        image.save(temporary, format="PNG", pnginfo=texts, compress_type=3)


def _side_by_side(tiles: Bytes) -> Bytes:
    """[N, C, h, w, K] -> [N, h, C * w + gaps, K]."""
    count, channels, height, width, depth = tiles.shape
    joined = np.full((count, height, channels * (width + GAP) - GAP, depth), GAP_VALUE, np.uint8)
    for channel in range(channels):
        left = channel * (width + GAP)
        joined[:, :, left : left + width] = tiles[:, channel]
    return joined
