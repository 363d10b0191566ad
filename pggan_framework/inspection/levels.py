"""Loudness of clips."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import inf, log10

import numpy as np

from pggan_framework.audio.base import Wave

FULL_SCALE = 32767 / 32768
"""Absolute sample value above which a sample was most likely clipped in recording: the highest value of 16 bits."""
SILENT_DB = -80.0
"""A clip whose peak is below this level, dB of full scale, is silent."""
QUANTILES = (5, 50, 95)
"""Percentiles; the middle one is the median."""
STEP = 6
"""Width of a histogram bin in dB."""
LOWEST = -60
"""dB below which a histogram has a single bin."""


@dataclass(frozen=True)
class Level:
    """The level of one clip over all its channels.

    Args:
        rms_db: root mean square in dB of full scale; -3.01 for a full-scale sine, -inf for digital silence.
        peak_db: largest sample in dB of full scale.
        full_scale: fraction of the clip's samples at or beyond full scale, 0 to 1.
    """

    rms_db: float
    peak_db: float
    full_scale: float

    @property
    def silent(self) -> bool:
        """True if the clip is inaudible."""
        return self.peak_db < SILENT_DB


def measure(wave: Wave) -> Level:
    """Measure the level of a clip [T] or [channels, T]."""
    size = np.abs(wave)
    return Level(
        rms_db=decibel(float(np.sqrt(np.mean(np.square(size, dtype=np.float64))))),
        peak_db=decibel(float(size.max())),
        full_scale=float(np.mean(size >= FULL_SCALE)),
    )


def decibel(amplitude: float) -> float:
    """Return 20 log10 of an amplitude; -inf for 0."""
    return 20 * log10(amplitude) if amplitude > 0 else -inf


def quantiles(values: Sequence[float]) -> dict[str, float]:
    """Return `QUANTILES` of the finite values: ``{"5": ..., "50": ..., "95": ...}``; empty if there are none."""
    if not values:
        return {}
    found = np.percentile(np.asarray(values, np.float64), QUANTILES)
    return {str(share): round(float(value), 2) for share, value in zip(QUANTILES, found, strict=True)}


def level_counts(levels_db: Iterable[float]) -> dict[str, int]:
    """Count levels in bins of 6 dB, from the lowest to the highest used bin; one bin for all levels below -60 dB."""
    bins = [max(int(np.floor(level / STEP)) * STEP, LOWEST - STEP) for level in levels_db]
    counts = {}
    for low in range(min(bins, default=0), max(bins, default=-STEP) + 1, STEP):
        label = f"below {LOWEST}" if low < LOWEST else f"{low} to {low + STEP}"
        counts[label] = bins.count(low)
    return counts
