"""The Frechet distance between Gaussians fitted to two sets of features, and the metric on log-mel statistics."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pggan_framework.metrics.base import Clips, Features, Metric, as_array
from pggan_framework.metrics.mel_features import statistics
from pggan_framework.registry import register

if TYPE_CHECKING:
    from torch import Tensor

LEAST_SPREAD = 1.0
"""Lower limit in dB of the standard deviation that features are divided by, about the smallest audible level change."""


def gaussian_distance(
    mean: NDArray[np.float64],
    covariance: NDArray[np.float64],
    other_mean: NDArray[np.float64],
    other: NDArray[np.float64],
) -> float:
    """|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)), the squared Frechet (2-Wasserstein) distance of two Gaussians.

    Dowson and Landau 1982. The trace of the root is computed as the sum of the roots of the eigenvalues of the
    symmetric C1^(1/2) C2 C1^(1/2): this is exact for singular covariances too, unlike the root of the product C1 C2.

    Args:
        mean: mean of the first Gaussian, [F].
        covariance: covariance of the first Gaussian, [F, F].
        other_mean: mean of the second Gaussian, [F].
        other: covariance of the second Gaussian, [F, F].
    """
    values, vectors = np.linalg.eigh(covariance)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    product = root @ other @ root
    common = np.sqrt(np.maximum(np.linalg.eigvalsh((product + product.T) / 2), 0)).sum()
    apart = np.sum((mean - other_mean) ** 2)
    return max(float(apart + np.trace(covariance) + np.trace(other) - 2 * common), 0.0)


def frechet_distance(reals: Features | Tensor, others: Features | Tensor) -> float:
    """`gaussian_distance` between the Gaussians fitted to two sets of features [N, F]; N >= 2 each.

    A small N increases the distance, even for similar sets: compare only values of the same N.
    """
    fitted = [(np.mean(f, axis=0), np.atleast_2d(np.cov(f, rowvar=False))) for f in map(as_array, (reals, others))]
    return gaussian_distance(*fitted[0], *fitted[1])


def standardized(reals: Features, others: Features, least: float) -> tuple[Features, Features]:
    """Standardize both sets with the mean and standard deviation of the reals; the latter is at least `least`."""
    mean, spread = reals.mean(axis=0), np.maximum(reals.std(axis=0), least)
    return (reals - mean) / spread, (others - mean) / spread


@register("metric", "frechet")
class Frechet(Metric):
    """Frechet distance of log-mel statistics: mean, spread and frame-to-frame step of 64 bands (192 numbers).

    The numbers are standardized by the mean and standard deviation of the reals. The distance is squared, as for FID.
    """

    name = "frechet"
    minimum = 64

    def features(self, clips: Clips) -> Features:
        """Return the 192 numbers of each clip."""
        return statistics(clips)

    def compare(self, reals: Features, others: Features) -> dict[str, float]:
        """Return one value, ``frechet``; 0 is best."""
        self.check_count(reals, others)
        return {self.name: frechet_distance(*standardized(reals, others, LEAST_SPREAD))}
