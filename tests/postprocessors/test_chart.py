"""Charts: where values are, which numbers an axis gets, and that what is drawn can be found in the pixels."""

from __future__ import annotations

import numpy as np
import pytest

from pggan_framework.postprocessors.axes import Axis
from pggan_framework.postprocessors.chart import COLOURS, bars_chart, histograms_chart


def has(image: object, colour: tuple[int, int, int]) -> int:
    """How many pixels have the colour."""
    return int(np.all(np.asarray(image) == colour, axis=-1).sum())


def test_places_on_both_kinds_of_axis() -> None:
    assert Axis(-1, 3).place(np.array([-1.0, 0.0, 3.0])).tolist() == [0, 0.25, 1]
    assert Axis(0.01, 100, log=True).place(np.array([0.01, 1.0, 10.0])) == pytest.approx([0, 0.5, 0.75])


@pytest.mark.parametrize(
    ("axis", "count", "ticks"),
    [
        (Axis(0, 10), 5, [0, 2, 4, 6, 8, 10]),
        (Axis(-0.5, 0.9), 4, [-0.5, 0, 0.5]),
        (Axis(0.02, 300, log=True), 5, [0.1, 1, 10, 100]),
        (Axis(1e-8, 1, log=True), 3, [1e-8, 1e-5, 1e-2]),
        (Axis(2, 8, log=True), 4, [2, 4, 6, 8]),
    ],
)
def test_ticks_are_round_and_not_too_many(axis: Axis, count: float, ticks: list[float]) -> None:
    assert axis.ticks(count) == pytest.approx(ticks)


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("values", [[], [5.0, 5.0], [float("nan"), 2.0], [1e-30, 1e-30]])
def test_an_axis_always_has_a_width(values: list[float], log: bool) -> None:
    axis = Axis.around(np.array(values, np.float64), log)
    assert axis.high > axis.low and (not log or axis.low > 0)


def test_a_longer_bar_has_more_pixels_and_what_is_not_a_number_is_written() -> None:
    short = bars_chart("G", {"a": (0.001, 0.01), "b": (0.001, 1.0)}, ("mean", "largest"))
    long = bars_chart("G", {"a": (0.1, 0.1), "b": (0.001, 1.0)}, ("mean", "largest"))
    assert has(long, COLOURS[0]) > 1.5 * has(short, COLOURS[0])
    odd = bars_chart("G", {"a": (float("nan"), float("nan")), "b": (0.0, 0.0)}, ("mean", "largest"))
    assert has(odd, COLOURS[0]) == 0 and has(odd, COLOURS[1]) > 0


def test_a_histogram_of_equal_values_and_a_long_name_fit() -> None:
    cells = {"x" * 90: (np.array([0, 4]), np.array([-1.0, 0.0, 1.0])), "b": (np.array([1]), np.array([2.0, 2.0]))}
    image = histograms_chart("G", cells, columns=2)
    assert 100 * 85 < has(image, COLOURS[0]) < 110 * 95
