"""Pitch trackers: estimate one pitch per clip."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from math import ceil, log2, nan
from pathlib import Path
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from pggan_framework.audio.measure import estimate_pitch
from pggan_framework.errors import UserError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

Tracker = Callable[[NDArray[np.float32], int, float, float], float]
"""(wave [T], sample rate, lowest Hz, highest Hz) -> Hz, or nan without a pitch."""

CONFIDENT = 0.7
"""CREPE's confidence from which a frame counts as voiced."""
_compiled: list[bool] = []
"""Non-empty once `pyin` has been compiled in this process."""
CREPE_RATE, CREPE_HOP = 16000, 512
CREPE_CENTS, CREPE_LOWEST = 20.0, 1997.3794084376191
"""Width of CREPE's bins and position of the first, in cents above 10 Hz (Kim et al., "CREPE", 2018)."""


def pyin(wave: NDArray[np.float32], sample_rate: int, low: float, high: float) -> float:
    """Median over the voiced frames of librosa's pYIN (Mauch and Dixon 2014), in steps of a tenth of a semitone."""
    import librosa

    with _compiled_alone():
        return _pyin(librosa, wave, sample_rate, low, high)


def _pyin(librosa: ModuleType, wave: NDArray[np.float32], sample_rate: int, low: float, high: float) -> float:
    # Frames do not overlap: overlap costs time and hardly changes the median. A pitch step may be half an octave: the
    # default is a rate, which for such a long hop would exceed a narrow range of pitches.
    length = 1 << ceil(log2(8 * sample_rate / low))
    pitches, voiced, _ = librosa.pyin(
        wave,
        fmin=low,
        fmax=high,
        sr=sample_rate,
        frame_length=length,
        hop_length=length,
        max_transition_rate=0.5 * sample_rate / length,
    )
    heard = pitches[voiced & np.isfinite(pitches)]
    return float(np.median(heard)) if len(heard) else nan


@contextmanager
def _compiled_alone() -> Iterator[None]:
    """A context that locks out other processes of this user during the first compilation.

    librosa stores compiled functions in a cache folder in its package. If two processes write it at the same time, one
    may load a wrong file of the other and crash.
    """
    if _compiled or fcntl is None:
        yield
        return
    path = Path(tempfile.gettempdir()) / f"pggan_framework_{os.getuid()}.lock"
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError:  # read-only: compiled code is not cached either
        yield
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
        _compiled.append(True)
    finally:
        os.close(file)  # releases the lock


def torchcrepe(wave: NDArray[np.float32], sample_rate: int, low: float, high: float) -> float:
    """Median over the confident frames of CREPE's smallest network; it covers 33 to 1975 Hz.

    Bins are averaged around the likeliest one, as in CREPE itself: the package's decoders add noise from numpy's global
    random state.

    Raises:
        UserError: if torchcrepe is not installed.
    """
    try:
        import torchcrepe as crepe
    except ImportError as error:
        raise UserError("the pitch tracker torchcrepe is not installed; pip install torchcrepe, or use pyin") from error
    import soxr
    import torch

    heard = soxr.resample(wave, sample_rate, CREPE_RATE) if sample_rate != CREPE_RATE else wave
    cents = CREPE_LOWEST + CREPE_CENTS * np.arange(360)
    hertz = 10 * 2 ** (cents / 1200)
    pitches = []
    with torch.no_grad():
        for frames in crepe.preprocess(torch.from_numpy(heard.copy())[None], CREPE_RATE, CREPE_HOP, batch_size=512):
            likely = crepe.infer(frames, "tiny").numpy() * ((hertz >= low) & (hertz <= high))
            for row in likely[likely.max(axis=1) >= CONFIDENT]:
                near = slice(max(int(row.argmax()) - 4, 0), int(row.argmax()) + 5)
                pitches.append(float((row[near] * cents[near]).sum() / row[near].sum()))
    return float(10 * 2 ** (np.median(pitches) / 1200)) if pitches else nan


TRACKERS: Mapping[str, Tracker] = {"pyin": pyin, "torchcrepe": torchcrepe, "autocorrelation": estimate_pitch}
"""The trackers by name; ``autocorrelation`` is the fastest."""
