"""Axes: round numbers where they belong."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pggan_framework.audio import build_codec
from pggan_framework.postprocessors.axes import frequency_ticks, nice_step, time_ticks


@pytest.mark.parametrize(
    ("span", "count", "step"), [(8000, 8, 1000), (8000, 7.9, 2000), (4.096, 10, 0.5), (4.096, 1, 5), (0.128, 4, 0.05)]
)
def test_steps_are_one_two_or_five(span, count, step):
    assert nice_step(span, count) == pytest.approx(step)


@given(span=st.floats(1e-3, 1e6), count=st.floats(0.05, 200))
def test_a_step_fits_and_the_next_smaller_does_not(span, count):
    step = nice_step(span, count)
    assert span / step <= count * (1 + 1e-6)
    assert span / (step / 2.5) > count * (1 - 1e-6)


def test_times_are_counted_from_the_left_edge():
    ticks = time_ticks(4.096, 4.5)
    assert [value for value, _ in ticks] == [0, 1, 2, 3, 4]
    assert [place for _, place in ticks] == pytest.approx([0, 1 / 4.096, 2 / 4.096, 3 / 4.096, 4 / 4.096])
    assert [value for value, _ in time_ticks(4.0, 4)] == [0, 1, 2, 3, 4]
    assert time_ticks(5.0, 5, before=0.5) == [(index, (index + 0.5) / 5) for index in range(5)]


def test_linear_rows_are_numbered_at_their_centres():
    # 8 rows of 500 Hz: 1000 Hz is row 2, the middle of which is at 2.5 / 8.
    ticks = frequency_ticks(np.arange(8) * 500.0, 4000, 4)
    assert [value for value, _ in ticks] == [0, 1000, 2000, 3000, 4000]
    assert [place for _, place in ticks] == pytest.approx([0.5 / 8, 2.5 / 8, 4.5 / 8, 6.5 / 8, 1])


def test_mel_rows_are_numbered_where_a_tone_lies():
    codec = build_codec("mellog", sample_rate=16000, n_fft=1024, hop_length=256, frames=32)
    ticks = frequency_ticks(codec.row_hz(), 8000, 10)
    values = [value for value, _ in ticks]
    assert values[0] == 0 and {500, 1000, 2000, 5000} <= set(values)
    places = [place for _, place in ticks]
    assert np.all(np.diff(places) > 0.7 / 10)
    for value, place in ticks:
        if value >= 200:
            tone = np.sin(2 * np.pi * value * np.arange(codec.samples) / 16000).astype("f")
            brightest = codec.fit([tone]).encode(tone)[0, :, 16].argmax()
            assert abs(brightest + 0.5 - place * codec.shape[1]) < 2


def test_however_small_there_are_numbers():
    assert [value for value, _ in frequency_ticks(np.array([100.0]), 4000, 0.5)] == [0]
    assert time_ticks(1.0, 0.2) == [(0, 0)]


def test_rows_and_kinds_of_the_codecs():
    sizes = {"sample_rate": 8000, "n_fft": 16, "hop_length": 4, "frames": 8}
    for name in ("abslog", "if", "complex", "reallog"):
        assert build_codec(name, **sizes).row_hz().tolist() == [0, 500, 1000, 1500, 2000, 2500, 3000, 3500]
    assert build_codec("raw").row_hz() is None
    kinds = {
        "abslog": ("magnitude",),
        "mellog": ("magnitude",),
        "if": ("magnitude", "phase step"),
        "ifmel": ("magnitude", "phase step"),
        "complex": ("real", "imaginary"),
        "reallog": ("real",),
    }
    for name, kind in kinds.items():
        stereo = build_codec(name, channels=2, **sizes)
        assert stereo.channel_kinds() == kind * 2 and len(stereo.channel_kinds()) == stereo.shape[0]
        assert len(stereo.row_hz()) == stereo.shape[1] and np.all(np.diff([*stereo.row_hz(), 4000]) > 0)
    assert build_codec("raw", channels=2).channel_kinds() == ("value", "value")
