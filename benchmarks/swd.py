"""How fast the sliced Wasserstein distance is, compared with a plain implementation with NumPy and SciPy, in one run.

    python benchmarks/swd.py
    python benchmarks/swd.py --count 2048 --turns 3
    python benchmarks/swd.py --plain 2048

Both measure the same random images with the same patches and directions. They take turns, each time in a separate
process, so that other load affects both equally and the memory of each can be measured. Our time includes compiling,
which takes two seconds, but neither imports nor a first call with 64 images. The plain implementation, that of the
published tool, takes time proportional to the number of images (slightly more, because of the sorting): with --plain,
it is timed on a part of the images and the time is extrapolated. The script prints the machine, both wall-clock and
processor times, the peak memory of each (including the images and the libraries), the ratios, and the largest
difference of a level if both measured all images.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import scipy
import torch
from numpy.typing import NDArray
from scipy.ndimage import convolve

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.machine import processor  # noqa: E402
from pggan_framework.metrics import sliced_wasserstein  # noqa: E402
from pggan_framework.metrics.pyramid import level_sizes  # noqa: E402
from pggan_framework.metrics.swd import directions, patch_positions  # noqa: E402

Images = NDArray[np.uint8]
Floats = NDArray[np.float32]
BINOMIAL = np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1]).astype(np.float32) / 256
BATCH = 128
UNITS = ("wall", "cpu")


def main() -> None:
    """Time both implementations in turns."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=16384, help="number of images per side (default: %(default)s)")
    parser.add_argument("--size", type=int, default=64, help="side of the images in pixels (default: %(default)s)")
    parser.add_argument("--plain", type=int, help="images per side for the plain implementation (default: all)")
    parser.add_argument(
        "--threads",
        type=int,
        default=os.cpu_count(),
        help="number of linear algebra threads of both (default: %(default)s)",
    )
    parser.add_argument("--turns", type=int, default=1, help="number of measurements of each (default: %(default)s)")
    parser.add_argument(
        "--only", choices=("ours", "plain"), help="measure only this one, once, in this process; prints JSON"
    )
    given = parser.parse_args()
    part = min(given.plain or given.count, given.count)
    if given.only:
        print(json.dumps(measured(given.only, given.count if given.only == "ours" else part, given.size)))
        return
    versions = f"numpy {np.__version__}, scipy {scipy.__version__}, torch {torch.__version__}"
    print(f"{processor()}, {os.cpu_count()} cores, {given.threads} threads; load {os.getloadavg()[0]:.1f}; {versions}")
    how = "all measured" if part == given.count else f"{part} measured, times {given.count / part:g}"
    print(f"{given.count} images of {given.size} px a side; plain: {how}")
    runs: dict[str, list[dict[str, Any]]] = {"ours": [], "plain": []}
    for _ in range(given.turns):
        for way, before in runs.items():
            run = child(way, given.threads)
            for unit in UNITS:
                run[unit] *= 1 if way == "ours" else given.count / part
            print(f"{way:>6}: {run['wall']:.1f} s, {run['cpu']:.1f} s of processor, {run['peak']:.2f} GiB", flush=True)
            before.append(run)
    wall, cpu = (sum(run[unit] for run in runs["plain"]) / sum(run[unit] for run in runs["ours"]) for unit in UNITS)
    print(f" ratio: {wall:.2f} by the clock, {cpu:.2f} of processor time")
    if part == given.count:
        ours, plain = runs["ours"][0]["found"], runs["plain"][0]["found"]
        print(f"differ: by {max(abs(ours[side] / value - 1) for side, value in plain.items()):.1e} at most")


def child(way: str, threads: int) -> dict[str, Any]:
    """Call this script with the same arguments for one implementation."""
    environment = {**os.environ, **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(threads))}
    command = [sys.executable, *sys.argv, "--only", way]
    printed = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout
    result: dict[str, Any] = json.loads(printed)
    return result


def measured(way: str, count: int, size: int) -> dict[str, Any]:
    """Return the distances, wall-clock seconds, processor seconds, and the peak memory in GiB."""
    random = np.random.default_rng(0)
    real, fake = (random.integers(0, 256, (count, 3, size, size), dtype=np.uint8) for _ in range(2))
    work = sliced_wasserstein if way == "ours" else plain_swd
    work(real[:64], fake[:64])
    wall, cpu = time.perf_counter(), time.process_time()
    found = work(real, fake)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {"found": found, "wall": wall, "cpu": cpu, "peak": peak}


def plain_swd(real: Images, fake: Images) -> dict[int, float]:
    """Compute the distance by level directly with NumPy and SciPy: float32, in batches, sorting whole arrays."""
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
        ready = [standardized(np.concatenate(levels[number])) for levels in sides]
        found[min(size)] = 1000 * distance(ready[0], ready[1], directions(channels, *size))
    return found


def pyramid(images: Floats, count: int) -> list[Floats]:
    """Return the Laplacian levels of [N, C, H, W]."""
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
    """Extract patches [N * 128, C, 7, 7] from [N, C, H, W]."""
    number, channel, y, x = np.ogrid[: len(level) * 128, : level.shape[1], :7, :7]
    y = y + places[..., 0].reshape(-1, 1, 1, 1)
    x = x + places[..., 1].reshape(-1, 1, 1, 1)
    patches: Floats = level[number // 128, channel, y, x]
    return patches


def standardized(patches: Floats) -> Floats:
    """Subtract the mean and divide by the standard deviation of each channel, [N, C * 49].

    Both are computed in float64: in float32, the error of the mean of so many numbers would exceed the expected
    difference of the two implementations.
    """
    for channel in range(patches.shape[1]):
        values = patches[:, channel]
        values -= np.float32(values.mean(dtype=np.float64))
        values /= np.float32(values.std(dtype=np.float64))
    return patches.reshape(len(patches), -1)


def distance(real: Floats, fake: Floats, onto: NDArray[np.float64]) -> float:
    """Return the mean over four times 128 directions."""
    results = []
    for repeat in np.split(onto.reshape(len(onto), -1).astype(np.float32), 4):
        sides = [np.sort(each @ repeat.T, axis=0) for each in (real, fake)]
        results.append(np.mean(np.abs(sides[0] - sides[1])))
    return float(np.mean(results))


if __name__ == "__main__":
    main()
