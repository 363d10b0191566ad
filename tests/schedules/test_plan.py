"""Curves and plans by hand."""

from __future__ import annotations

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pggan_framework.schedules.plan import WHOLE, Curve, Plan, Stage, linear_fade


def test_a_curve_goes_straight_or_in_steps() -> None:
    points = ((10.0, 0.0), (20.0, 0.5), (20.0, 0.6), (40.0, 1.0))
    assert [Curve(points).at(x) for x in (0, 10, 15, 20, 30, 40, 99)] == [0, 0, 0.25, 0.6, 0.8, 1, 1]
    assert [Curve(points, steps=True).at(x) for x in (0, 10, 19.9, 20, 39, 40)] == [0, 0, 0, 0.6, 0.6, 1]
    assert linear_fade(0) == WHOLE and linear_fade(8).at(2) == 0.25


def test_a_plan_by_hand() -> None:
    plan = Plan(
        [Stage(100), Stage(50, linear_fade(20), Curve(((0, 1.0), (30, 0.1)), steps=True)), Stage(10)], ends=True
    )
    assert [plan.start(depth) for depth in range(3)] == [0, 100, 150]
    assert plan.end == 160 and plan.max_depth == 2 and plan.faded_in(1) == 120
    assert [plan.at(x) for x in (0, 99, 100, 110, 120, 150, 1000)] == [
        (0, 1), (0, 1), (1, 0), (1, 0.5), (1, 1), (2, 1), (2, 1)
    ]  # fmt: skip
    assert [plan.lr_factor(x) for x in (0, 129, 130, 149, 150)] == [1, 1, 0.1, 0.1, 1]


def test_a_plan_without_an_end_goes_on() -> None:
    assert Plan([Stage(5)]).end == inf
    with pytest.raises(ValueError, match="negative"):
        Plan([Stage(-1)])
    with pytest.raises(ValueError, match="needs stages"):
        Plan([])


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=5), st.data())
def test_no_plan_goes_back(lengths: list[tuple[int, int]], data: st.DataObject) -> None:
    plan = Plan([Stage(fade + rest, linear_fade(fade)) for fade, rest in lengths])
    first, second = sorted(data.draw(st.tuples(st.integers(0, 600), st.integers(0, 600))))
    assert plan.at(first) <= plan.at(second)
