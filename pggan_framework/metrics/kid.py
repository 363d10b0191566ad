"""KID: the kernel distance of two sets of features, unbiased for any number of images."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pggan_framework.errors import at_least
from pggan_framework.metrics.base import Features
from pggan_framework.metrics.deep import FeatureMetric
from pggan_framework.registry import register

MOST = 10_000
"""Largest number of images per side from which subsets are drawn: the kernel is computed for all their pairs."""
_SEED = 0
_BLOCK = 1024


def kernel(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute (x . y / F + 1)^3 for each row x of `a` [N, F] and each row y of `b` [M, F]: [N, M]."""
    values: NDArray[np.float64] = (a @ b.T / a.shape[1] + 1) ** 3
    return values


def subset_distances(
    reals: NDArray[np.floating],
    others: NDArray[np.floating],
    members: NDArray[np.bool_],
    other_members: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """The unbiased squared maximum mean discrepancy of each pair of subsets, [S].

    The formula is sum_{i != j} k(x_i, x_j) / (m (m - 1)) + the same sum over y - 2 sum_{i, j} k(x_i, y_j) / m^2
    (Binkowski et al., arXiv 1801.01401). Kernel values are computed once for all subsets.

    Args:
        reals: features of the reals, [N, F].
        others: features of the other images, [M, F].
        members: boolean [S, N]; marks the m rows of `reals` in each subset.
        other_members: boolean [S, M]; marks the m rows of `others` in each subset.
    """
    size = int(members[0].sum())
    x, y = (np.asarray(each, np.float64) for each in (reals, others))
    of_x, of_y = (each.astype(np.float64).T for each in (members, other_members))
    within = [
        _sums(a, a, of_a, of_a) - (kernel_diagonal(a)[:, None] * of_a).sum(0) for a, of_a in ((x, of_x), (y, of_y))
    ]
    across = _sums(x, y, of_x, of_y)
    distances: NDArray[np.float64] = (within[0] + within[1]) / (size * (size - 1)) - 2 * across / size**2
    return distances


def kernel_diagonal(a: NDArray[np.float64]) -> NDArray[np.float64]:
    """`kernel` of each row [N, F] with itself, [N]."""
    diagonal: NDArray[np.float64] = (np.einsum("ij,ij->i", a, a) / a.shape[1] + 1) ** 3
    return diagonal


def _sums(
    a: NDArray[np.float64], b: NDArray[np.float64], of_a: NDArray[np.float64], of_b: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Sum the kernel over the rows of `a` and `b` in each subset, [S]; `of_a` is [N, S], `of_b` [M, S]."""
    total = np.zeros(of_a.shape[1])
    for start in range(0, len(a), _BLOCK):
        rows = slice(start, start + _BLOCK)
        total += (of_a[rows] * (kernel(a[rows], b) @ of_b)).sum(0)
    return total


@register("metric", "kid")
class KID(FeatureMetric):
    """Kernel distance of features (arXiv 1801.01401): mean and standard deviation over random subsets; 0 is best.

    KID is unbiased for any number of images, and can be negative. At most 10,000 images per side are used.

    Args:
        subsets: number of random subsets.
        subset_size: images per subset; at most half of the available images.

    Raises:
        UserError: if `subsets` is below 1, or `subset_size` is below 2.
    """

    name = "kid"
    minimum = 32

    def __init__(self, subsets: int = 100, subset_size: int = 1000) -> None:
        at_least("kid", 1, subsets=subsets)
        at_least("kid", 2, subset_size=subset_size)
        self.subsets, self.subset_size = subsets, subset_size

    def compare(self, reals: Features, others: Features) -> dict[str, float]:
        """Return ``kid_lite0`` and ``kid_lite0.std``, or with another extractor's name."""
        self.check_count(reals, others)
        reals, others = reals[:MOST], others[:MOST]
        size = min(self.subset_size, min(len(reals), len(others)) // 2)
        random = np.random.default_rng(_SEED)
        members = [np.zeros((self.subsets, len(each)), np.bool_) for each in (reals, others)]
        for subset in range(self.subsets):
            for each in members:
                each[subset, random.choice(each.shape[1], size, replace=False)] = True
        found = subset_distances(reals, others, *members)
        return self.named({"kid": float(found.mean()), "kid.std": float(found.std())})
