"""Levels at the start and end of clips, and the fraction of clipped samples."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

from pggan_framework.metrics.base import Clips, Features, Metric
from pggan_framework.registry import register

START_SECONDS, END_SECONDS = 0.002, 0.010
"""Length of the start and of the end of a clip, in seconds."""
LOWEST_DB = -100.0
"""Level of a digitally silent start or end."""
FULL_SCALE = 0.99
"""Absolute sample value from which a sample counts as clipped."""


def edge_db(clips: Clips) -> Features:
    """Return levels of the first 2 ms and last 10 ms in dB relative to the whole clip, [N, 2]; nan for silent clips."""
    squares = clips.waves.reshape(len(clips), -1, clips.waves.shape[-1]).astype(np.float64) ** 2
    start, end = (max(round(seconds * clips.sample_rate), 1) for seconds in (START_SECONDS, END_SECONDS))
    whole = squares.mean(axis=(1, 2))
    parts = np.stack([part.mean(axis=(1, 2)) for part in (squares[..., :start], squares[..., -end:])], axis=1)
    ratios = parts / np.where(whole > 0, whole, np.nan)[:, None]
    levels: Features = 10 * np.log10(np.maximum(ratios, 10 ** (LOWEST_DB / 10)))
    return levels


@register("metric", "edges")
class Edges(Metric):
    """Median level of the first 2 ms and of the last 10 ms of a clip, dB relative to the whole clip.

    A clip that ends in a click has a high ``edges.end``; compare both values with those of the recordings.
    """

    name = "edges"

    def features(self, clips: Clips) -> Features:
        """Return both levels in dB, [N, 2]."""
        return edge_db(clips)

    def compare(self, reals: Features, others: Features) -> dict[str, float]:
        """Return ``edges.start`` and ``edges.end``, dB; nan if all clips are silent."""
        self.check_count(others)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # all nan
            start, end = np.nanmedian(others, axis=0)
        return {"edges.start": float(start), "edges.end": float(end)}


@register("metric", "clipping")
class Clipping(Metric):
    """Fraction of samples with an absolute value above 0.99 of full scale."""

    name = "clipping"

    def features(self, clips: Clips) -> NDArray[np.float64]:
        """Return the fraction of each clip, [N, 1]."""
        fractions: NDArray[np.float64] = (np.abs(clips.waves) > FULL_SCALE).reshape(len(clips), -1).mean(axis=1)
        return fractions[:, None]

    def compare(self, reals: Features, others: Features) -> dict[str, float]:
        """Return one value, ``clipping``, from 0 to 1."""
        self.check_count(others)
        return {self.name: float(others.mean())}
