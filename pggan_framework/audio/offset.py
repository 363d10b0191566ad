"""Find the constant (DC) offset of a recording without mistaking a low note for an offset."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from pggan_framework.audio.base import Wave
from pggan_framework.audio.stft import hann

BLOCK_SECONDS = 0.1
"""Four periods of 40 Hz under a Hann window: the mean of a block is then the offset, whatever sound it contains."""
LEAST_BLOCKS = 4
CERTAIN = 3.0
"""Number of standard errors from 0 above which a mean is an offset and not chance."""
AGREEING = 0.75
"""Fraction of the blocks whose means must have the sign of the offset."""
AUDIBLE = 10 ** (-50 / 20)
"""Offset above which its removal is reported: -50 dB of full scale."""
NEGLIGIBLE = 1e-4


def find_offset(wave: Wave, sample_rate: int) -> NDArray[np.float32]:
    """The constant offset, [..., 1], of a wave [..., T]; 0 if it is uncertain.

    The offset is the mean over overlapping blocks of 0.1 s, each weighted by its inverse variance: quiet blocks show
    the offset best, and this keeps the silent end of a drum sound silent. The offset counts only if the blocks agree on
    it.
    """
    half = min(round(BLOCK_SECONDS * sample_rate), wave.shape[-1] // LEAST_BLOCKS) // 2
    none = np.zeros((*wave.shape[:-1], 1), np.float32)
    if half < 1:
        return none
    # Sum half blocks under both halves of the window; two consecutive halves form a block.
    parts = wave[..., : wave.shape[-1] // half * half].reshape(*wave.shape[:-1], -1, half)
    halves = _halves(half)
    sums = parts @ halves
    means = sums[..., :-1, 0] + sums[..., 1:, 1]
    # One sign must prevail among the blocks. Most recordings have no offset and return here.
    above = np.count_nonzero(means > 0, axis=-1) / means.shape[-1]
    agree = np.abs(above - 0.5) >= AGREEING - 0.5
    if not np.any(agree):
        return none
    with np.errstate(over="ignore", invalid="ignore"):  # values near the largest float have no measurable offset
        sums = np.square(parts) @ halves
        variances = np.maximum(sums[..., :-1, 0] + sums[..., 1:, 1] - means * means, 0)
        return agreed_offset(means, variances).astype(np.float32)


def agreed_offset(means: NDArray[np.floating], variances: NDArray[np.floating]) -> NDArray[np.floating]:
    """The offset [..., 1] on which blocks with these means and variances [..., blocks] agree; 0 if they disagree."""
    above = np.count_nonzero(means > 0, axis=-1, keepdims=True) / means.shape[-1]
    weights = 1 / (variances + np.float32(1e-10))
    weights /= weights.sum(axis=-1, keepdims=True)
    offset = (weights * means).sum(axis=-1, keepdims=True)
    # The standard error of a weighted mean; if one block has nearly all the weight, the mean is not reliable.
    squares = weights * weights
    spread = (squares * np.square(means - offset)).sum(axis=-1, keepdims=True)
    error = np.sqrt(spread / np.maximum(1 - squares.sum(axis=-1, keepdims=True), 1e-6))
    certain = np.abs(offset) > np.maximum(CERTAIN * error, NEGLIGIBLE)
    found: NDArray[np.floating] = np.where(certain & (np.abs(above - 0.5) >= AGREEING - 0.5), offset, 0)
    return found


@cache
def _halves(half: int) -> NDArray[np.float32]:
    """Both halves of a Hann window whose samples sum to 1, side by side, [half, 2]."""
    window = hann(2 * half) / half
    return np.ascontiguousarray(window.reshape(2, half).T, dtype=np.float32)
