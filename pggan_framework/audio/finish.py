"""The last step before a file: no clipping, and no click at either end."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pggan_framework.audio.base import Wave

CEILING = 0.98
"""Largest absolute sample of a finished clip; full scale is 1."""
FADE_IN_SECONDS, FADE_OUT_SECONDS = 0.0005, 0.003
"""Lengths of the fades: the first is too short to soften an attack."""


def finished(waves: Wave, sample_rate: int, ceiling: float = CEILING, fade: bool = True) -> Wave:
    """Clips [N, T] or [N, channels, T] without clipped samples or clicks at the ends; the input stays unchanged.

    A clip whose peak is above `ceiling` is scaled down as a whole, its channels together. Raised cosines then fade in
    the first 0.5 ms and fade out the last 3 ms, at most a quarter of the clip each.

    Args:
        waves: full scale 1.
        sample_rate: samples a second.
        ceiling: largest absolute sample that stays.
        fade: False keeps the ends unchanged, for clips that loop.
    """
    peaks = np.abs(waves).max(axis=tuple(range(1, waves.ndim)), keepdims=True)
    done: NDArray[np.float32] = (waves * (ceiling / np.maximum(peaks, ceiling))).astype(np.float32)
    if fade:
        first, last = (
            min(round(seconds * sample_rate), waves.shape[-1] // 4) for seconds in (FADE_IN_SECONDS, FADE_OUT_SECONDS)
        )
        done[..., :first] *= raised_cosine(first)
        done[..., waves.shape[-1] - last :] *= raised_cosine(last)[::-1]
    return done


def raised_cosine(samples: int) -> NDArray[np.float32]:
    """A rise [samples] from above 0 to below 1, half a period of a cosine."""
    return (0.5 - 0.5 * np.cos(np.pi * (np.arange(samples) + 0.5) / max(samples, 1))).astype(np.float32)
