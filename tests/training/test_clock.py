"""Clock: seconds counted on over resumes."""

from __future__ import annotations

from pggan_framework.training.clock import Clock


def test_counts_on_from_what_was_trained_before() -> None:
    times = iter([10.0, 10.5, 14.0])
    clock = Clock(100.0, times.__next__)
    assert [clock.seconds, clock.seconds] == [100.5, 104.0]


def test_counts_the_seconds_that_pass_by_default() -> None:
    clock = Clock()
    first = clock.seconds
    assert 0 <= first <= clock.seconds < 60
