"""Label spaces: values in order, one-hot blocks, what is said of a wrong one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pggan_framework import UserError
from pggan_framework.labels.attributes import LabelSpace, collect


def test_values_are_in_the_order_of_numbers_or_of_the_alphabet():
    space, labels = collect({"pitch": ["100", 60, "060", 9.0], "who": ["b", "a", "a", "10"]})
    assert [attribute.values for attribute in space.attributes] == [("9", "60", "100"), ("10", "a", "b")]
    assert labels.tolist() == [[2, 2], [1, 1], [1, 1], [0, 0]]
    assert labels.dtype == np.int64
    assert (space.sizes, space.width) == ((3, 3), 6)


def test_one_hot_has_a_block_for_each_attribute():
    space, labels = collect({"a": [0, 1, 2], "b": ["x", "y", "x"]})
    expected = [[1, 0, 0, 1, 0], [0, 1, 0, 0, 1], [0, 0, 1, 1, 0]]
    np.testing.assert_array_equal(space.one_hot(labels), expected)
    for wrong in ([[0, 2]], [[-1, 0]], [[0]], [0, 0]):
        with pytest.raises(ValueError, match="are not"):
            space.one_hot(np.array(wrong))


def test_a_label_is_found_by_its_values():
    space, _ = collect({"pitch": range(48, 84), "player": ["ann", "bob"] * 18})
    assert space.find({"player": "bob", "pitch": 60.0}).tolist() == [12, 1]
    assert space.describe([12, 1]) == "pitch 60, player bob"
    for values, words in (
        ({"pitch": 90, "player": "ann"}, ["pitch '90'", "48, 49, 50, 51, 52, ..., 82, 83"]),
        ({"pitch": 60, "player": "anne"}, ["player 'anne'", "did you mean 'ann'", "ann, bob"]),
        ({"pitch": 60}, ["label player", "pitch, player"]),
        ({"pich": 60}, ["'pich'", "'pitch'"]),
    ):
        with pytest.raises(UserError) as caught:
            space.find(values)
        assert all(word in str(caught.value) for word in words), caught.value


@pytest.mark.parametrize(("rows", "word"), [({}, "no label"), ({"a": ["x", "x"]}, "'x' in all data")])
def test_what_tells_nothing_is_refused(rows, word):
    with pytest.raises(UserError, match=word):
        collect(rows)


@given(st.lists(st.tuples(st.integers(-5, 5), st.text(max_size=3)), min_size=2, max_size=20))
def test_every_label_reads_back(rows):
    columns = {"n": [n for n, _ in rows], "t": [f"t{t}" for _, t in rows]}
    if len(set(columns["n"])) < 2 or len({t.strip() for t in columns["t"]}) < 2:
        return
    space, labels = collect(columns)
    assert LabelSpace.from_state(space.state_dict()) == space
    for (number, text), label in zip(rows, labels, strict=True):
        assert space.attributes[0].values[label[0]] == str(number)
        assert space.attributes[1].values[label[1]] == f"t{text}".strip()
        np.testing.assert_array_equal(space.find({"n": number, "t": f"t{text}"}), label)
