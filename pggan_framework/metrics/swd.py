"""Sliced Wasserstein distance: the similarity of generated and real image patches at each scale.

Karras et al., "Progressive growing of GANs" (arXiv 1710.10196), section 5, and their published tool. 128 patches of 7x7
pixels per image are extracted from each level of the Laplacian pyramids of both sets. Patch values are standardized per
channel over each set; the patches are projected on 4 x 128 random directions, and the mean absolute difference of the
sorted projections, times 1000, is the distance.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pggan_framework.errors import UserError
from pggan_framework.metrics.base import SMALLEST, WholePictures, as_images
from pggan_framework.metrics.pyramid import laplacian_level, level_sizes
from pggan_framework.registry import register

PATCHES, SIDE, DIRECTIONS = 128, 7, 512
SCALE = 1000.0
_BATCH, _ROWS, _CACHED = 32, 2**14, 1024
"""Images and patches processed at a time; a block of patches fits a core's cache during projection."""
_ROOM = 2**26
"""Number of projections per side in memory, 256 MB, unless 32 directions need more."""
_POSITIONS, _DIRECTIONS = 0, 1  # random streams of the seed, for patch positions and directions


class Distances(dict[int, float]):
    """Distances x 1000 by resolution, the largest first. A resolution is the shorter side of a level in pixels."""

    @property
    def average(self) -> float:
        """The mean over the levels."""
        return sum(self.values()) / len(self)


def patch_positions(count: int, height: int, width: int, seed: int = 0) -> NDArray[np.int64]:
    """Return upper left corners (row, column) of each image's patches in a level of height x width, [count, 128, 2].

    Both sets use the same positions, so that equal sets have distance 0; a larger `count` extends the positions.
    """
    random = np.random.default_rng([seed, _POSITIONS, height, width])
    return random.integers(0, [height - SIDE + 1, width - SIDE + 1], (count, PATCHES, 2))


def directions(channels: int, height: int, width: int, seed: int = 0) -> NDArray[np.float64]:
    """Draw random unit directions for a level of height x width, [512, channels, 7, 7]."""
    random = np.random.default_rng([seed, _DIRECTIONS, height, width])
    drawn = random.standard_normal((DIRECTIONS, channels * SIDE * SIDE))
    unit: NDArray[np.float64] = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
    return unit.reshape(DIRECTIONS, channels, SIDE, SIDE)


def sliced_wasserstein(
    real: NDArray[np.uint8] | Tensor, fake: NDArray[np.uint8] | Tensor, seed: int = 0, device: str = "cpu"
) -> Distances:
    """Compute the sliced Wasserstein distance of two sets of images, level by level.

    One level is processed at a time: its patches take 25 kB per image and channel on each side, independent of the
    image size, and the projections another 16 kB per image. The images may be in a file (`numpy.memmap`). The number of
    threads is that of torch. Rounding patches and projections to float32 changes the distance by a fraction of about
    1e-6.

    Args:
        real: uint8 [N, C, H, W], any number of channels, the shorter side 16 or more.
        fake: uint8 of the same shape; the paper uses 16,384 images per side.
        seed: random seed of the patch positions and the directions.
        device: device of the computation; devices other than the CPU store patches and projections in their own memory.

    Returns:
        {resolution: distance x 1000} for each level down to a shorter side of 16, and `Distances.average`.

    Raises:
        UserError: if the sets are not uint8 [N, C, H, W], differ in shape or number, or are too small.
    """
    real, fake = as_images(real), as_images(fake)
    if real.shape != fake.shape:
        raise UserError(f"images are {list(real.shape)} and {list(fake.shape)}; allowed: as many, of the same shape")
    channels, height, width = real.shape[1:]
    sizes = level_sizes(height, width)
    if not sizes:
        raise UserError(f"images of {height}x{width} have no level; allowed: {SMALLEST} pixels or more per side")
    found = Distances()
    if torch.device(device).type != "cpu":
        for level, size in enumerate(sizes):
            found[min(size)] = SCALE * level_distance(real, fake, level, seed, torch.device(device))
        return found
    count = len(real) * PATCHES
    room = np.empty((2, count, SIDE * SIDE * channels), np.float32)
    block = next((size for size in (128, 64) if size * count <= _ROOM), 32)  # wider blocks multiply faster
    projected = np.empty((2, block, count), np.float32)
    with _threads() as pool:
        for level, size in enumerate(sizes):
            places = patch_positions(len(real), *size, seed)
            sets = [_Patches(real, level, places, room[0], pool), _Patches(fake, level, places, room[1], pool)]
            onto = np.moveaxis(directions(channels, *size, seed), 1, -1)
            found[min(size)] = SCALE * _distance(sets, onto, projected, pool)
    return found


@contextmanager
def _threads() -> Iterator[ThreadPoolExecutor]:
    """A pool with torch's number of threads, each running torch single-threaded to avoid waiting for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(threads) as pool:
            yield pool
    finally:
        torch.set_num_threads(threads)


class _Patches:
    """The patches of one level of all images, [N * 128, 7 * 7 * C], and their standardization.

    Args:
        images: uint8 [N, C, H, W].
        level: level of the pyramid.
        places: positions [N, 128, 2] in that level.
        values: float32 [N * 128, 7 * 7 * C], the output.
        pool: thread pool for the projections.
    """

    def __init__(
        self,
        images: NDArray[np.uint8],
        level: int,
        places: NDArray[np.int64],
        values: NDArray[np.float32],
        pool: ThreadPoolExecutor,
    ) -> None:
        def fill(start: int) -> NDArray[np.float64]:
            """Extract the patches of a batch; return their sums and sums of squares by channel, [2, C]."""
            batch = torch.from_numpy(np.array(images[start : start + _BATCH])).float()
            part = values[start * PATCHES : (start + len(batch)) * PATCHES]
            here, pixels = places[start : start + _BATCH], laplacian_level(batch, level)
            part[:] = _cut(pixels, here).reshape(part.shape)
            sums = np.einsum("ij->j", part, dtype=np.float64), np.einsum("ij,ij->j", part, part, dtype=np.float64)
            by_channel: NDArray[np.float64] = np.stack(sums).reshape(2, -1, channels).sum(1)
            return by_channel

        channels = images.shape[1]
        self.values = values
        each = values.size / channels
        self.mean, square = sum(pool.map(fill, range(0, len(images), _BATCH))) / each
        spread = np.sqrt(np.maximum(square - self.mean**2, 0))
        # A constant channel is 0 after subtracting its mean; a remainder is rounding error.
        self.spread = np.where(spread > 1e-6 * np.maximum(np.abs(self.mean), 1), spread, np.inf)

    def standardizing(self, onto: NDArray[np.float64]) -> tuple[Tensor, NDArray[np.float64]]:
        """Return directions [K, 7, 7, C] as [K, 7 * 7 * C], and the offsets to subtract from their projections, [K].

        Standardizes the directions instead of the patches, which are far more numerous.
        """
        scaled = onto / self.spread
        return torch.from_numpy(scaled.reshape(len(onto), -1)).float(), (scaled * self.mean).sum((1, 2, 3))


def _cut(level: Tensor, places: NDArray[np.int64]) -> NDArray[np.float32]:
    """Extract patches [N, 128, 7, 7 * C] at `places` [N, 128, 2] of images [N, C, H, W]."""
    pixels = level.permute(0, 2, 3, 1).contiguous().numpy()
    count, height, width, channels = pixels.shape
    shape = (count, height - SIDE + 1, width - SIDE + 1, SIDE, SIDE * channels)
    each = pixels.itemsize
    steps = (*pixels.strides[:3], pixels.strides[1], each)  # a row of a patch is 7 * C contiguous numbers
    windows = np.lib.stride_tricks.as_strided(pixels, shape, steps, writeable=False)
    patches: NDArray[np.float32] = windows[np.arange(count)[:, None], places[..., 0], places[..., 1]]
    return patches


def _distance(
    sets: list[_Patches], onto: NDArray[np.float64], projected: NDArray[np.float32], pool: ThreadPoolExecutor
) -> float:
    """The mean absolute difference of the sorted projections on directions [K, 7, 7, C]; overwrites `projected`."""
    total = 0.0
    parts = range(0, projected.shape[2], _ROWS)
    for block in np.split(onto, len(onto) // projected.shape[1]):
        (real, real_off), (fake, fake_off) = (each.standardizing(block) for each in sets)
        added = torch.from_numpy(fake_off - real_off).float()  # rounding each offset would lose more precision
        for part in (
            pool.map(partial(_project, sets[0].values, real, added, projected[0]), parts),
            pool.map(partial(_project, sets[1].values, fake, torch.zeros_like(added), projected[1]), parts),
        ):
            list(part)  # waits for all threads
        total += sum(pool.map(_sorted_difference, *projected))
    return total / len(onto)


def _project(
    patches: NDArray[np.float32], weights: Tensor, added: Tensor, into: NDArray[np.float32], start: int
) -> None:
    """Write `weights` [K, D] times a part of `patches` [M, D], plus `added` [K], to the same part of [K, M]."""
    for row in range(start, min(start + _ROWS, len(patches)), _CACHED):
        part = slice(row, row + _CACHED)
        torch.addmm(added[:, None], weights, torch.from_numpy(patches[part]).T, out=torch.from_numpy(into[:, part]))


def _sorted_difference(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Return the mean of |a - b| for sorted a and b, [M] each; they may be overwritten."""
    # numpy sorts float32 several times faster than torch, and releases the GIL.
    a.sort()
    b.sort()
    return float(np.abs(a - b).mean(dtype=np.float64))


def level_distance(
    real: NDArray[np.uint8], fake: NDArray[np.uint8], level: int, seed: int, device: torch.device
) -> float:
    """Return the distance of one level, without the factor 1000, in plain torch on any device; arguments as above."""
    size = level_sizes(*real.shape[2:])[level]
    places = torch.from_numpy(patch_positions(len(real), *size, seed)).to(device)
    onto = torch.from_numpy(directions(real.shape[1], *size, seed).reshape(DIRECTIONS, -1)).to(device)
    sets = [_standardized(images, level, places) for images in (real, fake)]
    rows = max(_ROOM // (len(real) * PATCHES), 1)
    total = torch.zeros((), dtype=torch.float64, device=device)
    for part in torch.split(onto.float(), rows):
        first, second = ((part @ values.T).sort(1).values for values in sets)
        total += (first - second).abs_().mean(1, dtype=torch.float64).sum()
    return float(total) / DIRECTIONS


def _standardized(images: NDArray[np.uint8], level: int, places: Tensor) -> Tensor:
    """Return the patches [N * 128, C * 7 * 7] of one level, standardized by channel, on the device of `places`."""
    parts = []
    for start in range(0, len(images), _BATCH):
        batch = torch.from_numpy(np.array(images[start : start + _BATCH])).to(places.device).float()
        windows = laplacian_level(batch, level).unfold(2, SIDE, 1).unfold(3, SIDE, 1).movedim(1, 3)
        here = places[start : start + _BATCH]
        parts.append(windows[torch.arange(len(batch), device=places.device)[:, None], here[..., 0], here[..., 1]])
    patches = torch.cat(parts).flatten(0, 1)
    mean, spread = patches.mean((0, 2, 3), dtype=torch.float64), patches.double().var((0, 2, 3), correction=0).sqrt()
    # A constant channel is 0 after subtracting its mean; any remainder is rounding error.
    spread = torch.where(spread > 1e-6 * mean.abs().clamp(min=1), spread, torch.full_like(spread, torch.inf))
    return ((patches - mean[:, None, None]) / spread[:, None, None]).float().flatten(1)


@register("metric", "swd")
class SlicedWasserstein(WholePictures):
    """Sliced Wasserstein distance of patches x 1000 (PGGAN paper), per level of a Laplacian pyramid and on average.

    High resolutions measure sharpness and texture, low ones the large structure; 0 is best. Few images increase it:
    compare only values of equal numbers of images.
    """

    name = "swd"

    def compare(self, reals: NDArray[np.uint8], others: NDArray[np.uint8]) -> dict[str, float]:
        """Return ``swd.64`` and so on for each level, and ``swd.average``."""
        self.check_count(reals, others)
        found = sliced_wasserstein(reals, others, device=self.device)
        levels: Iterable[tuple[str, float]] = ((f"swd.{side}", value) for side, value in found.items())
        return {**dict(levels), "swd.average": found.average}
