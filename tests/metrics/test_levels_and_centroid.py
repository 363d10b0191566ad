"""Levels, silence and centroid of sines, and distances of distributions."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pggan_framework.metrics.base import Clips
from pggan_framework.metrics.centroid import Centroid, centroid_hz
from pggan_framework.metrics.distribution import describe, wasserstein
from pggan_framework.metrics.levels import Loudness, Silence, level_db
from pggan_framework.metrics.mel_features import FLOOR_DB, log_mel, pooled, power, statistics, window_length

RATE = 16000
TIME = np.arange(16000) / RATE


def sines(hertz: list[float], level: float = 1.0) -> Clips:
    return Clips((level * np.sin(2 * np.pi * np.outer(hertz, TIME))).astype(np.float32), RATE)


def at_levels(*decibels: float) -> Clips:
    """A full-scale sine is -3.01 dB; these have the levels given."""
    gains = 10 ** ((np.array(decibels) + 20 * np.log10(np.sqrt(2))) / 20)
    return Clips((gains[:, None] * np.sin(2 * np.pi * 500 * TIME)).astype(np.float32), RATE)


def test_level_of_a_sine_of_stereo_and_of_silence() -> None:
    assert level_db(sines([500.0]))[0, 0] == pytest.approx(-3.0103, abs=1e-3)
    one_side = np.zeros((1, 2, RATE), np.float32)
    one_side[0, 1] = sines([500.0]).waves[0]
    assert level_db(Clips(one_side, RATE))[0, 0] == pytest.approx(-6.0206, abs=1e-3)
    assert level_db(Clips(np.zeros((1, RATE), np.float32), RATE))[0, 0] == -120


def test_silence_is_40_db_under_the_reals_median_or_under_minus_90() -> None:
    reals = at_levels(-20, -30, -40)
    assert Silence()(reals, at_levels(-69, -71, -100, -20))["silence"] == 0.5
    faint = at_levels(-75, -75)
    assert Silence()(faint, at_levels(-89, -91))["silence"] == 0.5


def test_loudness_quantiles_and_distance() -> None:
    reals, fakes = at_levels(-40, -30, -20), at_levels(-43, -33, -23)
    found = Loudness()(reals, fakes)
    assert found["loudness.p50"] == pytest.approx(-33, abs=0.01)
    assert found["loudness.p5"] == pytest.approx(-42, abs=0.01)
    assert found["loudness.p95"] == pytest.approx(-24, abs=0.01)
    assert found["loudness.distance"] == pytest.approx(3, abs=0.01)
    assert Loudness()(reals, reals)["loudness.distance"] == 0


def test_centroid_of_sines_and_of_silence() -> None:
    assert centroid_hz(sines([500.0, 3000.0]))[:, 0] == pytest.approx([500, 3000], rel=0.005)
    both = Clips(sines([1000.0]).waves + sines([3000.0]).waves, RATE)
    assert centroid_hz(both)[0, 0] == pytest.approx(2000, rel=0.005)
    quiet = Clips(np.zeros((2, RATE), np.float32), RATE)
    assert np.isnan(centroid_hz(quiet)).all()
    found = Centroid()(sines([500.0, 700.0]), sines([600.0, 800.0]))
    assert found["centroid.distance"] == pytest.approx(100, rel=0.02)
    assert found["centroid.p50"] == pytest.approx(700, rel=0.01)
    assert all(np.isnan(value) for value in Centroid()(sines([500.0, 700.0]), quiet).values())


NUMBERS = st.integers(1, 30).flatmap(lambda n: arrays(np.float64, n, elements=st.floats(-100, 100)))


@given(NUMBERS, NUMBERS)
def test_wasserstein_agrees_with_scipy(first: np.ndarray, second: np.ndarray) -> None:  # type: ignore[type-arg]
    assert wasserstein(first, second) == pytest.approx(scipy.stats.wasserstein_distance(first, second), abs=1e-9)


def test_what_is_not_a_number_counts_for_nothing() -> None:
    found = describe("x", np.array([1.0, np.nan]), np.array([np.nan, 3.0]))
    assert found == {"x.p5": 3, "x.p50": 3, "x.p95": 3, "x.distance": 2}


def test_a_full_scale_sine_has_power_1_and_silence_the_floor() -> None:
    # 1000 Hz is in the middle of bin 64 of 512 at 16 kHz.
    spectrum = power(sines([1000.0]))
    assert spectrum.shape == (1, 513, 63)
    assert spectrum[0, 64, 20:40] == pytest.approx(1, rel=1e-3)
    assert (log_mel(Clips(np.zeros((1, RATE), np.float32), RATE)) == FLOOR_DB).all()
    assert [window_length(rate) for rate in (8000, 16000, 44100, 48000)] == [512, 1024, 2048, 2048]


def test_statistics_of_a_steady_and_of_a_pulsing_tone() -> None:
    steady, pulsing = sines([1000.0]).waves[0], sines([1000.0]).waves[0] * (TIME % 0.25 < 0.125)
    found = statistics(Clips(np.stack([steady, pulsing]).astype(np.float32), RATE)).reshape(2, 3, 64)
    band = int(found[0, 0].argmax())
    assert found[0, 1, band] < 2 < 20 < found[1, 1, band]
    assert found[0, 2, band] < 1 < 3 < found[1, 2, band]
    assert pooled(sines([1000.0])).shape == (1, 64 * 32)


def test_clips_that_make_no_sense_are_refused() -> None:
    for waves in (np.zeros(5, np.float32), np.zeros((2, 0), np.float32), np.full((1, 5), np.nan, np.float32)):
        with pytest.raises(ValueError, match="waves"):
            Clips(waves, RATE)
    with pytest.raises(ValueError, match="3 midi do not fit 2 waves"):
        Clips(np.zeros((2, 5), np.float32), RATE, midi=np.zeros(3))
