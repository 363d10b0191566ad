"""Copies of training images: distances to the nearest real image, compared with those among the reals."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pggan_framework.metrics.base import Features
from pggan_framework.metrics.deep import FeatureMetric
from pggan_framework.metrics.neighbours import nearest
from pggan_framework.registry import register

CLOSEST = 1.0
"""Percentile of the distances among reals up to which an image counts as a copy."""
EQUAL = 0.01
"""Fraction of the usual distance below which two images count as equal."""


def copying(distances: NDArray[np.float64], usual: NDArray[np.float64]) -> tuple[float, float]:
    """Compare the images' distances to the nearest real image with those among the reals.

    Args:
        distances: [N], to each image's nearest real one.
        usual: [M], from each real image to the nearest other one.

    Returns:
        The median of `distances` as a fraction of the median of `usual`; and the fraction of images that are closer to
        a real image than 99 % of the reals are to one another, or practically equal to one.
    """
    middle = float(np.median(usual)) or float(np.finfo(np.float64).tiny)
    limit = max(float(np.percentile(usual, CLOSEST)), EQUAL * middle)
    return float(np.median(distances)) / middle, float(np.mean(distances <= limit))


@register("metric", "nearest")
class Nearest(FeatureMetric):
    """Distance to the nearest real image relative to that among reals, and the fraction of near copies.

    About 1 and 0.01 for unseen images; 0 and 1 for copies of the reals it is computed from.
    ``pggan evaluate --neighbours`` searches all training images, and draws the nearest.
    """

    name = "nearest"
    minimum = 32

    def compare(self, reals: Features, others: Features) -> dict[str, float]:
        """``nearest_lite0.ratio`` and ``nearest_lite0.copies``, with the extractor's name."""
        self.check_count(reals, others)
        usual = nearest(reals, reals, own=np.arange(len(reals)))[1][:, 0]
        ratio, copies = copying(nearest(others, reals)[1][:, 0], usual)
        return self.named({"nearest.ratio": ratio, "nearest.copies": copies})
