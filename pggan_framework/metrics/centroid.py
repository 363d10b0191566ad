"""Spectral centroid: the brightness of clips."""

from __future__ import annotations

import numpy as np

from pggan_framework.metrics.base import Clips, Features, Metric
from pggan_framework.metrics.distribution import describe
from pggan_framework.metrics.mel_features import power
from pggan_framework.registry import register


def centroid_hz(clips: Clips) -> Features:
    """Return the mean frequency of each clip's power in Hz, [N, 1]; nan for digital silence."""
    spectrum = power(clips).sum(axis=-1)
    hertz = np.linspace(0, clips.sample_rate / 2, spectrum.shape[1])
    total = spectrum.sum(axis=1)
    centroids: Features = np.where(total > 0, spectrum @ hertz / np.where(total > 0, total, 1), np.nan)[:, None]
    return centroids


@register("metric", "centroid")
class Centroid(Metric):
    """Spectral centroid (mean frequency of the power, Hz): quantiles, and the 1-Wasserstein distance to the reals'."""

    name = "centroid"

    def features(self, clips: Clips) -> Features:
        """Return the centroids in Hz."""
        return centroid_hz(clips)

    def compare(self, reals: Features, others: Features) -> dict[str, float]:
        """Return ``centroid.p5``, ``.p50``, ``.p95`` and ``.distance`` in Hz."""
        self.check_count(reals, others)
        return describe(self.name, reals[:, 0], others[:, 0])
