"""Measurements of sound: the error of magnitudes, and the pitch."""

from __future__ import annotations

from math import ceil, inf, log2, log10, nan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pggan_framework.audio.stft import hann

VOICED = 0.5
"""Normalized autocorrelation above which a sound has a pitch."""
FIRST_PEAK = 0.9
"""The first peak above this fraction of the highest is the period; later peaks are multiples (McLeod, Wyvill 2005)."""
UPSAMPLING = 16


def spectral_convergence(
    reference: NDArray[Any], estimate: NDArray[Any], n_fft: int = 1024, hop_length: int = 256
) -> float:
    """20 log10(‖A - g B‖ / ‖A‖) in dB, for the short-time magnitudes A of `reference` and B of `estimate`.

    Both are [..., T]. g is the gain that minimizes the error, so a difference in level does not count. Lower is better;
    -inf is perfect. The result is 0 dB if only one of the two is silent and -inf if both are. Frames are centred on
    multiples of the hop.

    Raises:
        ValueError: if the two shapes differ.
    """
    if reference.shape != estimate.shape:
        raise ValueError(f"shapes {reference.shape} and {estimate.shape} differ")
    wanted, found = (_magnitudes(wave, n_fft, hop_length) for wave in (reference, estimate))
    norm, energy = np.linalg.norm(wanted), float(np.sum(found**2))
    gain = float(np.sum(wanted * found)) / energy if energy else 0.0
    distance = np.linalg.norm(wanted - gain * found)
    if norm == 0:
        return 0.0 if energy else -inf
    return 20 * log10(distance / norm) if distance else -inf


def _magnitudes(wave: NDArray[Any], n_fft: int, hop_length: int) -> NDArray[np.float64]:
    padded = np.pad(wave.astype(np.float64), [(0, 0)] * (wave.ndim - 1) + [(n_fft // 2, n_fft // 2)])
    magnitudes: NDArray[np.float64] = np.abs(np.fft.rfft(_frames(padded, n_fft, hop_length) * hann(n_fft)))
    return magnitudes


def _frames(wave: NDArray[np.float64], length: int, hop_length: int) -> NDArray[np.float64]:
    return np.lib.stride_tricks.sliding_window_view(wave, length, axis=-1)[..., ::hop_length, :]


def estimate_pitch(wave: NDArray[Any], sample_rate: float, low: float, high: float) -> float:
    """Estimate the fundamental frequency of a sound [T] in Hz; nan if it is silent, unpitched or outside the range.

    Divides the autocorrelation of the sound by the autocorrelation of the window (Boersma 1993). The autocorrelation is
    computed from the mean power over frames of about eight periods of `low`. The period is the first lag whose peak is
    near the highest, refined between samples by upsampling and a parabola.

    Args:
        wave: samples, [T].
        sample_rate: samples per second.
        low: lowest pitch to search for, in Hz.
        high: highest pitch to search for, in Hz; below half the sample rate.

    Raises:
        ValueError: if the range is empty or reaches half the sample rate.
    """
    if not 0 < low < high < sample_rate / 2:
        raise ValueError(f"a pitch range of {low} to {high} Hz does not fit a sample rate of {sample_rate} Hz")
    signal = np.asarray(wave, dtype=np.float64)
    length = min(1 << ceil(log2(8 * sample_rate / low)), len(signal))
    longest = ceil(sample_rate / low * 1.05)
    if length < 2 * longest or not np.all(np.isfinite(signal)):
        return nan
    frames = _frames(signal, length, max(length // 4, 1))
    power = np.mean(np.abs(np.fft.rfft(frames * hann(length), n=2 * length)) ** 2, axis=0)
    window = np.abs(np.fft.rfft(hann(length), n=2 * length)) ** 2
    lags = longest * UPSAMPLING
    likeness, ideal = (np.fft.irfft(p, n=2 * length * UPSAMPLING)[: lags + 1] for p in (power, window))
    if likeness[0] <= 1e-10 * ideal[0]:
        return nan
    likeness = likeness / ideal * (ideal[0] / likeness[0])
    peaks = np.flatnonzero((likeness[1:-1] > likeness[:-2]) & (likeness[1:-1] >= likeness[2:])) + 1
    peaks = peaks[likeness[peaks] >= VOICED]
    if len(peaks) == 0:
        return nan
    peak = peaks[likeness[peaks] >= FIRST_PEAK * likeness[peaks].max()][0]
    before, top, after = likeness[peak - 1 : peak + 2]
    period = (peak + 0.5 * (before - after) / (before - 2 * top + after)) / UPSAMPLING
    pitch = float(sample_rate / period)
    return pitch if low <= pitch <= high else nan
