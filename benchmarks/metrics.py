"""The time of each metric, compared with third-party or textbook implementations of the same value, in one run.

    OMP_NUM_THREADS=1 python benchmarks/metrics.py
    OMP_NUM_THREADS=1 python benchmarks/metrics.py --count 500 --size 64

The images, sounds and features are random, with `--count` of them per side; one call computes one value from the
arrays. The other implementations are MS-SSIM of torchmetrics, the Frechet distance with SciPy's matrix root, KID with
new kernels for each subset, and precision and recall with the neighbours of scikit-learn. (The sliced Wasserstein
distance has a separate script, swd.py.) The times do not include extractors such as Inception. The script prints the
machine, processor times, the ratios, and the differences of the values.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

HERE = Path(__file__).parent
if str(HERE.parent) not in sys.path:
    sys.path.insert(0, str(HERE.parent))

from benchmarks.machine import processor  # noqa: E402  -- it is found only now
from pggan_framework.config.discovery import load_all  # noqa: E402
from pggan_framework.metrics import ms_ssim, sliced_wasserstein  # noqa: E402
from pggan_framework.metrics.base import BaseMetric, Clips, Metric  # noqa: E402
from pggan_framework.metrics.frechet import frechet_distance  # noqa: E402
from pggan_framework.metrics.kid import subset_distances  # noqa: E402
from pggan_framework.metrics.manifold import precision_and_recall  # noqa: E402
from pggan_framework.metrics.report import default_metrics, usable  # noqa: E402

Floats = NDArray[np.float64]
SUBSETS, NEIGHBOURS = 20, 3


def main() -> None:
    """Time everything once, after a first call with little data."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--count",
        type=int,
        default=1500,
        help="number of images, sounds, and feature rows per side (default: %(default)s)",
    )
    parser.add_argument("--size", type=int, default=256, help="side of the images for MS-SSIM (default: %(default)s)")
    parser.add_argument("--features", type=int, default=512, help="number of features per row (default: %(default)s)")
    parser.add_argument(
        "--seconds", type=float, default=1.0, help="duration of each sound in seconds, at 16 kHz (default: %(default)s)"
    )
    parser.add_argument("--json", type=Path, help="JSON file for the values")
    given = parser.parse_args()
    machine = {
        "machine": processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load": round(os.getloadavg()[0], 1),
        "date": time.strftime("%Y-%m-%d"),
    }
    print("; ".join(f"{name} {value}" for name, value in machine.items()))
    print(f"{'':28}{'seconds':>9}{'others':>9}{'ratio':>8}{'differ':>9}")
    rows = [timed(name, *ways, given) for name, ways in pairs().items()]
    rows += [timed(metric.name, one_metric(metric), None, given) for metric in of_sounds(given)]
    if given.json:
        given.json.write_text(json.dumps({**machine, "rows": rows}, indent=1) + "\n", encoding="utf-8")


Way = Callable[[argparse.Namespace, int], Callable[[], float]]
"""(arguments, how many a side) -> what computes the value."""


def timed(name: str, ours: Way, other: Way | None, given: argparse.Namespace) -> dict[str, Any]:
    """Print one line: the time of our function and, if it exists, of the other one."""
    found = []
    for way in (ours, other) if other else (ours,):
        way(given, min(given.count, 70))()
        work = way(given, given.count)
        start = time.process_time()
        figure = work()
        found.append((time.process_time() - start, figure))
    row: dict[str, Any] = {"name": name, "seconds": found[0][0]}
    text = f"{name:28}{found[0][0]:9.2f}"
    if other:
        row |= {"other": found[1][0], "ratio": found[1][0] / found[0][0]}
        row["differ"] = abs(found[0][1] - found[1][1]) / max(abs(found[1][1]), 1e-9)
        text += f"{found[1][0]:9.2f}{row['ratio']:8.2f}{row['differ']:9.0e}"
    print(text, flush=True)
    return row


def pairs() -> dict[str, tuple[Way, Way | None]]:
    """Return the functions to time on images and features: ours and the other implementation."""
    return {
        "SWD, 64 px": (lambda given, count: _swd(_pictures(count, 64)), None),
        "MS-SSIM / torchmetrics": (
            lambda given, count: lambda: ms_ssim(*_pictures(count // 10, given.size)),
            lambda given, count: lambda: torchmetrics_ssim(*_pictures(count // 10, given.size)),
        ),
        "Frechet / scipy.sqrtm": (
            lambda given, count: lambda: frechet_distance(*_rows(count, given.features)),
            lambda given, count: lambda: scipy_frechet(*_rows(count, given.features)),
        ),
        "KID / subset by subset": (
            lambda given, count: lambda: our_kid(*_rows(count, given.features)),
            lambda given, count: lambda: plain_kid(*_rows(count, given.features)),
        ),
        "precision / scikit-learn": (
            lambda given, count: lambda: precision_and_recall(*_rows(count, given.features), NEIGHBOURS)[0],
            lambda given, count: lambda: sklearn_precision(*_rows(count, given.features)),
        ),
    }


def _pictures(count: int, size: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    random = np.random.default_rng(0)
    one = random.integers(0, 256, (max(count, 2), 3, size, size), dtype=np.uint8)
    return one, np.clip(one.astype(int) + random.integers(-40, 41, one.shape), 0, 255).astype(np.uint8)


def _rows(count: int, features: int) -> tuple[Floats, Floats]:
    random = np.random.default_rng(0)
    return random.standard_normal((count, features)), 1.1 * random.standard_normal((count, features))


def _swd(sets: tuple[NDArray[np.uint8], NDArray[np.uint8]]) -> Callable[[], float]:
    return lambda: sliced_wasserstein(*sets).average


def torchmetrics_ssim(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    """Compute MS-SSIM with torchmetrics, 16 pairs at a time."""
    from torchmetrics.functional.image import multiscale_structural_similarity_index_measure as measure

    sums = 0.0
    for start in range(0, len(a), 16):
        x, y = (torch.from_numpy(each[start : start + 16]).float() for each in (a, b))
        sums += float(measure(y, x, data_range=255.0, reduction="sum", normalize="relu"))
    return sums / len(a)


def scipy_frechet(reals: Floats, others: Floats) -> float:
    """Compute the Frechet distance with a root of the product of the covariances."""
    from scipy.linalg import sqrtm

    (m, a), (n, b) = ((each.mean(0), np.cov(each, rowvar=False)) for each in (reals, others))
    return float(((m - n) ** 2).sum() + np.trace(a + b - 2 * np.real(sqrtm(a @ b))))


def _members(count: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    random = np.random.default_rng(0)
    sets = np.zeros((2, SUBSETS, count), bool)
    for each in sets.reshape(-1, count):
        each[random.choice(count, count // 2, replace=False)] = True
    return sets[0], sets[1]


def our_kid(reals: Floats, others: Floats) -> float:
    """Compute KID with kernels that are computed once."""
    return float(subset_distances(reals, others, *_members(len(reals))).mean())


def plain_kid(reals: Floats, others: Floats) -> float:
    """Compute KID with new kernels for each subset."""
    found = []
    for mine, theirs in zip(*_members(len(reals)), strict=True):
        x, y = reals[mine], others[theirs]
        m = len(x)
        xx, yy, xy = ((a @ b.T / x.shape[1] + 1) ** 3 for a, b in ((x, x), (y, y), (x, y)))
        within = (xx.sum() - np.trace(xx) + yy.sum() - np.trace(yy)) / (m * (m - 1))
        found.append(within - 2 * xy.sum() / m**2)
    return float(np.mean(found))


def sklearn_precision(reals: Floats, others: Floats) -> float:
    """Return the fraction of `others` closer to one of `reals` than its third neighbour (arXiv 1904.06991)."""
    from sklearn.metrics import pairwise_distances
    from sklearn.neighbors import NearestNeighbors

    radii = NearestNeighbors(n_neighbors=NEIGHBOURS + 1).fit(reals).kneighbors(reals)[0][:, -1]
    return float((pairwise_distances(others, reals) <= radii).any(1).mean())


def of_sounds(given: argparse.Namespace) -> list[BaseMetric[Clips]]:
    """Return the metrics of sounds that need only sounds."""
    load_all([])
    every = default_metrics(Metric)  # type: ignore[type-abstract]
    return usable(every, given.count, _clips(given, 2))[0]


def _clips(given: argparse.Namespace, count: int) -> Clips:
    """Create tones with a little noise."""
    random = np.random.default_rng(0)
    seconds = np.arange(round(given.seconds * 16000)) / 16000
    pitches = random.uniform(200, 800, (count, 1))
    waves = 0.3 * np.sin(2 * np.pi * pitches * seconds) + 0.01 * random.standard_normal((count, len(seconds)))
    return Clips(waves.astype(np.float32), 16000)


def one_metric(metric: BaseMetric[Clips]) -> Way:
    """Compute the features of both sides and compare them."""

    def way(given: argparse.Namespace, count: int) -> Callable[[], float]:
        clips = _clips(given, count)

        def work() -> float:
            features = metric.features(clips)
            return next(iter(metric.compare(features, features).values()))

        return work

    return way


if __name__ == "__main__":
    main()
