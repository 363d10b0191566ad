"""Are generated pictures copies of real ones? Distances to the nearest real, beside those among the reals."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pggan_framework.metrics.base import Features
from pggan_framework.metrics.deep import FeatureMetric
from pggan_framework.metrics.neighbours import nearest
from pggan_framework.registry import register

CLOSEST = 1.0
"""Percentile of the reals' distances to one another up to which a picture counts as a copy."""
EQUAL = 0.01
"""Share of the usual distance that is none at all."""


def copying(distances: NDArray[np.float64], usual: NDArray[np.float64]) -> tuple[float, float]:
    """How near pictures are to the nearest real one.

    Args:
        distances: [N], to each picture's nearest real one.
        usual: [M], from a real one to the nearest other.

    Returns:
        The median of `distances` as a share of the median of `usual`; and the share of pictures that are nearer than
        all but one in a hundred reals are to one another, or as good as equal to one.
    """
    middle = float(np.median(usual)) or float(np.finfo(np.float64).tiny)
    limit = max(float(np.percentile(usual, CLOSEST)), EQUAL * middle)
    return float(np.median(distances)) / middle, float(np.mean(distances <= limit))


@register("metric", "nearest")
class Nearest(FeatureMetric):
    """Distance to the nearest real picture as a share of that among reals, and the share of near copies.

    About 1 and 0.01 for pictures that were never seen; 0 and 1 for copies of those the reals' half holds.
    ``pggan evaluate --neighbours`` looks at all the training pictures, and draws them.
    """

    name = "nearest"
    minimum = 32

    def compare(self, reals: Features, others: Features) -> dict[str, float]:
        """``nearest_lite0.ratio`` and ``nearest_lite0.copies``, or what the extractor is called."""
        self.check_count(reals, others)
        usual = nearest(reals, reals, own=np.arange(len(reals)))[1][:, 0]
        ratio, copies = copying(nearest(others, reals)[1][:, 0], usual)
        return self.named({"nearest.ratio": ratio, "nearest.copies": copies})
