"""The record of a schedule by the clock against a list of all steps."""

from __future__ import annotations

import random

from pggan_framework.schedules.recorded import Recorded


def test_each_step_is_found_as_it_was_noted() -> None:
    for seed in range(50):
        draw = random.Random(seed)
        batch, length = draw.randint(1, 20), draw.randint(1, 40)
        steps = [(draw.randint(0, 2), draw.choice([0.25, 0.5, 1.0]), draw.choice([1.0, 0.1])) for _ in range(length)]
        recorded = Recorded()
        for number, setting in enumerate(steps):
            recorded.note(5 + number * batch, *setting)
        again = Recorded(recorded.rows()) if seed % 2 else recorded
        assert [again.at(5 + number * batch) for number in range(len(steps))] == steps
        assert again.at(4) is None
        changes = sum(before != after for before, after in zip([None, *steps], steps, strict=False))
        assert recorded.rows().shape == (changes, 4)


def test_the_newest_rows_are_kept() -> None:
    for most, count in ((1, 1), (1, 9), (3, 6), (3, 7), (4, 60), (8, 5)):
        recorded = Recorded(most=most)
        for number in range(count):
            recorded.note(number, 1, number / count, 1.0)
        assert recorded.rows()[:, 0].tolist() == list(range(max(0, count - most), count))
        assert recorded.at(count - 1) == (1, (count - 1) / count, 1.0)
