"""The constant offset of a recording, which is no sound: found without mistaking a low note for one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pggan_framework.audio.base import Wave
from pggan_framework.audio.stft import hann

BLOCK_SECONDS = 0.1
"""Four periods of 40 Hz under a Hann window: the mean of a block is the offset, whatever sounds in it."""
LEAST_BLOCKS = 4
CERTAIN = 3.0
"""Standard errors from 0 at which a mean is an offset, and no chance."""
AUDIBLE = 10 ** (-50 / 20)
"""Offset, -50 dB of full scale, from which removing it is worth a note."""
NEGLIGIBLE = 1e-4


def find_offset(wave: Wave, sample_rate: int) -> NDArray[np.float32]:
    """The constant offset of a wave [..., T], [..., 1]; 0 where there is none for certain.

    The mean over overlapping blocks of 0.1 s, each weighted by the inverse of its variance: quiet blocks show the
    offset best, and a drum with a silent end keeps it silent. It counts only where the blocks agree on it.
    """
    length = max(min(round(BLOCK_SECONDS * sample_rate), wave.shape[-1] // LEAST_BLOCKS) // 2 * 2, 2)
    if wave.shape[-1] < length:
        return np.zeros((*wave.shape[:-1], 1), np.float32)
    blocks = np.lib.stride_tricks.sliding_window_view(wave, length, axis=-1)[..., :: length // 2, :]
    window = (hann(length) * (2 / length)).astype(np.float32)
    means = blocks @ window
    # Most recordings have no offset: means near 0 spare them the variances.
    if np.abs(means).max() < NEGLIGIBLE:
        return np.zeros((*wave.shape[:-1], 1), np.float32)
    variances = np.maximum(np.square(blocks) @ window - means**2, 0)
    weights = 1 / (variances + np.float32(1e-10))
    weights /= weights.sum(axis=-1, keepdims=True)
    offset = (weights * means).sum(axis=-1, keepdims=True)
    # The standard error of a weighted mean; where one block has nearly all the weight, nothing is certain.
    spread = (np.square(weights) * np.square(means - offset)).sum(axis=-1, keepdims=True)
    error = np.sqrt(spread / np.maximum(1 - np.square(weights).sum(axis=-1, keepdims=True), 1e-6))
    certain = (np.abs(offset) >= NEGLIGIBLE) & (np.abs(offset) > CERTAIN * error)
    found: NDArray[np.float32] = np.where(certain, offset, 0).astype(np.float32)
    return found
