"""Mappings of positions in the seed block, which keep content at its frequency and time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from pggan_framework.audio.base import Codec
from pggan_framework.models.growing.spaces import SAME, Space

Places = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""Maps places in a target image, 0 to 1 along an axis, to the source image; outside it, they are below 0 or above 1."""
NEAR = 0.15
"""Fraction of a cell by which two edges may differ and still count as equal."""


def same_places(places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Map places in images of the same content: the fraction of the height or width stays the same."""
    return places


def by_frequency(source: Codec, target: Codec) -> Places:
    """Map heights by their frequency in Hz."""
    return _through(_rows(source), _rows(target))


def by_time(source: Codec, target: Codec) -> Places:
    """Map widths by their time in seconds."""
    (begin, end), (start, stop) = source.time_range(), target.time_range()
    return lambda places: (start + places * (stop - start) - begin) / (end - begin)


def _rows(codec: Codec) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The places and frequencies of the rows' centres, with one further row at each end."""
    hz = codec.row_hz()
    assert hz is not None
    places = (np.arange(-1, len(hz) + 1) + 0.5) / len(hz)
    ends = 2 * hz[0] - hz[1], 2 * hz[-1] - hz[-2]
    return places, np.concatenate([[ends[0]], hz, [ends[1]]])


def _through(
    source: tuple[NDArray[np.float64], NDArray[np.float64]], target: tuple[NDArray[np.float64], NDArray[np.float64]]
) -> Places:
    def places(given: NDArray[np.float64]) -> NDArray[np.float64]:
        hz = np.interp(given, *target)
        found: NDArray[np.float64] = np.interp(hz, source[1], source[0])
        # Above the source's last row, extrapolate in proportion to the frequency.
        above = hz > source[1][-1]
        found[above] += hz[above] / source[1][-1] - 1
        return found

    return places


def axis_space(source: int, target: int, places: Places) -> Space:
    """Map the cells of a seed block along one axis, from `source` cells to `target` cells.

    A generator writes to a target cell the mean of the source cells in it; outside the source, it repeats the outermost
    source cell. A discriminator reads each source cell from the target cells that overlap it; at first, it does not
    read target cells outside the source.
    """
    edges = places(np.linspace(0, 1, target + 1)) * source
    near = np.rint(edges)
    edges = np.where(np.abs(edges - near) < NEAR, near, edges)
    if source == target and np.array_equal(edges, np.arange(source + 1)):
        return SAME
    cells = np.arange(source)
    low, high = edges[:-1, None], edges[1:, None]
    overlap = np.clip(np.minimum(high, cells + 1) - np.maximum(low, cells), 0, None)
    length = overlap.sum(1, keepdims=True)
    nearest = np.eye(source)[np.clip(np.floor((low[:, 0] + high[:, 0]) / 2), 0, source - 1).astype(int)]
    out = np.where(length > 0, overlap / np.where(length > 0, length, 1.0), nearest)
    return Space(torch.from_numpy(out), torch.from_numpy(overlap), "mapped")


def seed_space(source: tuple[int, int], target: tuple[int, int], down: Places, across: Places) -> Space:
    """Map all positions of a seed block, row by row; heights and widths are mapped separately."""
    height, width = axis_space(source[0], target[0], down), axis_space(source[1], target[1], across)
    if height is SAME and width is SAME:
        return SAME
    sides = [
        [torch.eye(size, dtype=torch.float64) if matrix is None else matrix for matrix in (space.out, space.into)]
        for space, size in ((height, source[0]), (width, source[1]))
    ]
    return Space(torch.kron(sides[0][0], sides[1][0]), torch.kron(sides[0][1], sides[1][1]), "mapped")
