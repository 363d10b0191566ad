"""How fast batches of real images are read from each source, and what ten times as many images cost.

    python benchmarks/data.py
    python benchmarks/data.py --count 2000 --large 20000

The images are random, 64x64, in colour. The script times batches as a training step requests them: shuffled, at one
depth, up to the tensor before its transfer to the device, in one process without workers. The sources take turns: a
folder of PNGs that are decoded and reduced each time, as in most loaders; the same folder kept in memory (preload); and
a prepared file in the page cache. The script then times a prepared file of ten times as many images, and measures the
peak memory of a process for each file. It prints the machine, the medians of images per second of processor time and of
wall-clock time, and the ratios.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch

from pggan_framework.data.base import DepthDataset, box_means
from pggan_framework.data.datasets.h5 import OldH5Dataset
from pggan_framework.data.datasets.images import DefaultImageFolderDataset
from pggan_framework.data.loader import BatchLoader
from pggan_framework.schedules.growth import Growth

SIDE = 64
GROWTH = Growth.of((3, SIDE, SIDE), (4, 4))


def main() -> None:
    """Create the data, time all sources in turns, and print the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10_000, help="number of images (default: %(default)s)")
    parser.add_argument(
        "--large", type=int, default=100_000, help="number of images in the larger file (default: %(default)s)"
    )
    parser.add_argument("--files", type=int, default=1000, help="number of PNGs in the folder (default: %(default)s)")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--turns", type=int, default=5)
    given = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, torch {torch.__version__}")
    with tempfile.TemporaryDirectory() as folder:
        small, large, pictures = Path(folder, "small.h5"), Path(folder, "large.h5"), Path(folder, "png")
        write(small, given.count)
        write(large, given.large)
        write_pictures(pictures, given.files)
        ways: dict[str, tuple[Callable[[], DepthDataset], int]] = {
            "PNGs, decoded each time": (lambda: DefaultImageFolderDataset(pictures), 400),
            "PNGs, kept in memory": (lambda: DefaultImageFolderDataset(pictures, preload=True), 40_000),
            f"prepared, {given.count}": (lambda: OldH5Dataset(small), 40_000),
            f"prepared, {given.large}": (lambda: OldH5Dataset(large), 40_000),
        }
        for depth in (GROWTH.max_depth, 1):
            print(f"\n{GROWTH.shape_at(depth)[1]} px, batches of {given.batch}")
            compare(ways, depth, given.batch, given.turns)
        print("\nmemory, a process that has read 40000 images")
        names = list(ways)[2:]
        peaks = [peak_of(path, given.batch) for path in (small, large)]
        for name, peak in zip(names, peaks, strict=True):
            print(f"  {name:<26} {peak:.0f} MiB")
        print(f"  ratio {peaks[1] / peaks[0]:.3f}")


def compare(ways: dict[str, tuple[Callable[[], DepthDataset], int]], depth: int, batch: int, turns: int) -> None:
    """Time every source in turns and print the medians."""
    loaders = {name: BatchLoader(make(), 1) for name, (make, _) in ways.items()}
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for turn in range(turns + 1):
        for name, loader in loaders.items():
            speeds = rate(loader, depth, batch, ways[name][1], turn)
            if turn:  # the first fills the page cache
                found[name].append(speeds)
    medians = {name: [statistics.median(each) for each in zip(*speeds, strict=True)] for name, speeds in found.items()}
    for name, (processor, clock) in medians.items():
        print(f"  {name:<26} {processor:>9.0f} a second of processor, {clock:>9.0f} by the clock")
    decoded, _, small, large = (each[0] for each in medians.values())
    print(
        f"  prepared over decoded {small / decoded:.0f}; a step's batch from the larger file {small / large:.3f} times"
    )


def rate(loader: BatchLoader, depth: int, batch: int, count: int, turn: int) -> tuple[float, float]:
    """Return images per second of processor time, and of wall-clock time."""
    start = turn * count
    processor, clock = time.process_time(), time.perf_counter()
    for nimg in range(start, start + count, batch):
        loader.batch(nimg, depth, batch)
    return count / (time.process_time() - processor), count / (time.perf_counter() - clock)


def peak_of(path: Path, batch: int) -> float:
    """Return the peak memory in MiB of a new process that reads from `path`."""
    with get_context("spawn").Pool(1) as pool:
        return float(pool.apply(_read, (path, batch)))


def _read(path: Path, batch: int) -> float:
    loader = BatchLoader(OldH5Dataset(path), 1)
    for nimg in range(0, 40_000, batch):
        loader.batch(nimg, GROWTH.max_depth, batch)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024**2 if sys.platform == "darwin" else 1024)


def write(path: Path, count: int) -> None:
    """Write a file of random images at every depth, which repeats a thousand different images."""
    random = np.random.default_rng(0)
    some: Any = random.integers(0, 256, (1000, *GROWTH.shape), dtype=np.uint8)
    levels = box_means(list(some), GROWTH)
    with h5py.File(path, "w") as file:
        for level in levels:
            data = file.create_dataset(f"data{level.shape[2]}x{level.shape[3]}", (count, *level.shape[1:]), np.uint8)
            for start in range(0, count, 1000):
                data[start : start + 1000] = level[: min(1000, count - start)]


def write_pictures(folder: Path, count: int) -> None:
    """Write PNGs of smooth random images, which compress like photographs."""
    from PIL import Image

    folder.mkdir()
    random = np.random.default_rng(1)
    for number in range(count):
        rough = Image.fromarray(random.integers(0, 256, (8, 8, 3), dtype=np.uint8)).resize((SIDE, SIDE))
        noise = random.integers(-6, 7, (SIDE, SIDE, 3))
        pixels = np.clip(np.asarray(rough).astype(int) + noise, 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:05d}.png")


if __name__ == "__main__":
    main()
