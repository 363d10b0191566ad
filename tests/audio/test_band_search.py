"""Decoding mel bands: the bands of the wave itself are compared with those that were asked for."""

from __future__ import annotations

import numpy as np
import pytest

from pggan_framework.audio import build_codec
from pggan_framework.audio.mel import mel_matrix

RATE, N_FFT, HOP = 16000, 512, 256


def hits() -> np.ndarray:
    """Four decaying sounds, [4, T]: two of noise, two of three partials."""
    codec = build_codec("mellog", sample_rate=RATE, n_fft=N_FFT, hop_length=HOP, frames=32, mels=32)
    random = np.random.default_rng(0)
    time = np.arange(codec.samples) / RATE
    partials = [sum(np.sin(2 * np.pi * f * k * time) / k for k in (1, 2, 3)) for f in (220, 610)]
    noises = [random.standard_normal(len(time)) for _ in range(2)]
    return np.stack([0.2 * np.exp(-time * 8) * part for part in (*partials, *noises)]).astype(np.float32)


def bands(wave: np.ndarray, frames: int) -> np.ndarray:
    """Mel bands [bands, frames], by a transform written out here: frame i is centred on sample (i + 1/2) * hop."""
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(N_FFT) / N_FFT)
    padded = np.pad(wave.astype(np.float64), ((N_FFT - HOP) // 2, N_FFT))
    spectra = [np.abs(np.fft.rfft(padded[i * HOP : i * HOP + N_FFT] * window))[:-1] for i in range(frames)]
    return mel_matrix(RATE, N_FFT, 32) @ np.stack(spectra, axis=1)


def test_the_bands_of_the_wave_are_those_of_the_image():
    waves = hits()
    codec = build_codec("mellog", sample_rate=RATE, n_fft=N_FFT, hop_length=HOP, frames=32, mels=32).fit(waves)
    decoded = codec.decode(np.stack([codec.encode(wave) for wave in waves]))
    assert decoded.shape == waves.shape
    # Partials that start at once are the hardest case; magnitudes guessed from the bands once end at 2.15 and 2.5 dB.
    for wave, found, limit in zip(waves, decoded, (2.1, 1.7, 0.2, 0.2), strict=True):
        wanted, reached = (bands(each, waves.shape[1] // HOP) for each in (wave, found))
        loud = wanted > wanted.max() * 10 ** (-40 / 20)
        off = 20 * np.log10(reached[loud] / wanted[loud])
        assert np.sqrt(np.mean(off**2)) < limit
        assert abs(np.mean(off)) < 0.6


@pytest.mark.parametrize("steps", [0, 1, 32])
def test_silence_stays_silent_and_nothing_is_infinite(steps):
    codec = build_codec("mellog", sample_rate=RATE, n_fft=N_FFT, hop_length=HOP, frames=32, mels=32).fit(hits())
    silent = np.full((1, 1, 32, 32), -1.0, np.float32)
    assert np.all(codec.decode(silent, griffin_lim_iter=steps) == 0)
    noise = np.random.default_rng(1).uniform(-1, 1, (2, 1, 32, 32)).astype(np.float32)
    assert np.all(np.isfinite(codec.decode(noise, griffin_lim_iter=steps)))
