"""Constant offsets of recordings: removed, without a loss of low notes."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile

from pggan_framework.audio.offset import find_offset
from pggan_framework.data.datasets.sound import SoundImageDataset

RATE = 8000
SIZES = {"frequency": RATE, "n_fft": 128, "hop_length": 32, "frames": 128, "too_short": "pad", "jobs": 1}
TIME = np.arange(2000) / RATE  # 0.25 s
SOUNDS = {
    "silence": 0 * TIME,
    "a tone": 0.5 * np.sin(2 * np.pi * 440 * TIME),
    "a bass drum": 0.8 * np.sin(2 * np.pi * 40 * TIME) * np.exp(-TIME / 0.15),
    "a low note": 0.8 * np.sin(2 * np.pi * 40 * TIME + 0.4),
    "pulses": np.where((TIME * 110) % 1 < 0.1, 0.72, -0.08),
    "noise": 0.05 * np.random.default_rng(0).normal(size=2000),
}


@pytest.mark.parametrize("name", SOUNDS)
def test_an_offset_is_found_and_a_low_note_is_none(name):
    wave = SOUNDS[name].astype(np.float32)
    assert find_offset(wave, RATE).tolist() == [0]
    found = float(find_offset(wave + np.float32(0.1), RATE)[0])
    assert found == pytest.approx(0.1, abs=0.0015)
    rest = (wave + np.float32(0.1 - found)).astype(np.float64)
    before, after = (np.abs(np.fft.rfft(each * np.hanning(2000)))[10] for each in (wave, rest))  # 40 Hz
    if "low" in name or "bass" in name:
        assert 20 * np.log10(after / before) == pytest.approx(0, abs=0.5)


def test_channels_have_offsets_of_their_own_and_tiny_waves_none():
    wave = np.stack([SOUNDS["a tone"], SOUNDS["a tone"] + 0.05]).astype(np.float32)
    np.testing.assert_allclose(find_offset(wave, RATE), [[0], [0.05]], atol=1e-4)
    assert find_offset(np.ones(1, np.float32), RATE).tolist() == [0]


def write(folder, offset):
    tone = 0.3 * np.sin(2 * np.pi * 440 * np.arange(10000) / RATE)
    soundfile.write(folder / "long.wav", tone + offset, RATE, subtype="FLOAT")
    soundfile.write(folder / "short.wav", tone[:2000] + offset, RATE, subtype="FLOAT")


def test_recordings_lose_their_offset_and_padding_stays_silent(tmp_path):
    write(tmp_path, 0.1)
    data = SoundImageDataset(tmp_path, too_long="slices", prepared_dir=tmp_path / "kept", **SIZES)
    waves = [data.wave(index) for index in range(len(data))]
    assert len(waves) == 3 and data.summary()["offset"].endswith("removed from 2: long.wav, short.wav")
    for wave in waves:
        assert abs(float(wave[:2000].astype(np.float64).mean())) < 1e-3  # -60 dB of full scale
    assert not waves[2][2000:].any() and waves[2][:2000].any()
    again = SoundImageDataset(tmp_path, too_long="slices", prepared_dir=tmp_path / "kept", **{**SIZES, "jobs": 2})
    assert [again.wave(index).tobytes() for index in range(3)] == [wave.tobytes() for wave in waves]
    assert again.image(0).tobytes() == data.image(0).tobytes()


def test_it_can_be_kept_and_is_only_mentioned_where_it_matters(tmp_path):
    write(tmp_path, 0.1)
    kept = SoundImageDataset(tmp_path, remove_offset=False, prepared_dir=None, **SIZES)
    assert kept.wave(0)[:2000].mean() == pytest.approx(0.1, abs=1e-3) and "offset" not in kept.summary()
    removed = SoundImageDataset(tmp_path, prepared_dir=None, **SIZES)
    assert removed.fingerprint() != kept.fingerprint()
    write(tmp_path, 0.001)
    quiet = SoundImageDataset(tmp_path, prepared_dir=None, **SIZES)
    assert abs(float(quiet.wave(0).mean())) < 3e-4 and "offset" not in quiet.summary()
