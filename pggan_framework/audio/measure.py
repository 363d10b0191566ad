"""Measures of sound: how well magnitudes were kept, and which pitch a sound has."""

from __future__ import annotations

from math import ceil, inf, log2, log10, nan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pggan_framework.audio.stft import hann

VOICED = 0.5
"""Normalised autocorrelation from which a sound has a pitch."""
FIRST_PEAK = 0.9
"""The first peak this near to the highest one is the period; later ones are its multiples (McLeod and Wyvill 2005)."""
UPSAMPLING = 16


def spectral_convergence(
    reference: NDArray[Any], estimate: NDArray[Any], n_fft: int = 1024, hop_length: int = 256
) -> float:
    """20 log10(‖A - g B‖ / ‖A‖) in dB, for the short-time magnitudes A of `reference` and B of `estimate`.

    Both are [..., T]. g is the gain that makes it least, so that level does not count; lower is better, -inf is
    perfect. It is 0 dB if only one of the two is silent and -inf if both are. Frames are centred on multiples of the
    hop.

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
    """The fundamental frequency of a sound [T] in Hz, or nan if it is silent, has no pitch or one outside the range.

    The window's own autocorrelation is divided out of the sound's (Boersma 1993), mean power over frames of about
    eight periods of `low`; the first lag whose peak is near the highest is the period, found between samples by
    upsampling and a parabola.

    Args:
        wave: [T] samples.
        sample_rate: samples a second.
        low: lowest pitch to look for, Hz.
        high: highest pitch, Hz; below half the sample rate.

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
