"""`if` and `ifmel`: steps of phase by hand, exactness, noisy phases."""

from __future__ import annotations

import numpy as np
import pytest
from test_codecs import notes

from pggan_framework.audio import build_codec, spectral_convergence

SPAN = 2 / np.log1p(1e6)


def test_a_tone_moves_its_phase_as_worked_out_by_hand():
    # 1010 Hz over a hop of 64 at 16 kHz: 4.04 periods, 0.08 half turns; bin 16 and its neighbours agree.
    wave = np.cos(2 * np.pi * 1010 * np.arange(8192) / 16000).astype("f")
    codec = build_codec("if", n_fft=256, hop_length=64, frames=128).fit([wave])
    array = codec.encode(wave)
    np.testing.assert_allclose(array[1, 15:18, 10:-10], 0.08, atol=1e-3)
    # The first frame holds the phase itself at its centre, sample 32: 2.02 periods, 0.04 half turns.
    assert array[1, 16, 0] == pytest.approx(0.04, abs=0.1)
    assert array[0].max() == pytest.approx(1, abs=1e-6)
    tenth = codec.encode(0.1 * wave)[0, 16, 60]
    assert array[0, 16, 60] - tenth == pytest.approx(SPAN * np.log(10), abs=1e-4)


@pytest.mark.parametrize(("dtype", "goal"), [(np.float32, -80), (np.float16, -50)])
def test_round_trip_reaches_its_goal(dtype, goal):
    wave = notes()
    wave[:300] += 0.1
    wave[-300:] -= 0.1
    codec = build_codec("if").fit([wave])
    back = codec.decode(codec.encode(wave).astype(dtype).astype("f"))
    assert spectral_convergence(wave, back) <= goal
    # The ends too, sample by sample.
    error = 1e-4 if dtype is np.float32 else 0.01
    assert np.abs(back - wave)[:512].max() < error and np.abs(back - wave)[-512:].max() < error


def test_zero_hertz_is_kept():
    wave = np.full(16384, -0.25, "f")
    codec = build_codec("if", frames=32).fit([wave])
    np.testing.assert_allclose(codec.decode(codec.encode(wave)), wave, atol=1e-3)


def test_griffin_lim_mends_noisy_phases():
    wave = notes()
    codec = build_codec("if").fit([wave])
    array = codec.encode(wave)
    array[1] += np.random.default_rng(0).normal(0, 0.05, array[1].shape)
    plain, mended = (spectral_convergence(wave, codec.decode(array, refine_iter=steps)) for steps in (0, 16))
    assert mended < plain - 8


def test_a_start_of_its_own_ignores_the_phases():
    wave = notes()[8192:24576]
    codec = build_codec("if", frames=32).fit([wave])
    array = codec.encode(wave)
    other = array.copy()
    other[1] = 0.5
    for start in ("random", "pghi"):
        one, two = (codec.decode(a, griffin_lim_iter=2, phase_start=start) for a in (array, other))
        assert one.tobytes() == two.tobytes()


def test_ifmel_serves_single_notes():
    time = np.arange(65536) / 16000
    wave = sum(np.exp(-k * time) * np.sin(2 * np.pi * 262 * k * time) / k for k in range(1, 9)).astype("f")
    codec = build_codec("ifmel").fit([wave])
    array = codec.encode(wave)
    assert spectral_convergence(wave, codec.decode(array)) < -15
    assert spectral_convergence(wave, codec.decode(array, refine_iter=16)) < -25
    assert spectral_convergence(wave, codec.decode(array, griffin_lim_iter=32, phase_start="random")) < -15
