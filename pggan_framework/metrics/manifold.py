"""Precision and recall, density and coverage: separate measures of quality and variety, from balls around features."""

from __future__ import annotations

import numpy as np

from pggan_framework.errors import at_least
from pggan_framework.metrics.base import Features
from pggan_framework.metrics.deep import FeatureMetric
from pggan_framework.metrics.neighbours import radii, squared_distances
from pggan_framework.registry import register


def precision_and_recall(reals: Features, others: Features, k: int) -> tuple[float, float]:
    """Fraction of `others` in a ball of `reals`, and vice versa (Kynkaanniemi et al., arXiv 1904.06991, eq. 1, 2).

    The radius of the ball around a row [F] of a set is the distance to its k-th nearest other row of the set.
    """
    real_radii, other_radii = radii(reals, k), radii(others, k)
    known = np.zeros(len(others), np.bool_)
    reached = np.zeros(len(reals), np.bool_)
    for rows, squares in squared_distances(reals, others):
        known |= (squares <= real_radii[rows, None]).any(axis=0)
        reached[rows] = (squares <= other_radii).any(axis=1)
    return float(known.mean()), float(reached.mean())


def density_and_coverage(reals: Features, others: Features, k: int) -> tuple[float, float]:
    """Return density and coverage (Naeem et al., arXiv 2002.09797, eq. 3 and 4).

    Density is the mean number of real balls that contain a row of `others`, divided by k. Coverage is the fraction of
    real balls that contain at least one row of `others`. The radius of the ball around a real row [F] is the distance
    to its k-th nearest other real row.
    """
    real_radii = radii(reals, k)
    inside, held = 0, 0
    for rows, squares in squared_distances(reals, others):
        within = squares <= real_radii[rows, None]
        inside += int(within.sum())
        held += int(within.any(axis=1).sum())
    return inside / (k * len(others)), held / len(reals)


class _Balls(FeatureMetric):
    """Base of both metrics; checks the number of neighbours.

    Args:
        neighbours: k; the radius of a ball is the distance to the k-th nearest neighbour.

    Raises:
        UserError: if `neighbours` is below 1.
    """

    minimum = 32

    def __init__(self, neighbours: int) -> None:
        at_least(self.name, 1, neighbours=neighbours)
        self.neighbours = neighbours
        self.minimum = max(self.minimum, neighbours + 1)


@register("metric", "precision_recall")
class PrecisionRecall(_Balls):
    """Improved precision (quality) and recall (variety), 0 to 1 each (Kynkaanniemi et al., arXiv 1904.06991).

    Args:
        neighbours: k; the radius of the ball around an image is the distance to its k-th nearest neighbour.
    """

    name = "precision_recall"

    def __init__(self, neighbours: int = 3) -> None:
        super().__init__(neighbours)

    def compare(self, reals: Features, others: Features) -> dict[str, float]:
        """Return ``precision_lite0`` and ``recall_lite0``, or with another extractor's name."""
        self.check_count(reals, others)
        precision, recall = precision_and_recall(reals, others, self.neighbours)
        return self.named({"precision": precision, "recall": recall})


@register("metric", "density_coverage")
class DensityCoverage(_Balls):
    """Density (quality, about 1 for reals) and coverage (variety, 0 to 1) (Naeem et al., arXiv 2002.09797).

    A single outlier among the reals, with a large ball, has less influence than on precision and recall.

    Args:
        neighbours: k; the radius of the ball around a real image is the distance to its k-th nearest neighbour.
    """

    name = "density_coverage"

    def __init__(self, neighbours: int = 5) -> None:
        super().__init__(neighbours)

    def compare(self, reals: Features, others: Features) -> dict[str, float]:
        """Return ``density_lite0`` and ``coverage_lite0``, or with another extractor's name."""
        self.check_count(reals, others)
        density, coverage = density_and_coverage(reals, others, self.neighbours)
        return self.named({"density": density, "coverage": coverage})
