"""Depth, alpha, batch and tick length by the tables."""

from __future__ import annotations

import pytest

from pggan_framework.errors import UserError
from pggan_framework.plugins.depth import DepthManager


def test_defaults_are_the_papers() -> None:
    manager = DepthManager()
    assert [manager.minibatch(depth) for depth in range(9)] == [16] * 6 + [14, 6, 3]
    assert [manager.tick_nimg(depth) for depth in range(9)] == [20000] * 3 + [10000, 10000, 5000, 2000, 2000, 1000]


def test_default_overrides_never_raise_the_batch() -> None:
    manager = DepthManager(minibatch_size=4)
    assert [manager.minibatch(depth) for depth in (0, 5, 6, 7, 8)] == [4, 4, 4, 4, 3]


def test_a_table_holds_from_its_key_on() -> None:
    manager = DepthManager(minibatch_default=64, minibatch_overrides={2: 32, 4: 22})
    assert [manager.minibatch(depth) for depth in range(6)] == [64, 64, 32, 32, 22, 22]


def test_phases_of_different_length_by_depth() -> None:
    manager = DepthManager(
        lod_training_overrides={0: 15000, 1: 8000, 2: 5500},
        lod_transition_overrides={1: 6000, 2: 3500},
    )
    plan = manager.plan(2)
    assert plan.at(14_999) == (0, 1.0)
    assert plan.at(18_000) == (1, 0.5)
    assert plan.at(21_000) == (1, 1.0)
    assert plan.at(29_000 + 1750) == (2, 0.5)
    assert plan.at(10**9) == (2, 1.0)


@pytest.mark.parametrize("key", [-1, 5, 12])
def test_a_key_that_is_no_depth_is_named(key: int) -> None:
    with pytest.raises(UserError, match=rf"minibatch_overrides: {key} is not a depth; allowed: 0 to 4"):
        DepthManager(minibatch_overrides={key: 9}).plan(4)


def test_untouched_defaults_may_lie_beyond_the_data() -> None:
    assert DepthManager(minibatch_size=4).plan(4).max_depth == 4


@pytest.mark.parametrize(
    "flags",
    [{"minibatch_default": -1}, {"minibatch_overrides": {1: 0}}, {"lod_training_nimg": -5}, {"tick_kimg_default": 0}],
)
def test_senseless_numbers_are_refused(flags: dict[str, int]) -> None:
    with pytest.raises(UserError, match=r"DepthManager\.\w+: "):
        DepthManager(**flags)  # type: ignore[arg-type]
