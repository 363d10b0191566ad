"""How fast the sliced Wasserstein distance is, beside the plain way with NumPy and SciPy, in one run.

    python benchmarks/swd.py
    python benchmarks/swd.py --count 2048 --plain 512

Both measure the same random pictures with the same patches and directions. The plain way, the published tool's, takes
time in proportion to the number of pictures (a little more, for the sorting): with --plain it is timed on part of them
and multiplied. Printed are the machine, both times by the clock and as processor time, the ratios, the largest
difference of a level where both measured all, and the most memory that our way had needed when it was done.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import time
from collections.abc import Callable

import numpy as np
import scipy
import torch
from numpy.typing import NDArray
from scipy.ndimage import convolve

from pggan_framework.metrics import sliced_wasserstein
from pggan_framework.metrics.pyramid import level_sizes
from pggan_framework.metrics.swd import directions, patch_positions

Images = NDArray[np.uint8]
Floats = NDArray[np.float32]
BINOMIAL = np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1]).astype(np.float32) / 256
BATCH = 128


def main() -> None:
    """Time both ways."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=16384, help="pictures a side")
    parser.add_argument("--size", type=int, default=64, help="their side")
    parser.add_argument("--plain", type=int, help="pictures a side that the plain way measures; all by default")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="threads of both ways' linear algebra")
    given = parser.parse_args()
    part = min(given.plain or given.count, given.count)
    torch.set_num_threads(given.threads)
    versions = f"numpy {np.__version__}, scipy {scipy.__version__}, torch {torch.__version__}"
    print(f"{processor()}, {os.cpu_count()} cores, {given.threads} threads; load {os.getloadavg()[0]:.1f}; {versions}")
    random = np.random.default_rng(0)
    sides = [random.integers(0, 256, (given.count, 3, given.size, given.size), dtype=np.uint8) for _ in range(2)]
    sliced_wasserstein(sides[0][:64], sides[1][:64])  # what the first call costs is no part of it
    ours, wall, cpu = timed(lambda: sliced_wasserstein(sides[0], sides[1]))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"  ours: {given.count} pictures of {given.size} px in {wall:.1f} s ({cpu:.1f} s of processor), {peak:.2f} GiB"
    )
    plain, plain_wall, plain_cpu = timed(lambda: plain_swd(sides[0][:part], sides[1][:part]))
    factor = given.count / part
    how = "all measured" if part == given.count else f"{part} measured in {plain_wall:.1f} s, times {factor:g}"
    print(f" plain: {plain_wall * factor:.1f} s ({plain_cpu * factor:.1f} s of processor; {how})")
    print(f" ratio: {plain_wall * factor / wall:.2f} by the clock, {plain_cpu * factor / cpu:.2f} of processor time")
    if part == given.count:
        print(f"differ: by {max(abs(ours[side] / value - 1) for side, value in plain.items()):.1e} at most")


def processor() -> str:
    """The processor's name, as far as it is known."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next(line.split(":")[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.machine()


def timed(work: Callable[[], dict[int, float]]) -> tuple[dict[int, float], float, float]:
    """What it returns, seconds by the clock, seconds of processor."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    return result, time.perf_counter() - wall, time.process_time() - cpu


def plain_swd(real: Images, fake: Images) -> dict[int, float]:
    """The distance by level, with NumPy and SciPy as one would write it down: float32, batches, whole arrays sorted."""
    sizes = level_sizes(*real.shape[2:])
    channels = real.shape[1]
    places = [patch_positions(len(real), *size) for size in sizes]
    sides: list[list[list[Floats]]] = []
    for images in (real, fake):
        levels: list[list[Floats]] = [[] for _ in sizes]
        for start in range(0, len(images), BATCH):
            for number, level in enumerate(pyramid(images[start : start + BATCH].astype(np.float32), len(sizes))):
                levels[number].append(cut(level, places[number][start : start + BATCH]))
        sides.append(levels)
    found = {}
    for number, size in enumerate(sizes):
        ready = [standardised(np.concatenate(levels[number])) for levels in sides]
        found[min(size)] = 1000 * distance(ready[0], ready[1], directions(channels, *size))
    return found


def pyramid(images: Floats, count: int) -> list[Floats]:
    """Laplacian levels of [N, C, H, W]."""
    kernel = BINOMIAL[None, None]
    levels = [images]
    for _ in range(count - 1):
        levels.append(convolve(levels[-1], kernel, mode="mirror")[:, :, ::2, ::2])
    for number, below in enumerate(levels[1:]):
        apart = np.zeros((*below.shape[:2], 2 * below.shape[2], 2 * below.shape[3]), np.float32)
        apart[:, :, ::2, ::2] = below
        levels[number] = levels[number] - convolve(apart, 4 * kernel, mode="mirror")
    return levels


def cut(level: Floats, places: NDArray[np.int64]) -> Floats:
    """Patches [N * 128, C, 7, 7] of [N, C, H, W]."""
    number, channel, y, x = np.ogrid[: len(level) * 128, : level.shape[1], :7, :7]
    y = y + places[..., 0].reshape(-1, 1, 1, 1)
    x = x + places[..., 1].reshape(-1, 1, 1, 1)
    patches: Floats = level[number // 128, channel, y, x]
    return patches


def standardised(patches: Floats) -> Floats:
    """Less the mean and over the standard deviation of each channel, [N, C * 49].

    Both in float64: in float32 the mean of so many numbers is off by more than the two ways should differ.
    """
    for channel in range(patches.shape[1]):
        values = patches[:, channel]
        values -= np.float32(values.mean(dtype=np.float64))
        values /= np.float32(values.std(dtype=np.float64))
    return patches.reshape(len(patches), -1)


def distance(real: Floats, fake: Floats, onto: NDArray[np.float64]) -> float:
    """The mean over four times 128 directions."""
    results = []
    for repeat in np.split(onto.reshape(len(onto), -1).astype(np.float32), 4):
        sides = [np.sort(each @ repeat.T, axis=0) for each in (real, fake)]
        results.append(np.mean(np.abs(sides[0] - sides[1])))
    return float(np.mean(results))


if __name__ == "__main__":
    main()
