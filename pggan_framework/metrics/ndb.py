"""NDB and JSD: whether kinds of sounds are as frequent among generated sounds as among the reals."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pggan_framework.errors import at_least
from pggan_framework.metrics.base import Clips, Features, Metric
from pggan_framework.metrics.mel_features import pooled
from pggan_framework.registry import register

A_BIN = 10
"""Smallest mean number of reals per bin: with fewer, the test of proportions is meaningless."""
CRITICAL = 1.959964
"""The two-sided 5 % point of the normal distribution."""


def different_bins(counts: NDArray[np.int64], others: NDArray[np.int64]) -> int:
    """The number of bins whose fractions differ by a two-proportion z-test at 5 %; counts [K] each."""
    total, other_total = counts.sum(), others.sum()
    both = (counts + others) / (total + other_total)
    error = np.sqrt(both * (1 - both) * (1 / total + 1 / other_total))
    return int(np.sum(np.abs(counts / total - others / other_total) > CRITICAL * error))


def jensen_shannon(counts: NDArray[np.int64], others: NDArray[np.int64]) -> float:
    """Jensen-Shannon divergence of two histograms [K] in bits: 0 if they are equal, 1 if they are disjoint."""
    shares = [counts / counts.sum(), others / others.sum()]
    middle = (shares[0] + shares[1]) / 2
    parts = [p[p > 0] * np.log2(p[p > 0] / middle[p > 0]) for p in shares]
    return max(float(parts[0].sum() + parts[1].sum()) / 2, 0.0)


@register("metric", "ndb")
class NDB(Metric):
    """Number of statistically different bins, and the Jensen-Shannon divergence of their histograms.

    Richardson and Weiss, "On GANs and GMMs", NeurIPS 2018: the bins are k-means clusters of the reals' log-mel
    spectrograms. ``ndb.share`` is the fraction of bins that differ, 0.05 by chance alone; ``ndb.jsd`` is in bits.

    Args:
        bins: largest number of bins; fewer if a bin would have fewer than 10 reals.

    Raises:
        UserError: if `bins` is below 2.
    """

    name = "ndb"
    minimum = 2 * A_BIN

    def __init__(self, bins: int = 50) -> None:
        at_least("ndb", 2, bins=bins)
        self.bins = bins

    def features(self, clips: Clips) -> Features:
        """Return spectrograms of 64 bands and at most 32 columns, which are clustered to bins."""
        return pooled(clips)

    def compare(self, reals: Features, others: Features) -> dict[str, float]:
        """Return ``ndb.share`` and ``ndb.jsd``; the bins are clusters of `reals`."""
        self.check_count(reals, others)
        from sklearn.cluster import KMeans

        bins = min(self.bins, len(reals) // A_BIN)
        means = KMeans(bins, n_init=3, random_state=0).fit(reals)
        counts, other = (np.bincount(means.predict(each), minlength=bins) for each in (reals, others))
        return {"ndb.share": different_bins(counts, other) / bins, "ndb.jsd": jensen_shannon(counts, other)}
