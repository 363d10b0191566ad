"""Log-mel spectrograms of clips, the input of most metrics."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pggan_framework.audio.mel import mel_matrix
from pggan_framework.audio.stft import stft
from pggan_framework.metrics.base import Clips, Features

BANDS = 64
FLOOR_DB = -80.0
"""Lower limit of levels in dB: lower levels are inaudible next to full scale, but would dominate the metrics."""
LEVEL = 0.1
"""Root mean square of `levelled` clips: -20 dB of full scale."""
WINDOW_SECONDS = 0.064
"""The longest window: 1024 samples at 16 kHz, 2048 at 44.1 kHz."""


def window_length(sample_rate: int) -> int:
    """The largest power of two within `WINDOW_SECONDS`, at least 16 samples."""
    return 1 << (max(int(WINDOW_SECONDS * sample_rate), 16).bit_length() - 1)


def power(clips: Clips) -> NDArray[np.float64]:
    """Short-time power [N, n_fft / 2 + 1, frames], averaged over channels; 1 for a full-scale sine centred in a bin."""
    n_fft = window_length(clips.sample_rate)
    squares = np.abs(stft(clips.waves, n_fft, n_fft // 4)) ** 2 / (n_fft / 4) ** 2
    return squares if squares.ndim == 3 else squares.mean(axis=1)


def levelled(clips: Clips) -> Clips:
    """Bring all clips to the same root mean square, by at most 40 dB."""
    axes = tuple(range(1, clips.waves.ndim))
    rms = np.sqrt(np.mean(np.square(clips.waves, dtype=np.float64), axis=axes, keepdims=True))
    return replace(clips, waves=(clips.waves * (LEVEL / np.maximum(rms, LEVEL / 100))).astype(np.float32))


def log_mel(clips: Clips) -> NDArray[np.float64]:
    """Power in mel bands in dB, at least `FLOOR_DB`: [N, 64, frames]."""
    matrix = mel_matrix(clips.sample_rate, window_length(clips.sample_rate), BANDS)
    levels: NDArray[np.float64] = 10 * np.log10(np.maximum(matrix @ power(clips)[:, :-1], 10 ** (FLOOR_DB / 10)))
    return levels


def statistics(clips: Clips) -> Features:
    """Return the mean, standard deviation and mean absolute step between frames of each band, dB: [N, 192]."""
    levels = log_mel(clips)
    steps = np.abs(np.diff(levels, axis=-1)).mean(axis=-1) if levels.shape[-1] > 1 else np.zeros(levels.shape[:2])
    return np.concatenate([levels.mean(axis=-1), levels.std(axis=-1), steps], axis=1)


def pooled(clips: Clips, columns: int = 32) -> Features:
    """The spectrogram as one vector, its frames averaged in at most `columns` segments, dB: [N, 64 * columns]."""
    levels = log_mel(clips)
    parts = np.array_split(levels, min(columns, levels.shape[-1]), axis=-1)
    return np.stack([part.mean(axis=-1) for part in parts], axis=-1).reshape(len(clips), -1)
