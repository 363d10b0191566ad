"""Sounds varied from epoch to epoch: as waves, so that each image is what the codec makes of a sound."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile

from pggan_framework.audio.variation import Variation, equalizer
from pggan_framework.data.datasets.sound import SoundImageDataset
from pggan_framework.data.loader import BatchLoader
from pggan_framework.errors import UserError

RATE = 8000
SMALL = {"n_fft": 256, "hop_length": 128, "margin": 0, "frames": 32, "frequency": RATE, "jobs": 1}  # 4096 samples
SMALL |= {"prepared_dir": None, "remove_offset": False}
NOISE = np.random.default_rng(1).uniform(-0.5, 0.5, 40000).astype(np.float32)
TONE = (0.5 * np.sin(2 * np.pi * 500 * np.arange(40000) / RATE)).astype(np.float32)


@pytest.fixture
def folder(tmp_path):
    for name, sound in {"noise": NOISE, "tone": TONE}.items():
        soundfile.write(tmp_path / f"{name}.wav", sound, RATE, subtype="FLOAT")
    return tmp_path


def place(wave: np.ndarray) -> int:
    (start,) = [s for s in np.flatnonzero(NOISE == wave[0]) if np.array_equal(NOISE[s : s + len(wave)], wave)]
    return int(start)


def test_each_epoch_has_another_stretch_and_the_same_one_again(folder):
    data = SoundImageDataset(folder, too_long="random", new_each_epoch=True, **SMALL)
    places = [place(data.varied(0, epoch)) for epoch in range(12)]
    assert len(set(places)) == 12 and max(places) - min(places) > 10000
    assert [place(data.varied(0, epoch)) for epoch in range(12)] == places
    assert data.summary()["variation"] == "in each epoch: another stretch of each file; encoded at each access"
    batch = data.images_at([0, 1, 0], 3, [0, 0, 1])
    depth = data.growth.max_depth
    assert batch.tobytes() == data.images_at([0, 1, 0], 3, [0, 0, 1]).tobytes() != data.images([0, 1, 0], 3).tobytes()
    np.testing.assert_array_equal(data.images_at([0], depth, [5])[0], data.encode(data.varied(0, 5)))


def test_batches_depend_on_nothing_but_their_place(folder):
    data = SoundImageDataset(folder, too_long="random", new_each_epoch=True, vary_level_db=12, **SMALL)
    with BatchLoader(data, 0) as one, BatchLoader(data, 0) as other:
        found = [one.batch(nimg, 2, 3).numpy() for nimg in range(0, 12, 3)]
        late = other.batch(9, 2, 3).numpy()
    assert found[3].tobytes() == late.tobytes()
    images = np.concatenate(found).reshape(12, -1)
    assert len(np.unique(images, axis=0)) == 12  # two sounds, six epochs


def test_pitch_and_level_change_within_their_limits(folder):
    data = SoundImageDataset(folder, vary_pitch=2, vary_level_db=6, **SMALL)
    cents, decibels = [], []
    for epoch in range(24):
        wave = data.varied(1, epoch)
        spectrum = np.abs(np.fft.rfft(wave * np.hanning(len(wave)), 1 << 17))
        cents.append(1200 * np.log2(spectrum.argmax() * RATE / (1 << 17) / 500))
        decibels.append(20 * np.log10(np.abs(wave[100:-100]).max() / 0.5))
    assert -203 < min(cents) < -100 and 100 < max(cents) < 203
    assert -6.1 < min(decibels) < -3 and -2 < max(decibels) < 0.1
    assert data.codec.statistics == SoundImageDataset(folder, **SMALL).codec.statistics


def test_the_beginning_moves_and_what_is_before_the_file_is_silence(folder):
    data = SoundImageDataset(folder, vary_start=0.1, **SMALL)
    moved = []
    for epoch in range(20):
        wave = data.varied(0, epoch)
        silent = int(np.flatnonzero(wave)[0])
        start = place(wave[silent:])
        assert silent == 0 or start == 0
        moved.append(start - silent)
    assert min(moved) < -200 and max(moved) > 200 and all(abs(by) <= 800 for by in moved)


def test_an_equaliser_is_its_curve_and_turns_nothing_up(folder):
    curve = equalizer(np.array([0.0, -6.0, -12.0]), 1024, RATE)
    hertz = np.fft.rfftfreq(1024, 1 / RATE)
    middle = np.sqrt(50 * RATE / 2)  # of the octaves from 50 Hz to Nyquist
    assert 20 * np.log10(curve[[0, np.abs(hertz - middle).argmin(), -1]]) == pytest.approx([0, -6, -12], abs=0.1)
    wave = Variation(eq_db=20).coloured(np.random.default_rng(0), NOISE[:4096], RATE)
    ratio = np.abs(np.fft.rfft(wave)) / np.abs(np.fft.rfft(NOISE[:4096]))
    assert np.median(ratio) < 1 and wave.shape == (4096,) and wave.dtype == np.float32
    assert np.sum(wave**2) <= np.sum(NOISE[:4096] ** 2)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"new_each_epoch": True}, "new_each_epoch has no effect with too_long first; allowed: too_long random"),
        ({"vary_pitch": 13}, "vary_pitch 13 is not allowed; allowed: 0 to 12"),
        ({"vary_level_db": -1}, "vary_level_db -1 is not allowed; allowed: 0 to 60"),
        ({"vary_eq_db": float("nan")}, "vary_eq_db nan is not allowed"),
    ],
)
def test_limits(folder, flags, said):
    with pytest.raises(UserError, match=said):
        SoundImageDataset(folder, **SMALL, **flags)
