"""Each schedule against the rule of the system it is from, written out step by step."""

from __future__ import annotations

import pytest

from pggan_framework.errors import UserError
from pggan_framework.schedules.base import Facts, Schedule
from pggan_framework.schedules.iterations import IterationSchedule, StaircaseSchedule
from pggan_framework.schedules.stages import StageSchedule
from pggan_framework.schedules.wall_clock import WallClockSchedule

BATCHES = {0: 8, 1: 4, 2: 2}


def facts(max_depth: int = 2, pictures: int = 50, repeats: int = 1) -> Facts:
    return Facts(max_depth, pictures, lambda depth: BATCHES.get(depth, 2), repeats)


@pytest.mark.parametrize("repeats", [1, 3])
def test_iterations_jump_like_the_zoos(repeats: int) -> None:
    # The zoo's alpha is the share of the old branch: 1 at first, 1/jumps less every `length` iterations.
    plan = IterationSchedule({0: 5, 1: 30}, {0: 4}, {0: 6}).plan(facts(repeats=repeats))
    images, found, wanted = 0, [], []
    for depth, iterations in ((0, 5), (1, 30), (2, 30)):
        old = 1.0 if depth else 0.0
        for iteration in range(iterations):
            if depth and iteration and iteration % 6 == 0:
                old = max(0.0, old - 1 / 4)
            found.append(plan.at(images))
            wanted.append((depth, pytest.approx(1 - old)))
            images += BATCHES[depth] * repeats
    assert found == wanted
    assert plan.end == images


def test_a_fade_can_be_given_point_by_point() -> None:
    plan = IterationSchedule({0: 10}, {0: 0}, alpha_steps={1: [(2, 0.25), (5, 1.0)]}).plan(facts())
    start = plan.start(1)
    assert [plan.at(start + 4 * step)[1] for step in range(7)] == [0, 0, 0.25, 0.25, 0.25, 1, 1]
    assert plan.at(plan.start(2)) == (2, 1.0)


def test_a_staircase_waits_and_climbs() -> None:
    # Grow; wait 3 steps; then add 1/4 every 2 steps: the published loop, with a counter of its own.
    plan = StaircaseSchedule({0: 6, 1: 15}, {0: 3}, 2, {0: 4}).plan(facts())
    for depth in (1, 2):
        alpha, next_jump = 0.0, 3
        for step in range(15):
            if step == next_jump and alpha < 1:
                alpha, next_jump = alpha + 1 / 4, next_jump + 2
            assert plan.at(plan.start(depth) + step * BATCHES[depth]) == (depth, pytest.approx(alpha)), step
    assert plan.end == 6 * 8 + 15 * 4 + 15 * 2


def test_stages_count_epochs_and_cycles() -> None:
    plan = StageSchedule({0: [(1.0, 2.0)], 1: [(1.0, 1.0), (0.1, 0.5)]}, fade_epochs=0.5, freeze=True).plan(facts())
    assert [plan.start(depth) for depth in range(3)] == [0, 100, 175] and plan.end == 250 and plan.freeze
    assert [plan.lr_factor(x) for x in (0, 149, 150, 174, 175, 249)] == [1, 1, 0.1, 0.1, 1, 0.1]
    assert [plan.at(x)[1] for x in (100, 110, 125, 180)] == [0, 0.4, 1, 0.2]


def test_the_clock_shares_out_minutes() -> None:
    plan = WallClockSchedule(10, {0: 1, 1: 2}, fade_share=0.25).plan(facts())
    assert plan.unit == "second" and plan.end == 600
    assert [plan.start(depth) for depth in range(3)] == [0, 120, 360]
    assert plan.at(150) == (1, 0.5) and plan.at(180) == (1, 1.0) and plan.at(0) == (0, 1.0)


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        (lambda: IterationSchedule({0: -1}), r"IterationSchedule.iterations: -1 is given; allowed: 0 and above"),
        (lambda: IterationSchedule({0: 9, 3: 9}), r"iterations: depth 3 is given; allowed: 0 to 2 for these data"),
        (
            lambda: IterationSchedule({1: 9}),
            r"\{1: 9\} is given; allowed: a table that begins with depth 0",
        ),
        (lambda: IterationSchedule({0: 9}, {0: 3}, {0: 3}), r"9 at depth 1 is given; allowed: more than the 9 steps"),
        (lambda: IterationSchedule(alpha_steps={1: [(5, 1.0), (2, 1.0)]}), r"alpha_steps: .*rising steps"),
        (lambda: IterationSchedule(alpha_steps={1: [(5, 0.5)]}), r"alpha_steps: .*the last alpha 1"),
        (lambda: StaircaseSchedule(interval=0), r"StaircaseSchedule.interval: 0 is given; allowed: 1 and above"),
        (lambda: StaircaseSchedule({0: 5}, {0: 5}, 1, {0: 1}), r"5 at depth 1 is given; allowed: more than the 5"),
        (lambda: StageSchedule({0: [(1, 0)]}), r"StageSchedule.cycles: .*epochs above 0"),
        (lambda: StageSchedule({0: [(1, 1)]}, fade_epochs=2), r"fade_epochs: 2 and 1 epochs at depth 1 is given"),
        (lambda: WallClockSchedule(0), r"WallClockSchedule.minutes: 0 is given; allowed: above 0"),
        (lambda: WallClockSchedule(fade_share=2), r"fade_share: 2 is given; allowed: 0 to 1"),
        (lambda: WallClockSchedule(shares={0: 0}), r"shares: \{0: 0\} is given; allowed: one above 0"),
    ],
)
def test_what_does_not_fit_is_refused(schedule: object, message: str) -> None:
    with pytest.raises(UserError, match=message):
        made: Schedule = schedule()  # type: ignore[operator]
        made.plan(facts())


def test_untouched_defaults_fit_any_depth() -> None:
    for max_depth in range(9):
        for schedule in (IterationSchedule(), StaircaseSchedule(), StageSchedule(), WallClockSchedule()):
            assert schedule.plan(facts(max_depth)).max_depth == max_depth
