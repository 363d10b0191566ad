"""The last step before a sound file is written: prevent clipping, and clicks at both ends."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pggan_framework.audio.base import Wave
from pggan_framework.audio.onset import quiet_start

CEILING = 0.98
"""Largest absolute sample of a finished clip; full scale is 1."""
FADE_IN_SECONDS, FADE_OUT_SECONDS = 0.0005, 0.0015
"""Lengths of the fades in seconds: the first is too short to soften an attack."""


def finished(
    waves: Wave, sample_rate: int, ceiling: float = CEILING, fade: bool = True, start_db: float | None = None
) -> Wave:
    """Remove clipping and clicks at the ends from clips [N, T] or [N, channels, T]; the input stays unchanged.

    A clip whose peak exceeds `ceiling` is scaled down, all channels together. Raised cosines then fade in the first 0.5
    ms and fade out the last 1.5 ms, each at most a quarter of the clip. The pause before an onset is attenuated to the
    level in the recordings.

    Args:
        waves: clips; full scale is 1.
        sample_rate: samples per second.
        ceiling: largest absolute sample that is allowed.
        fade: whether to fade both ends; False for clips that loop.
        start_db: level in dB, relative to the clip, of quiet starts (`Codec.start_db`); None leaves all starts
            unchanged.
    """
    peaks = np.abs(waves).max(axis=tuple(range(1, waves.ndim)), keepdims=True)
    done: NDArray[np.float32] = (waves * (ceiling / np.maximum(peaks, ceiling))).astype(np.float32)
    if fade and start_db is not None:
        done = quiet_start(done, sample_rate, start_db)
    if fade:
        first, last = (
            min(round(seconds * sample_rate), waves.shape[-1] // 4) for seconds in (FADE_IN_SECONDS, FADE_OUT_SECONDS)
        )
        done[..., :first] *= raised_cosine(first)
        done[..., waves.shape[-1] - last :] *= raised_cosine(last)[::-1]
    return done


def raised_cosine(samples: int) -> NDArray[np.float32]:
    """A rise [samples] from above 0 to below 1: half a period of a cosine."""
    return (0.5 - 0.5 * np.cos(np.pi * (np.arange(samples) + 0.5) / max(samples, 1))).astype(np.float32)
