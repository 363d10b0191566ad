"""Clips as they are written: no clipping, no clicks."""

from __future__ import annotations

import numpy as np
import pytest

from pggan_framework.audio.finish import CEILING, finished


def test_a_clip_that_is_too_loud_is_scaled_as_a_whole():
    loud = np.random.default_rng(0).uniform(-1, 1, (2, 2, 400)).astype(np.float32) * np.float32([[[4.0]], [[0.5]]])
    done = finished(loud, 16000, fade=False)
    assert np.abs(done[0]).max() == pytest.approx(CEILING)
    np.testing.assert_allclose(done[0], loud[0] * (CEILING / np.abs(loud[0]).max()), rtol=1e-5)
    np.testing.assert_array_equal(done[1], loud[1])
    assert np.abs(loud[0]).max() > 3  # the input is unchanged


@pytest.mark.parametrize("rate", [8000, 44100])
def test_only_the_ends_are_faded(rate):
    done = finished(np.full((1, rate // 10), 0.5, np.float32), rate)[0]
    first, last = round(0.0005 * rate), round(0.0015 * rate)
    assert np.all(done[first:-last] == np.float32(0.5)) and done[0] < 0.03 and done[-1] < 0.003
    assert np.all(np.diff(done[:first]) > 0) and np.all(np.diff(done[-last:]) < 0)


def test_short_and_silent_clips():
    assert not finished(np.zeros((1, 3), np.float32), 16000).any()
    short = finished(np.ones((1, 8), np.float32), 16000)[0]
    assert np.all(short[2:6] == np.float32(CEILING)) and short[-1] < 0.2
