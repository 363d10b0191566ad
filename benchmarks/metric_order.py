"""Whether the metrics of pictures put sets in the right order: each set beside the same real pictures.

    python benchmarks/metric_order.py datasets/cats datasets/avatars/images --count 1500

The first folder holds the real pictures, the second other ones. Half of the first, in random order, are the reals, and
of the other half are made: itself (the floor), 20 of it over and over (collapse), all blurred (Gaussian, sigma 1), all
with noise (sigma 20 of 255). Each line of the table is the whole set of one of them.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter

from pggan_framework.metrics.base import Pictures
from pggan_framework.metrics.structural import MSSSIM
from pggan_framework.metrics.swd import SlicedWasserstein

Images = NDArray[np.uint8]
SEED, KEPT = 0, 20


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reals", type=Path, help="a folder of real pictures")
    parser.add_argument("others", type=Path, help="a folder of pictures of something else")
    parser.add_argument("--count", type=int, default=1500, help="pictures a side, at most half the real ones")
    parser.add_argument("--size", type=int, default=64, help="side they are scaled to")
    parser.add_argument("--pairs", type=int, default=10_000, help="pairs for MS-SSIM")
    given = parser.parse_args()
    files = pictures_in(given.reals)
    n = min(given.count, len(files) // 2)
    shown = read([files[k] for k in np.random.default_rng(SEED).permutation(len(files))[: 2 * n]], given.size)
    reals, half = shown[:n], shown[n:]
    elsewhere = pictures_in(given.others)
    metrics = SlicedWasserstein(), MSSSIM(given.pairs)
    rows = {
        "other half": half,
        f"{KEPT} of it": half[np.arange(n) % KEPT],
        "blurred": gaussian_filter(half, (0, 0, 1, 1)),
        "noise": noisy(half),
        "other set": read(
            [elsewhere[k] for k in np.resize(np.random.default_rng(SEED).permutation(len(elsewhere)), n)], given.size
        ),
    }
    for number, (name, images) in enumerate(rows.items()):
        figures = {key: value for metric in metrics for key, value in metric(Pictures(reals), Pictures(images)).items()}
        if not number:
            print("| n = " + " | ".join([f"{n}", *figures]) + " |\n|---" + "|---" * len(figures) + "|")
        print(f"| {name} | " + " | ".join(f"{value:.3g}" for value in figures.values()) + " |", flush=True)


def pictures_in(folder: Path) -> list[Path]:
    """The PNG and JPEG files in a folder, sorted."""
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".png", ".jpg", ".jpeg"))
    if not found:
        raise SystemExit(f"{folder} holds no pictures")
    return found


def read(files: list[Path], size: int) -> Images:
    """RGB pictures uint8 [N, 3, size, size]."""
    images = (
        np.asarray(Image.open(path).convert("RGB").resize((size, size), Image.Resampling.LANCZOS)) for path in files
    )
    return np.ascontiguousarray(np.stack(list(images)).transpose(0, 3, 1, 2))


def noisy(images: Images) -> Images:
    """With Gaussian noise of 20 levels."""
    noise = 20 * np.random.default_rng(SEED).standard_normal(images.shape, dtype=np.float32)
    changed: Images = np.clip(np.rint(images + noise), 0, 255).astype(np.uint8)
    return changed


if __name__ == "__main__":
    main()
