"""Clips whose recordings begin in silence begin in silence; all others stay unchanged."""

from __future__ import annotations

import numpy as np
import pytest

from pggan_framework.audio import build_codec, codec_from_state
from pggan_framework.audio.finish import finished
from pggan_framework.audio.onset import quiet_start, start_level, usual_start

RATE = 8000
TONE = 0.5 * np.sin(2 * np.pi * 500 * np.arange(RATE) / RATE).astype(np.float32)


def paused(milliseconds: int, level: float) -> np.ndarray:
    """A second of a tone; before its onset, a square wave of amplitude `level`."""
    wave = TONE.copy()
    pause = milliseconds * RATE // 1000
    wave[:pause] = level * (-1.0) ** np.arange(pause)
    return wave


@pytest.mark.parametrize("level", [0.03, 0.001, 1e-5])
def test_the_level_of_a_quiet_start(level):
    wave = paused(100, level)
    # The tone has a mean square of 1/8 over 0.9 s.
    expected = 10 * np.log10(level**2 / (0.9 / 8 + 0.1 * level**2))
    assert start_level(wave, RATE) == pytest.approx(expected, abs=1e-3)
    assert start_level(np.stack([wave, wave]), RATE) == pytest.approx(expected, abs=1e-3)


def test_starts_that_are_not_quiet_have_no_level():
    assert start_level(TONE, RATE) is None and start_level(0 * TONE, RATE) is None
    assert start_level(paused(1, 0), RATE) is None and start_level(TONE[:3], RATE) is None
    assert start_level(paused(3, 0), RATE) == -120


@pytest.mark.parametrize(
    ("levels", "clips", "usual"), [([-90, -60, -50], 12, -60), ([-90, -60], 9, None), ([], 4, None), ([], 0, None)]
)
def test_recordings_that_often_start_quietly_have_a_usual_level(levels, clips, usual):
    assert usual_start(levels, clips) == usual


@pytest.mark.parametrize("channels", [1, 2])
def test_a_quiet_start_gets_the_usual_level_and_the_sound_stays(channels):
    wave = np.stack([paused(50, 0.02)] * channels)
    done = quiet_start(wave[None], RATE, -100.0)[0]
    pause = 50 * RATE // 1000
    np.testing.assert_array_equal(done[:, pause:], wave[:, pause:])
    assert start_level(done, RATE) == pytest.approx(-100, abs=0.1)
    # In the middle between 2 ms and 50 ms half of the gain, in dB, is left.
    middle = 26 * RATE // 1000
    gain = 20 * np.log10(abs(done[0, middle] / wave[0, middle]))
    assert gain == pytest.approx((-100 - start_level(wave, RATE)) / 2, abs=0.1)
    assert np.all(np.diff(abs(done[0, :pause])) >= 0)


def test_what_is_quiet_enough_or_starts_loudly_is_unchanged():
    waves = np.stack([paused(50, 1e-4), TONE, 0 * TONE])
    np.testing.assert_array_equal(quiet_start(waves, RATE, -70.0), waves)
    np.testing.assert_array_equal(finished(waves, RATE, fade=False, start_db=-100.0), waves)


def test_a_codec_knows_how_its_recordings_start_and_carries_it():
    codec = build_codec("abslog", sample_rate=RATE, n_fft=64, hop_length=32, frames=32)
    waves = [paused(20, level)[: codec.samples] for level in (0, 1e-4, 1e-3)]
    codec.fit([*waves, TONE[: codec.samples]])
    assert codec.start_db == pytest.approx(start_level(waves[1], RATE))
    assert codec_from_state(codec.state_dict()).start_db == codec.start_db
    assert "start_db" not in codec.encoding()
    codec.fit([TONE[: codec.samples]])
    assert codec.start_db is None and codec.state_dict() == codec.encoding()
    assert codec_from_state(codec.state_dict()).start_db is None  # as in older checkpoints


def test_a_generated_clip_begins_as_the_recordings_do():
    loud, silent = (finished(paused(20, 0.02)[None], RATE, start_db=start)[0] for start in (None, -110.0))
    assert start_level(loud, RATE) > -40 and start_level(silent, RATE) < -105
