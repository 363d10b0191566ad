"""Labels that are numbers in a range: what networks see of them, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pggan_framework import UserError
from pggan_framework.labels.attributes import Attribute, LabelSpace, collect

ROWS = {"kind": ["b", "a", "b", "c"], "angle": ["-90", 30, " 10.5", "150"]}
SPACE, LABELS = collect(ROWS, ["angle"])


def test_a_range_takes_the_place_of_values() -> None:
    assert SPACE.attributes == (Attribute("kind", ("a", "b", "c")), Attribute("angle", span=(-90.0, 150.0)))
    assert LABELS.dtype == np.float64 and LABELS.tolist() == [[1, -90], [0, 30], [1, 10.5], [2, 150]]
    assert (SPACE.sizes, SPACE.width, SPACE.continuous) == ((3, 1), 4, True)
    assert not collect({"kind": ROWS["kind"]})[0].continuous


def test_networks_see_it_from_minus_one_to_one() -> None:
    # By hand: 30 is the middle of -90 to 150; 10.5 is 19.5 of half a range of 120 below it.
    seen = SPACE.one_hot(LABELS)
    np.testing.assert_allclose(seen, [[0, 1, 0, -1], [1, 0, 0, 0], [0, 1, 0, -0.1625], [0, 0, 1, 1]], atol=1e-7)
    assert seen.dtype == np.float32
    for wrong, words in (([[3, 0]], "kind"), ([[0.5, 0]], "kind"), ([[0, 151]], "angle"), ([[0, np.nan]], "angle")):
        with pytest.raises(ValueError, match=f"labels of {words} are not"):
            SPACE.one_hot(np.array(wrong))


def test_a_number_is_found_and_said() -> None:
    label = SPACE.find({"angle": "12.3456789", "kind": "c"})
    assert label.tolist() == [2, 12.3456789] and label.dtype == np.float64
    assert SPACE.describe(label) == "kind c, angle 12.3457"
    assert SPACE.values(label) == {"kind": "c", "angle": 12.3456789}
    for value in ("150.1", "-91", "steep", "nan", "inf"):
        with pytest.raises(UserError, match=rf"angle '{value}' is not allowed; allowed: a number from -90 to 150"):
            SPACE.find({"angle": value, "kind": "c"})


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ({"a": [1, "x", 2]}, "a 'x' is not a number"),
        ({"a": [1, "inf"]}, "a 'inf' is not a number"),
        ({"a": [1.5, "1.50"]}, "a is '1.5' in all data"),
    ],
)
def test_what_is_no_range_is_refused(rows: dict[str, list[object]], message: str) -> None:
    with pytest.raises(UserError, match=message):
        collect(rows, ["a"])


def test_states_of_older_versions_still_load() -> None:
    old = [{"name": "pitch", "values": ["60", "61"]}]
    assert LabelSpace.from_state(old) == LabelSpace((Attribute("pitch", ("60", "61")),))
    assert collect({"pitch": [60, 61]})[0].state_dict() == old
    assert LabelSpace.from_state(SPACE.state_dict()) == SPACE


def test_values_are_counted() -> None:
    kinds, angles = SPACE.counts(LABELS)
    assert kinds is not None and kinds.tolist() == [1, 2, 1] and angles is None


def test_uniform_labels_are_of_every_value_alike() -> None:
    chances = np.random.default_rng(1).random((30000, 2))
    labels = SPACE.uniform(chances)
    np.testing.assert_allclose(np.bincount(labels[:, 0].astype(int)) / 30000, 1 / 3, atol=0.01)
    np.testing.assert_allclose(np.quantile(labels[:, 1], [0, 0.25, 0.5, 0.75, 1]), [-90, -30, 30, 90, 150], atol=3)
    assert abs(np.corrcoef(labels.T)[0, 1]) < 0.02
    ends = SPACE.uniform(np.array([[0.0, 0.0], [1 - 2**-53, 1 - 2**-53]]))
    np.testing.assert_allclose(ends, [[0, -90], [2, 150]])
    assert collect({"kind": ROWS["kind"]})[0].uniform(np.array([[0.34]])).dtype == np.int64


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=20, unique=True))
def test_every_number_reads_back(numbers: list[float]) -> None:
    space, labels = collect({"x": numbers}, ["x"])
    assert labels[:, 0].tolist() == numbers
    seen = space.one_hot(labels)[:, 0]
    assert seen.min() == -1 and seen.max() == 1
    assert [space.find(space.values(label)).tolist() for label in labels] == labels.tolist()
    low, high = min(numbers), max(numbers)
    np.testing.assert_allclose(seen, [(x - low) / (high - low) * 2 - 1 for x in numbers], atol=1e-6)
