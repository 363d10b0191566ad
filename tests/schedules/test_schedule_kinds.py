"""Each schedule against the rule of the system it is from, written out step by step."""

from __future__ import annotations

from dataclasses import replace

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
    # The zoo's alpha is the fraction of the old branch: 1 at first, 1/jumps less every `length` iterations.
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
    # Grow; wait 3 steps; then add 1/4 every 2 steps: the published loop, with a separate counter.
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


@pytest.mark.parametrize("max_depth", range(9))
def test_the_last_depth_gets_most_of_the_time(max_depth: int) -> None:
    plan = WallClockSchedule(10).plan(facts(max_depth))
    lengths = [stage.length for stage in plan.stages]
    assert sum(lengths) == pytest.approx(600) and lengths[-1] >= 0.55 * 600
    assert min(lengths) >= 0.015 * 600 and lengths == sorted(lengths)
    if max_depth > 1:
        assert lengths[-3] == pytest.approx(lengths[-2] / 2)


def test_minutes_come_from_the_schedule_the_budget_or_are_sixty() -> None:
    given = replace(facts(), seconds=90.0)
    assert WallClockSchedule().plan(facts()).end == 3600
    assert WallClockSchedule().plan(given).end == pytest.approx(90)
    assert WallClockSchedule(1).plan(given).end == pytest.approx(60)
    assert WallClockSchedule(10).plan(given).end == pytest.approx(90)


def test_depths_that_would_get_too_few_steps_are_left_out() -> None:
    # 60 % of 100 s at 0.3 s a step are 200 steps.
    costs = replace(facts(), seconds=100.0, step_seconds=lambda depth: 0.1 * (depth + 1))
    assert [WallClockSchedule(min_steps=least).plan(costs).max_depth for least in (0, 199, 202, 299, 302)] == [
        2, 2, 1, 1, 0
    ]  # fmt: skip


def test_laying_out_again_without_a_change_changes_nothing() -> None:
    schedule = WallClockSchedule(10, lr_decay_share=0.5)
    plan = schedule.plan(facts())
    for depth, position in ((0, 20.0), (1, 100.0), (2, 300.0)):
        again = schedule.lay_out(facts(), plan.stages[: depth + 1], position, 600 - position)
        for mine, theirs in zip(again.stages, plan.stages, strict=True):
            assert mine.length == pytest.approx(theirs.length)
        for moment in (position, 170.0, 250.0, 400.0):
            assert moment < position or again.at(moment) == (plan.at(moment)[0], pytest.approx(plan.at(moment)[1]))


def test_less_time_than_planned_keeps_alpha_and_most_of_it_for_the_last_depth() -> None:
    schedule = WallClockSchedule(10, fade_share=0.5)
    plan = schedule.plan(facts())
    position = plan.start(1) + 20
    again = schedule.lay_out(facts(), plan.stages[:2], position, 50)
    assert again.at(position) == plan.at(position) and again.end == pytest.approx(position + 50)
    assert again.at(again.start(2) - 1e-6) == (1, pytest.approx(1, abs=1e-3))
    assert again.stages[2].length > 0.55 * 50


def test_a_last_depth_that_had_its_time_gets_more() -> None:
    schedule = WallClockSchedule(10, lr_decay_share=0.2)
    plan = schedule.plan(facts())
    longer = schedule.lay_out(facts(), plan.stages, 600.0, 300.0)
    assert longer.end == 900 and longer.at(600) == (2, 1.0)
    assert [longer.lr_factor(x) for x in (600, 839, 870, 900)] == pytest.approx([1, 1, 0.55, 0.1])


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
