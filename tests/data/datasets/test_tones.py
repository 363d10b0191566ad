"""TonesDataset: the tones are what they say."""

from __future__ import annotations

import numpy as np
import pytest

from pggan_framework.audio import estimate_pitch
from pggan_framework.data.datasets.tones import TonesDataset
from pggan_framework.errors import UserError


@pytest.fixture(scope="module")
def tones() -> TonesDataset:
    return TonesDataset(count=120)


def test_defaults(tones):
    assert tones.shape == (1, 32, 32) and len(tones) == 120 and tones.codec.samples == 30 * 32
    picture = tones.image(0)
    assert picture.dtype == np.float16 and picture.shape == (1, 32, 32)
    assert "pitches" in tones.summary()


def test_each_tone_has_its_pitch_and_keeps_it_through_the_codec(tones):
    assert tones.pitch_hz.min() >= 400 and tones.pitch_hz.max() <= 1600
    assert np.median(tones.pitch_hz) == pytest.approx(800, rel=0.2)  # even over octaves
    heard = [estimate_pitch(tones.wave(i), 8000, 350, 1800) for i in range(120)]
    np.testing.assert_allclose(heard, tones.pitch_hz, rtol=0.01)
    decoded = tones.codec.decode(tones.images(range(120), 3).astype(np.float32))
    again = [estimate_pitch(wave, 8000, 350, 1800) for wave in decoded]
    np.testing.assert_allclose(again, tones.pitch_hz, rtol=0.02)


def test_levels_differ_and_are_kept(tones):
    levels = np.array([np.abs(tones.wave(i)).max() for i in range(120)])
    assert 20 * np.log10(levels.max() / levels.min()) == pytest.approx(17, abs=2)
    assert levels.max() <= 0.8 + 1e-6
    quiet, loud = int(levels.argmin()), int(levels.argmax())
    decoded = tones.codec.decode(tones.images([quiet, loud], 3).astype(np.float32))
    power = 10 * np.log10((decoded.astype(float) ** 2).sum(1))
    wanted = [10 * np.log10((tones.wave(i).astype(float) ** 2).sum()) for i in (quiet, loud)]
    np.testing.assert_allclose(power, wanted, atol=1)


def test_tones_depend_on_seed_and_index_alone(tones):
    few = TonesDataset(count=3, preload=False)
    assert all(few.wave(i).tobytes() == tones.wave(i).tobytes() for i in range(3))
    other = TonesDataset(count=3, seed=1)
    assert other.wave(0).tobytes() != few.wave(0).tobytes()
    assert len({few.fingerprint(), other.fingerprint(), tones.fingerprint()}) == 3
    assert few.fingerprint() == TonesDataset(count=3).fingerprint()
    kept = TonesDataset(count=3, preload=True)
    for depth in range(4):
        assert kept.images(range(3), depth).tobytes() == few.images(range(3), depth).tobytes()


def test_raw_and_longer_tones():
    data = TonesDataset(count=2, img_mode="raw", n_fft=128, hop_length=32, frames=128)
    assert data.shape == (1, 64, 64) and data.wave(1).shape == (4096,)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"count": 0}, "count 0"),
        ({"partials": 0}, "partials 0"),
        ({"seed": -1}, "seed -1"),
        ({"high_hz": 4000}, "high_hz 4000"),
        ({"low_hz": 1700}, "low_hz 1700"),
        ({"n_fft": 60}, "n_fft 60"),
    ],
)
def test_mistakes_are_named(flags, said):
    with pytest.raises(UserError, match=said):
        TonesDataset(**{"count": 2, **flags})
