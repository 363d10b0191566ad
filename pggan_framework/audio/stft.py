"""The short-time Fourier transform of all spectral codecs, in numpy.

Frame i is centred on sample (i + 1/2) * hop_length, with zeros before the first and after the last sample. T samples
therefore have exactly T / hop_length frames, and the first and the last sample are half a hop from a frame's centre. No
sample is covered only by the tail of a window, so the inverse is stable up to both ends, even at 50 % overlap.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

AT_ONCE = 1 << 15
"""Number of samples of frames that are transformed at once (256 kB)."""


@cache
def hann(n_fft: int) -> NDArray[np.float64]:
    """The periodic Hann window, [n_fft]."""
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft)
    window.setflags(write=False)
    return window


def frame_count(samples: int, hop_length: int) -> int:
    """The number of frames of `samples` samples; the last hop is padded with zeros."""
    return -(-samples // hop_length)


def edges(n_fft: int, hop_length: int) -> tuple[int, int]:
    """The number of zeros before the first and after the last sample."""
    before = (n_fft - hop_length) // 2
    return before, n_fft - hop_length - before


def full_margin(n_fft: int, hop_length: int) -> int:
    """The smallest number of frames before and after a wave that gives every sample all of its windows."""
    return -(-(n_fft - hop_length) // (2 * hop_length))


def stft(wave: NDArray[Any], n_fft: int, hop_length: int, margin: int = 0) -> NDArray[np.complex128]:
    """[..., T] -> [..., n_fft / 2 + 1, frames], frames = T / hop_length rounded up, plus `margin` at each end.

    The margins are zeros added to the wave. The transform runs in float64 with numpy, so its result has the same bits
    in any process or DataLoader worker and with any number of threads.
    """
    samples = wave.shape[-1]
    missing = frame_count(samples, hop_length) * hop_length - samples
    before, after = edges(n_fft, hop_length)
    zeros = margin * hop_length
    padding = [(0, 0)] * (wave.ndim - 1) + [(zeros + before, after + missing + zeros)]
    padded = np.pad(wave.astype(np.float64), padding)
    frames = np.lib.stride_tricks.sliding_window_view(padded, n_fft, axis=-1)[..., ::hop_length, :]
    spectrum = np.empty((*frames.shape[:-1], n_fft // 2 + 1), dtype=np.complex128)
    # A few frames at a time, since the system allocates large temporary arrays anew each time, which takes longer than
    # the transform.
    step = max(1, AT_ONCE // n_fft)
    for first in range(0, frames.shape[-2], step):
        few = frames[..., first : first + step, :] * hann(n_fft)
        spectrum[..., first : first + step, :] = np.fft.rfft(few)
    turned: NDArray[np.complex128] = np.swapaxes(spectrum, -1, -2)
    return turned


def alternating(bins: int) -> NDArray[np.float64]:
    """1, -1, 1, -1 ..., [bins]: the sign that moves a phase from a frame's start to its centre."""
    signs = np.ones(bins)
    signs[1::2] = -1
    return signs
