"""Decoding mel bands: the bands of the wave itself are compared with those that were requested."""

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
    # Partials that start at once are the hardest case.
    for wave, found, limit in zip(waves, decoded, (2.3, 1.6, 0.9, 0.9), strict=True):
        wanted, reached = (bands(each, waves.shape[1] // HOP) for each in (wave, found))
        loud = wanted > wanted.max() * 10 ** (-40 / 20)
        off = 20 * np.log10(reached[loud] / wanted[loud])
        assert np.sqrt(np.mean(off**2)) < limit
        assert abs(np.mean(off)) < 0.3


@pytest.mark.parametrize("steps", [0, 1, 32])
def test_silence_stays_silent_and_nothing_is_infinite(steps):
    codec = build_codec("mellog", sample_rate=RATE, n_fft=N_FFT, hop_length=HOP, frames=32, mels=32).fit(hits())
    silent = np.full((1, 1, 32, 32), -1.0, np.float32)
    assert np.all(codec.decode(silent, griffin_lim_iter=steps) == 0)
    noise = np.random.default_rng(1).uniform(-1, 1, (2, 1, 32, 32)).astype(np.float32)
    assert np.all(np.isfinite(codec.decode(noise, griffin_lim_iter=steps)))


@pytest.mark.parametrize("pitch", [110, 220, 440, 660])
def test_a_steady_sound_does_not_flutter(pitch):
    """A decay of 17 dB a second changes by 0.14 dB in 8 ms; beating partials add to that in the recording itself."""
    codec = build_codec("mellog", sample_rate=RATE, n_fft=N_FFT, hop_length=HOP, frames=64, mels=64)
    time = np.arange(codec.samples) / RATE
    wave = sum(np.sin(2 * np.pi * pitch * k * time + k * k) / k for k in range(1, 9)) * 0.1 * np.exp(-2 * time)
    codec.fit([wave.astype(np.float32)])
    decoded = codec.decode(codec.encode(wave.astype(np.float32)))
    assert steps_db(decoded) < steps_db(wave) + 0.25  # 0.3 to 0.55 dB more without frames between the columns


def steps_db(wave: np.ndarray) -> float:
    """Mean absolute change of a mel band's level in 8 ms, dB, away from the ends."""
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(N_FFT) / N_FFT)
    starts = range(4 * N_FFT, len(wave) - 5 * N_FFT, HOP // 2)
    spectra = np.stack([np.abs(np.fft.rfft(wave[at : at + N_FFT] * window))[:-1] for at in starts], axis=1)
    levels = 20 * np.log10(np.maximum(mel_matrix(RATE, N_FFT, 64) @ spectra, 1e-3))
    return float(np.abs(np.diff(levels, axis=1)).mean())
