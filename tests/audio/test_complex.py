"""`complex`: values by hand, exactness."""

from __future__ import annotations

import numpy as np
import pytest
from test_codecs import notes

from pggan_framework.audio import build_codec


@pytest.mark.parametrize(("dtype", "goal"), [(np.float32, 80), (np.float16, 65)])
def test_round_trip_reaches_its_goal(dtype, goal):
    wave = notes()
    codec = build_codec("complex").fit([wave])
    back = codec.decode(codec.encode(wave).astype(dtype).astype("f")).astype(np.float64)
    aim = (back @ wave) / (wave.astype(np.float64) @ wave) * wave
    assert 10 * np.log10(np.sum(aim**2) / np.sum((back - aim) ** 2)) >= goal


def test_parts_are_those_at_the_frames_centre():
    # Frame 100 is centred on sample 100.5 * 16: a cosine from there is real, n_fft / 4 high, in bin 8 and its mirror.
    time = np.arange(256 * 16) - 100.5 * 16
    wave = np.cos(2 * np.pi * 8 * time / 64).astype("f")
    codec = build_codec("complex", n_fft=64, hop_length=16, frames=256).fit([wave])
    assert codec.statistics["peak"] == pytest.approx(16, rel=0.01)
    array = codec.encode(wave)
    assert array[0, 8, 100] == pytest.approx(1, abs=0.01) and abs(array[1, 8, 100]) < 0.01
    # Neighbours of the main lobe have the same sign and half the height.
    half = np.log1p(500) / np.log1p(1000)
    np.testing.assert_allclose(array[0, [7, 9], 100], half, atol=0.01)
    np.testing.assert_allclose(codec.encode(-wave), -array, atol=1e-6)
