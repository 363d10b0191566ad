"""Distributions of one number per clip: quantiles, and the distance of two sets."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

QUANTILES = (5, 50, 95)


def wasserstein(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Return the 1-Wasserstein distance of samples [N] and [M]: the area between their distribution functions."""
    points = np.sort(np.concatenate([first, second]))
    below = [np.searchsorted(np.sort(each), points[:-1], side="right") / len(each) for each in (first, second)]
    return float(np.sum(np.abs(below[0] - below[1]) * np.diff(points)))


def describe(name: str, reals: NDArray[np.float64], others: NDArray[np.float64]) -> dict[str, float]:
    """Return ``name.p5``, ``.p50`` and ``.p95`` of `others`, and ``name.distance`` to `reals`; nan is ignored."""
    known, other = (each[np.isfinite(each)] for each in (reals, others))
    values = np.percentile(other, QUANTILES) if len(other) else np.full(len(QUANTILES), np.nan)
    figures = {f"{name}.p{quantile}": float(value) for quantile, value in zip(QUANTILES, values, strict=True)}
    return {**figures, f"{name}.distance": wasserstein(known, other) if len(known) and len(other) else float("nan")}
