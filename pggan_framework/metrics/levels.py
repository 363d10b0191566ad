"""Loudness of clips, and the fraction of silent ones."""

from __future__ import annotations

import numpy as np

from pggan_framework.metrics.base import Clips, Features, Metric
from pggan_framework.metrics.distribution import describe
from pggan_framework.registry import register

LOWEST_DB = -120.0
"""Level of digital silence in dB."""
UNDER_DB = 40.0
FAINTEST_DB = -90.0
"""About half a quantization step of 16-bit sound."""


def level_db(clips: Clips) -> Features:
    """Root mean square over samples and channels in dB of full scale (a full-scale sine: -3.01), [N, 1]."""
    waves = clips.waves.reshape(len(clips), -1).astype(np.float64)
    rms = np.sqrt(np.mean(waves**2, axis=1))
    levels: Features = 20 * np.log10(np.maximum(rms, 10 ** (LOWEST_DB / 20)))[:, None]
    return levels


@register("metric", "silence")
class Silence(Metric):
    """Fraction of silent clips: 40 dB below the reals' median level, or below -90 dB of full scale."""

    name = "silence"

    def features(self, clips: Clips) -> Features:
        """Return the levels in dB."""
        return level_db(clips)

    def compare(self, reals: Features, others: Features) -> dict[str, float]:
        """Return one value, ``silence``, from 0 to 1."""
        self.check_count(reals, others)
        threshold = max(float(np.median(reals)) - UNDER_DB, FAINTEST_DB)
        return {self.name: float(np.mean(others < threshold))}


@register("metric", "loudness")
class Loudness(Metric):
    """Level (root mean square, dB of full scale): quantiles, spread, and the 1-Wasserstein distance to the reals'."""

    name = "loudness"

    def features(self, clips: Clips) -> Features:
        """Return the levels in dB."""
        return level_db(clips)

    def compare(self, reals: Features, others: Features) -> dict[str, float]:
        """Return ``loudness.p5``, ``.p50``, ``.p95``, ``.distance`` and ``.spread``, the range from 10 to 90 %, dB."""
        self.check_count(reals, others)
        low, high = np.percentile(others[:, 0], (10, 90))
        return {**describe(self.name, reals[:, 0], others[:, 0]), "loudness.spread": float(high - low)}
