"""Levels of a file, found block by block."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import soundfile

from pggan_framework.audio.levels import measure_levels
from pggan_framework.audio.reading import read_header


def write(path, sound, rate=8000):
    soundfile.write(path, sound, rate, subtype="FLOAT")
    return read_header(path)


@pytest.mark.parametrize("frames", [1, 159, 160, 161, 80000, 123457])
def test_peak_and_rms_are_numpys(tmp_path, frames):
    sound = np.random.default_rng(frames).normal(0, 0.1, (frames, 2)).astype(np.float32)
    levels = measure_levels(write(tmp_path / "a.wav", sound), "both")
    assert levels.samples(levels.everything) == (0, frames)
    assert levels.peak_db(levels.everything) == pytest.approx(20 * np.log10(np.abs(sound).max()), abs=1e-5)
    power = np.mean(sound.astype(np.float64) ** 2)
    assert levels.rms_db(levels.everything) == pytest.approx(10 * np.log10(power), abs=1e-4)


def test_what_sounds_lies_between_the_first_and_the_last_loud_moment(tmp_path):
    sound = np.full(8000, 1e-4, dtype=np.float32)  # -80 dB; the peak is -6 dB
    sound[1610], sound[4000], sound[6399] = 0.5, 0.001, -0.004  # moments 10, 25, 39; the last at -42 dB of the peak
    levels = measure_levels(write(tmp_path / "a.wav", sound), "mix")
    assert levels.samples(levels.sounding(60)) == (1600, 6400)
    assert levels.samples(levels.sounding(30)) == (1600, 1760)
    assert levels.samples(levels.sounding(80)) == (0, 8000)


def test_a_silent_file_sounds_everywhere_at_no_level(tmp_path):
    levels = measure_levels(write(tmp_path / "a.wav", np.zeros(1000)), "mix")
    assert levels.sounding(60) == levels.everything
    assert levels.peak_db(levels.everything) is None and levels.rms_db(levels.everything) is None


def test_memory_is_that_of_a_block_however_long_the_file(tmp_path):
    header = write(tmp_path / "a.wav", np.full((8000 * 120, 2), 0.1, dtype=np.float32))  # 7.7 MB of samples
    tracemalloc.start()
    levels = measure_levels(header, "both")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(levels.peaks) == 120 * 50
    assert peak < 4e6
