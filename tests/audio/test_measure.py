"""Spectral convergence and pitch."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pggan_framework.audio import estimate_pitch, spectral_convergence


def test_spectral_convergence_by_hand():
    noise = np.random.default_rng(0).normal(size=8192)
    assert spectral_convergence(noise, 3 * noise) < -200
    assert spectral_convergence(noise, 0 * noise) == pytest.approx(0)
    assert spectral_convergence(0 * noise, noise) == 0
    assert spectral_convergence(0 * noise, 0 * noise) == -math.inf
    # Two tones in separate bins, B lacking the second: ||A - B|| / ||A|| is the second's share.
    time = np.arange(65536)
    low, high = (np.cos(2 * np.pi * k * time / 1024) for k in (100, 300))
    assert spectral_convergence(low + 0.1 * high, low) == pytest.approx(20 * np.log10(0.1 / np.sqrt(1.01)), abs=0.1)
    with pytest.raises(ValueError, match="differ"):
        spectral_convergence(noise, noise[1:])


@settings(max_examples=25, deadline=None)
@given(
    st.floats(420, 1550), st.integers(1, 8), st.floats(0.5, 2), st.floats(0.05, 2), st.sampled_from([1024, 4000, 16000])
)
def test_pitch_of_harmonic_stacks(pitch, partials, falloff, decay, samples):
    time = np.arange(samples) / 8000
    random = np.random.default_rng(partials)
    wave = np.zeros(samples)
    for k in range(1, partials + 1):
        if k * pitch < 3700:
            wave += k**-falloff * np.sin(2 * np.pi * k * pitch * time + random.uniform(0, 6))
    found = estimate_pitch(wave * np.exp(-time / decay), 8000, 400, 1600)
    assert found == pytest.approx(pitch, rel=0.01)


def test_a_missing_fundamental_is_heard():
    time = np.arange(16000) / 16000
    wave = sum(np.sin(2 * np.pi * 150 * k * time) for k in (2, 3, 4, 5))
    assert estimate_pitch(wave, 16000, 60, 1000) == pytest.approx(150, rel=0.01)


def test_what_has_no_pitch_gives_nan():
    noise = np.random.default_rng(0).normal(size=16000)
    assert math.isnan(estimate_pitch(np.zeros(16000), 16000, 60, 1000))
    assert math.isnan(estimate_pitch(noise, 16000, 60, 1000))
    assert math.isnan(estimate_pitch(noise[:10], 16000, 60, 1000))
    assert math.isnan(estimate_pitch(np.full(16000, np.nan), 16000, 60, 1000))
    above = np.sin(2 * np.pi * 3000 * np.arange(16000) / 16000)
    assert math.isnan(estimate_pitch(above, 16000, 60, 1000))
    with pytest.raises(ValueError, match="range"):
        estimate_pitch(noise, 16000, 60, 9000)
