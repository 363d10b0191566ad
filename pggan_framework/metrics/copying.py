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
    """Compare the distances of images to their nearest real image with the same distances among the reals.

    Args:
        distances: distance from each image to its nearest real image, [N].
        usual: distance from each real image to its nearest other real image, [M].

    Returns:
        The ratio of the medians of `distances` and `usual`; and the fraction of copies: images closer to a real image
        than 99 % of the reals are to each other, or practically equal to a real image.
    """
    middle = float(np.median(usual)) or float(np.finfo(np.float64).tiny)
    limit = max(float(np.percentile(usual, CLOSEST)), EQUAL * middle)
    return float(np.median(distances)) / middle, float(np.mean(distances <= limit))


@register("metric", "nearest")
class Nearest(FeatureMetric):
    """Distance to the nearest real image relative to the distance among reals, and the fraction of near copies.

    The values are about 1 and 0.01 for unseen images, and 0 and 1 for copies of the reals. ``pggan evaluate
    --neighbours`` searches all training images and draws the nearest ones.
    """

    name = "nearest"
    minimum = 32

    def compare(self, reals: Features, others: Features) -> dict[str, float]:
        """Return ``nearest_lite0.ratio`` and ``nearest_lite0.copies``, named after the extractor."""
        self.check_count(reals, others)
        usual = nearest(reals, reals, own=np.arange(len(reals)))[1][:, 0]
        ratio, copies = copying(nearest(others, reals)[1][:, 0], usual)
        return self.named({"nearest.ratio": ratio, "nearest.copies": copies})
