"""Copies of training data: distances to the nearest real example, compared with those among the reals."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from pggan_framework.metrics.base import Clips, Features, Metric
from pggan_framework.metrics.deep import FeatureMetric
from pggan_framework.metrics.mel_features import levelled, pooled
from pggan_framework.metrics.neighbours import nearest
from pggan_framework.registry import register

CLOSEST = 1.0
"""Percentile of the distances among reals up to which a sample counts as a copy."""
EQUAL = 0.01
"""Fraction of the usual distance below which two samples count as equal."""


def copying(distances: NDArray[np.float64], usual: NDArray[np.float64]) -> tuple[float, float]:
    """Compare the distances of samples to their nearest real example with the same distances among the reals.

    Args:
        distances: distance from each sample to its nearest real example, [N].
        usual: distance from each real example to its nearest other real example, [M].

    Returns:
        The ratio of the medians of `distances` and `usual`; and the fraction of copies: samples closer to a real
        example than 99 % of the reals are to each other, or practically equal to a real example.
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


@register("metric", "nearest_mel")
class NearestSound(Metric):
    """Distance to the nearest recording relative to the distance among recordings, and the fraction of near copies.

    Clips are compared as log-mel spectrograms at equal level. The values are about 1 and 0.01 for unseen recordings,
    and 0 and 1 for copies of the reals. ``pggan evaluate --neighbours`` searches all training clips, and names and
    draws the nearest ones.
    """

    name = "nearest_mel"
    default = False
    minimum = 32

    def features(self, clips: Clips) -> Features:
        """Return the levels of 64 bands in at most 32 segments, dB: [N, 64 * segments]."""
        return pooled(levelled(clips))

    def compare(self, reals: Features, others: Features) -> dict[str, float]:
        """Return ``nearest_mel.ratio`` and ``nearest_mel.copies``."""
        self.check_count(reals, others)
        usual = nearest(reals, reals, own=np.arange(len(reals)))[1][:, 0]
        ratio, copies = copying(nearest(others, reals)[1][:, 0], usual)
        return self.named({"nearest.ratio": ratio, "nearest.copies": copies})

    def named(self, figures: Mapping[str, float]) -> dict[str, float]:
        """Return values by stem (``nearest.ratio``) under their full names."""
        return {key.replace(".", "_mel.", 1): value for key, value in figures.items()}
