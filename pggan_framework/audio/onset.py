"""Quiet starts: measure how recordings begin, and make generated clips begin in the same way.

A generator fills the pause before an onset with a faint hiss, while recordings can have digital silence there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from pggan_framework.audio.base import Wave

ONSET_DB = -20.0
"""Level of a one-millisecond block, relative to the clip's RMS, above which the sound has begun."""
START_SECONDS = 0.002
"""Length of the measured start of a clip."""
OFTEN = 0.25
"""Fraction of the recordings that must start quietly before generated clips are adapted."""
FAINTEST_DB = -120.0


def start_level(wave: Wave, sample_rate: int) -> float | None:
    """Level of a clip's first 2 ms in dB relative to its RMS, [T] or [channels, T]; None if the clip starts loudly."""
    signal = np.atleast_2d(wave)
    first = round(START_SECONDS * sample_rate)
    onset = _onset(signal, sample_rate)
    if onset is None or onset < first:
        return None
    return _db(_rms(signal[:, :first]) / _rms(signal))


def usual_start(levels: Sequence[float], clips: int) -> float | None:
    """The median of the `levels` of quiet starts; None if fewer than a quarter of the clips start quietly."""
    return float(np.median(levels)) if levels and len(levels) >= OFTEN * clips else None


def quiet_start(waves: Wave, sample_rate: int, level: float) -> Wave:
    """Lower the quiet starts of clips [N, T] or [N, channels, T] to `level` dB or below.

    The gain rises linearly in dB from the first 2 ms to the onset, so that slow attacks are preserved. Clips that
    start loudly are unchanged.
    """
    done: Wave = waves.copy()
    first = round(START_SECONDS * sample_rate)
    for clip in done:
        found = start_level(clip, sample_rate)
        if found is None or found <= level:
            continue
        end = _onset(np.atleast_2d(clip), sample_rate) or first
        gain_db = np.interp(np.arange(end), [first, max(end, first + 1)], [level - found, 0.0])
        clip[..., :end] *= (10 ** (gain_db / 20)).astype(np.float32)
    return done


def _onset(signal: Wave, sample_rate: int) -> int | None:
    """The number of samples before the first loud millisecond of [channels, T]; None for silence."""
    block = max(round(sample_rate / 1000), 1)
    count = signal.shape[-1] // block
    whole = _rms(signal)
    if whole == 0 or count == 0:
        return None
    blocks: NDArray[np.float64] = signal[:, : count * block].astype(np.float64).reshape(len(signal), count, block)
    loud = np.sqrt((blocks**2).mean((0, 2))) > whole * 10 ** (ONSET_DB / 20)
    return int(loud.argmax()) * block


def _rms(signal: Wave) -> float:
    return float(np.sqrt(np.mean(signal.astype(np.float64) ** 2))) if signal.size else 0.0


def _db(ratio: float) -> float:
    return max(float(20 * np.log10(ratio)), FAINTEST_DB) if ratio > 0 else FAINTEST_DB
