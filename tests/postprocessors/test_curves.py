"""Curves as SVG: where values are drawn, that no spike is lost, and that curves are distinct."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from pggan_framework.postprocessors.curves import (
    COLOURS,
    DASHES,
    HEIGHT,
    MOST_POINTS,
    WIDTH,
    Chart,
    Curve,
    svg,
    svg_file,
)


def curve(x, y, name="G", **more):
    return Curve(name, np.array(x, np.float64), np.array(y, np.float64), **more)


def drawn(text):
    return [
        [tuple(map(float, point.split(","))) for point in points.split()]
        for points in re.findall(r'<polyline[^>]* points="([^"]*)"', text)
    ]


def test_points_are_where_the_values_are_and_marks_with_them():
    text = svg(Chart("Loss", [curve([0, 5, 10], [1, 3, 2])]), {5.0: "depth 1", 99.0: "never"})
    (points,) = drawn(text)
    assert points[1][0] == pytest.approx((points[0][0] + points[2][0]) / 2, abs=0.11)  # halfway along
    assert points[2][1] == pytest.approx((points[0][1] + points[1][1]) / 2, abs=0.11)  # 2 is halfway between 1 and 3
    assert points[1][1] < points[0][1]  # more is further up
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in points)
    assert re.findall(r'class="mark" data-x="5" x1="([0-9.]*)"', text) == [str(points[1][0])]
    assert "depth 1" in text and "never" not in text


def test_a_logarithmic_axis_has_equal_steps_for_equal_factors():
    ((first, second, third),) = drawn(svg(Chart("a", [curve([0, 1, 2], [1, 10, 100])], log=True)))
    assert first[1] - second[1] == pytest.approx(second[1] - third[1], abs=0.11)


def test_the_values_themselves_are_in_the_page():
    text = svg(Chart("a", [curve([0.5, 1], [0.123456, -2e-7])]))
    assert 'data-x="0.5 1" data-y="0.12346 -2e-07"' in text
    assert 'aria-label="a over kimg; last values: G -2e-07"' in text


def test_a_long_curve_keeps_its_spikes():
    y = np.zeros(50_000)
    y[[777, 31_313]] = 9, -9
    ((*points,),) = drawn(svg(Chart("a", [curve(np.arange(50_000.0), y)])))
    heights = [height for _, height in points]
    assert len(heights) <= MOST_POINTS
    assert heights.count(min(heights)) == heights.count(max(heights)) == 1


def test_a_band_surrounds_its_mean():
    text = svg(Chart("a", [curve([0, 1], [2, 3], band=(np.array([1.0, 1]), np.array([4.0, 5])))]))
    ((start, end),) = drawn(text)
    corners = [tuple(map(float, p.split(","))) for p in re.findall(r'<polygon[^>]* points="([^"]*)"', text)[0].split()]
    assert len(corners) == 4
    for x, y in (start, end):
        above, below = (pick(corner[1] for corner in corners if corner[0] == x) for pick in (min, max))
        assert above < y < below


def test_twelve_curves_and_more_look_different():
    looks = [curve([0], [0], style=number).classes for number in range(COLOURS * DASHES)]
    assert len(set(looks)) == COLOURS * DASHES >= 12


@pytest.mark.parametrize("y", [[5.0], [2.0, 2.0], [0.0, 0.0]])
def test_a_curve_without_extent_is_drawn_within_the_chart(y):
    ((*points,),) = drawn(svg(Chart("a", [curve(range(len(y)), y)])))
    assert len(points) == 2 and all(0 <= x <= WIDTH and 0 < y < HEIGHT for x, y in points)


def test_a_file_is_whole_svg_with_every_title_and_name():
    many = [curve([0], [1], f"a rather long name {number}") for number in range(9)]
    charts = [Chart("Loss <1>", [curve([0, 1], [1, 2], "a & b")], unit="dB", log=True), Chart("b", many)]
    root = ElementTree.fromstring(svg_file(charts))
    places = [(key.get("x"), key.get("y")) for key in root.iter("{http://www.w3.org/2000/svg}text") if key.get("x")]
    assert len(set(places)) == len(places) and all(float(x) < WIDTH for x, _ in places)
    words = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"Loss <1>, dB over kimg", "a & b", "b over kimg", "a rather long name 8"} <= set(words)
