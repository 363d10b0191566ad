"""OutputGenerator's reals: different images, each with its sample's label."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from pggan_framework.data.base import DepthDataset
from pggan_framework.loggers.base import Logger
from pggan_framework.plugins.output import OutputGenerator


class Levels(DepthDataset):
    """Images [1, 8, 8] of one level each."""

    def __init__(self, levels, labels=None):
        super().__init__([1, 8, 8])
        self.levels = levels
        self.labels = None if labels is None else np.array(labels, np.float64)[:, None]

    def __len__(self):
        return len(self.levels)

    def image(self, index):
        return np.full((1, 8, 8), self.levels[index], np.uint8)

    def fingerprint(self):
        return "levels"


def reals(dataset, count, labels=None, seed=0):
    """The levels of the grid."""
    output = OutputGenerator([], Logger(), samples_count=count)
    output.trainer = SimpleNamespace(parts=SimpleNamespace(dataset=dataset, seed=seed))
    output.labels = None if labels is None else np.array(labels, np.float64)[:, None]
    found = output.reals()
    assert found.shape == (count, 1, 8, 8)
    return np.rint((found[:, 0, 0, 0] + 1) * 127.5).astype(int).tolist()


@pytest.mark.parametrize("seed", range(3))
def test_they_differ_where_the_data_have_so_many(seed):
    assert len(set(reals(Levels(list(range(20))), 12, seed=seed))) == 12


def test_samples_of_one_label_have_different_reals_of_it():
    dataset = Levels(list(range(30)), [number % 3 for number in range(30)])
    labels = [0, 0, 0, 1, 1, 2, 2, 2, 2]
    found = reals(dataset, len(labels), labels)
    assert len(set(found)) == len(found) and [level % 3 for level in found] == labels


def test_copies_in_the_data_are_passed_over():
    assert sorted(reals(Levels([5, 5, 5, 6, 7, 7]), 3)) == [5, 6, 7]


def test_too_few_are_shown_again():
    assert sorted(set(reals(Levels([1, 2]), 5))) == [1, 2]
    assert reals(Levels([1, 2, 2], [0, 1, 1]), 3, [0, 0, 0]) == [1, 1, 1]
