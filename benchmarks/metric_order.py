"""Do image metrics rank sets in the right order? Each set is compared with the same real images.

    python benchmarks/metric_order.py datasets/cats datasets/avatars/images --count 1500 --extractor lite0

The first folder contains the real images, the second other images. Half of the first folder, in random order, is the
reals. The other half is used unchanged (the baseline), as 20 of its images repeated (collapse), blurred (Gaussian,
sigma 1), and with noise (sigma 20 of 255); the reals themselves are also used as generated images (copied). Each column
of the tables is one of these sets.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter

from pggan_framework.metrics.base import PictureMetric, Pictures
from pggan_framework.metrics.deep import attach
from pggan_framework.metrics.report import measure, metric_class
from pggan_framework.metrics.structural import MSSSIM

Images = NDArray[np.uint8]
SEED, KEPT = 0, 20
METRICS = ("swd", "ms_ssim", "fid", "kid", "is", "precision_recall", "density_coverage", "nearest")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reals", type=Path, help="folder of real images")
    parser.add_argument("others", type=Path, help="folder of other images")
    parser.add_argument(
        "--count",
        type=int,
        default=1500,
        help="images per side, at most half of the real images (default: %(default)s)",
    )
    parser.add_argument(
        "--size", type=int, default=64, help="side of the scaled images in pixels (default: %(default)s)"
    )
    parser.add_argument("--pairs", type=int, default=10_000, help="number of pairs for MS-SSIM (default: %(default)s)")
    parser.add_argument(
        "--extractor", default="auto", help="extractor of the features for FID and others (default: %(default)s)"
    )
    parser.add_argument("--leave_out", default="", metavar="A,B", help="comma-separated metrics to omit")
    parser.add_argument("--sets", default="", metavar="A,B", help="comma-separated names of sets (default: all)")
    given = parser.parse_args()
    files = pictures_in(given.reals)
    n = min(given.count, len(files) // 2)
    shown = read([files[k] for k in np.random.default_rng(SEED).permutation(len(files))[: 2 * n]], given.size)
    reals, half = shown[:n], shown[n:]
    elsewhere = pictures_in(given.others)
    names = [component for component in METRICS if component not in given.leave_out.split(",")]
    kind: Any = PictureMetric
    metrics = [MSSSIM(given.pairs) if name == "ms_ssim" else metric_class(name, kind)() for name in names]
    eye = attach(metrics, given.extractor)
    sets = {
        "other half": half,
        f"{KEPT} of it": half[np.arange(n) % KEPT],
        "blurred": gaussian_filter(half, (0, 0, 1, 1)),
        "noise": noisy(half),
        "other set": read(
            [elsewhere[k] for k in np.resize(np.random.default_rng(SEED).permutation(len(elsewhere)), n)], given.size
        ),
        "copied": reals,
    }
    print(f"{platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}, {torch.get_num_threads()} threads")
    print(f"{n} images of {given.size} px a side; {eye.extractor.identity() if eye else 'no extractor'}", flush=True)
    start = time.process_time()
    known = measure(metrics, [Pictures(reals)], n)
    print(f"features of an image: {1000 * (time.process_time() - start) / n:.1f} ms of processor time", flush=True)
    columns: dict[str, dict[str, float]] = {}
    for name in [name.strip() for name in given.sets.split(",") if name.strip()] or list(sets):
        images = sets[name]
        measured = measure(metrics, [Pictures(images)], n)
        columns[name] = {k: v for m in metrics for k, v in m.compare(known[m.name], measured[m.name]).items()}
        print(f"{name}: " + ", ".join(f"{key} {value:.4g}" for key, value in columns[name].items()), flush=True)
    print("\n| n = " + " | ".join([f"{n}", *columns]) + " |\n|---" + "|---" * len(columns) + "|")
    for figure in next(iter(columns.values())):
        print(f"| {figure} | " + " | ".join(f"{column[figure]:.3g}" for column in columns.values()) + " |")


def pictures_in(folder: Path) -> list[Path]:
    """Return the PNG and JPEG files in a folder, sorted."""
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".png", ".jpg", ".jpeg"))
    if not found:
        raise SystemExit(f"{folder} holds no images")
    return found


def read(files: list[Path], size: int) -> Images:
    """Read images as RGB uint8 [N, 3, size, size]."""
    images = (
        np.asarray(Image.open(path).convert("RGB").resize((size, size), Image.Resampling.LANCZOS)) for path in files
    )
    return np.ascontiguousarray(np.stack(list(images)).transpose(0, 3, 1, 2))


def noisy(images: Images) -> Images:
    """Add Gaussian noise of 20 levels."""
    noise = 20 * np.random.default_rng(SEED).standard_normal(images.shape, dtype=np.float32)
    changed: Images = np.clip(np.rint(images + noise), 0, 255).astype(np.uint8)
    return changed


if __name__ == "__main__":
    main()
