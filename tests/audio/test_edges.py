"""What the round trip does at the two ends of a clip and at an attack near its beginning."""

from __future__ import annotations

import numpy as np
import pytest

from pggan_framework.audio import build_codec, codec_from_state
from pggan_framework.audio.base import Codec
from pggan_framework.data.datasets.tones import TonesDataset
from pggan_framework.errors import UserError

GOALS = [(8000, 128, 64, 64), (8000, 128, 32, 128), (16000, 512, 128, 128)]
NAMES = ["abslog", "mellog", "if", "ifmel", "complex", "reallog"]
SMALL = {"n_fft": 64, "hop_length": 16, "frames": 32}


def below_nyquist(wave: np.ndarray) -> np.ndarray:
    """The wave through a causal filter of two zeros at the Nyquist frequency, which codecs leave out; peak 0.8."""
    filtered = np.convolve(wave, [0.25, 0.5, 0.25])[: len(wave)]
    return (0.8 * filtered / np.abs(filtered).max()).astype(np.float32)


def attacks(codec: Codec, seed: int) -> np.ndarray:
    """Three drums and a tone, each 4 ms after the start, in silence: [4, T]."""
    random = np.random.default_rng(seed)
    start = round(0.004 * codec.sample_rate)
    time = np.arange(codec.samples - start) / codec.sample_rate
    noise = random.normal(size=(3, len(time)))
    kick = np.sin(2 * np.pi * (60 * time + 12 * (1 - np.exp(-30 * time)))) * np.exp(-time / 0.1)
    sounds = [
        noise[0] * np.exp(-time / 0.06),
        kick + 0.5 * noise[1] * np.exp(-time / 0.004),
        noise[2] * np.exp(-time / 0.08) + np.sin(2 * np.pi * 190 * time) * np.exp(-time / 0.05),
        np.sin(2 * np.pi * 440 * time + 0.7) * np.exp(-time / 0.2),
    ]
    return np.stack([below_nyquist(np.pad(sound, (start, 0))) for sound in sounds])


def lasting(codec: Codec) -> np.ndarray:
    """White noise, pink noise and a chord, as loud at the ends as in the middle: [3, T]."""
    random = np.random.default_rng(1)
    time = np.arange(codec.samples) / codec.sample_rate
    white, pink = random.normal(size=(2, codec.samples))
    spectrum = np.fft.rfft(pink) / np.sqrt(np.arange(codec.samples // 2 + 1) + 1)
    chord = sum(np.sin(2 * np.pi * hertz * time + phase) for hertz, phase in ((220, 0.3), (554, 1), (880, 2)))
    return np.stack([below_nyquist(wave) for wave in (white, np.fft.irfft(spectrum, codec.samples), chord)])


def decibels(wave: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Level of each wave [N, T] over that of the other."""
    ratios = [np.mean(each.astype(np.float64) ** 2, axis=1) for each in (wave, other)]
    return 10 * np.log10(ratios[0] / ratios[1] + 1e-12)


@pytest.mark.parametrize(("rate", "n_fft", "hop", "frames"), GOALS)
def test_an_attack_stays_sharp_and_the_ends_keep_their_level(rate, n_fft, hop, frames):
    codec = build_codec("abslog", sample_rate=rate, n_fft=n_fft, hop_length=hop, frames=frames)
    drums = [attacks(codec, seed) for seed in range(5)]
    waves = np.concatenate([*drums, lasting(codec)])
    codec.fit(waves)
    heard = codec.decode(np.stack([codec.encode(wave) for wave in waves]))
    short, long = round(0.002 * rate), round(0.004 * rate)
    before, after = heard[:20, long - short : long], heard[:20, long : 2 * long]
    found = decibels(before, after).reshape(5, 4)
    assert np.median(found, axis=0).max() < -20 and np.mean(found < -20) >= 0.8 and found.max() < -9
    # At 50 % overlap of short windows the ends of noise are less certain.
    tolerance = 1.5 if hop < n_fft // 2 else 2.5
    assert np.abs(decibels(heard[20:, -long:], waves[20:, -long:])).max() < tolerance
    assert decibels(heard[20:, :short], waves[20:, :short]).max() < tolerance


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("margin", [0, 1, 3])
def test_a_margin_is_columns_of_silence_that_decoding_cuts_off(name, margin):
    codec = build_codec(name, margin=margin, **SMALL)
    wave = np.random.default_rng(0).normal(size=codec.samples).astype(np.float32)
    assert codec.samples == (32 - 2 * margin) * 16
    array = codec.fit([wave]).encode(wave)
    assert array.shape == codec.shape and codec.shape[2] == 32
    again = codec.decode(array, griffin_lim_iter=4)
    assert again.shape == wave.shape
    if name in ("if", "complex"):  # exact but for the Nyquist frequency
        assert np.linalg.norm(again - wave) < 0.3 * np.linalg.norm(wave)
    other = wave[: codec.samples - 40]  # 2.5 columns fewer
    assert codec.encode(other).shape[2] == 30
    assert codec.decode(codec.encode(other), griffin_lim_iter=1).shape == (codec.samples - 32,)
    assert codec.time_range() == pytest.approx((-margin * 16 / 16000, (32 - margin) * 16 / 16000))


@pytest.mark.parametrize("name", NAMES)
def test_states_from_before_there_were_margins_have_none(name):
    old = build_codec(name, margin=0, **SMALL)
    assert "margin" not in old.parameters and old.samples == 512
    old.statistics = {"peak": 1.0}
    again = codec_from_state(old.state_dict())
    assert again.samples == 512 and again.state_dict() == old.state_dict()
    new = build_codec(name, margin=2, **SMALL)
    assert codec_from_state(new.state_dict()).samples == 28 * 16


def test_default_margins():
    for hop, margin in ((32, 1), (16, 2), (8, 4), (20, 2)):
        assert build_codec("abslog", n_fft=64, hop_length=hop, frames=32).samples == (32 - 2 * margin) * hop
    assert build_codec("mellog", n_fft=64, hop_length=16, frames=4).samples == 2 * 16  # a quarter of the frames at most
    for name in ("if", "ifmel", "complex", "reallog"):
        assert build_codec(name, **SMALL).samples == 512


@pytest.mark.parametrize("margin", [-1, 16])
def test_a_margin_that_leaves_no_samples_is_refused(margin):
    with pytest.raises(UserError, match=f"margin {margin} does not fit 32 frames.*allowed: 0 to 15"):
        build_codec("abslog", margin=margin, **SMALL)
    with pytest.raises(UserError, match="img_mode raw has no margin"):
        TonesDataset(count=2, img_mode="raw", margin=2)
