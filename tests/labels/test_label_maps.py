"""Maps as networks see them: one-hot at every size, in steps as in one, and through a state."""

from __future__ import annotations

import json
from copy import deepcopy

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from maps import random_maps, space_of

from pggan_framework.labels.attributes import LabelSpace, collect
from pggan_framework.labels.maps import STORED, MapResize, MapSpace, default_classes, one_hot_maps, space_from_state

FIRST = np.array([[0, 1, 2, 2], [1, 1, 2, 0], [0, 0, 1, 1], [2, 0, 1, 1]], np.uint8)


def test_a_map_is_a_picture_for_each_class() -> None:
    space = space_of(FIRST[None])
    full = space.condition(np.array([[0], [0]]), (4, 4))
    assert full.shape == (2, 3, 4, 4) == space.condition_shape(2, (4, 4)) and full.dtype == np.float32
    for value in range(3):
        np.testing.assert_array_equal(full[1, value], value == FIRST)


def test_smaller_maps_by_hand() -> None:
    nearest = space_of(FIRST[None]).condition(np.array([[0]]), (2, 2))
    np.testing.assert_array_equal(nearest[0].argmax(0), [[0, 2], [0, 1]])
    assert nearest.sum() == 4
    shares = space_of(FIRST[None], resize="shares").condition(np.array([[0]]), (2, 2))
    np.testing.assert_array_equal(shares[0, 0], [[0.25, 0.25], [0.75, 0]])
    np.testing.assert_array_equal(shares[0, 1], [[0.75, 0], [0, 1]])
    np.testing.assert_array_equal(shares[0, 2], [[0, 0.75], [0.25, 0]])


@given(
    st.integers(0, 1000),
    st.sampled_from([(8, 16), (4, 8), (8, 4), (1, 2)]),
    st.sampled_from(["nearest", "shares"]),
    st.integers(1, 7),
)
def test_every_pixel_has_one_class_or_shares_of_it(
    seed: int, size: tuple[int, int], resize: MapResize, classes: int
) -> None:
    maps = np.random.default_rng(seed).integers(0, classes, (2, 8, 16), dtype=np.uint8)
    seen = one_hot_maps(maps, classes, size, resize)
    assert seen.shape == (2, classes, *size)
    np.testing.assert_array_equal(seen.sum(1), np.ones((2, *size)))
    if resize == "shares":
        np.testing.assert_allclose(seen.mean((2, 3)), [[np.mean(one == c) for c in range(classes)] for one in maps])
    else:
        assert set(np.unique(seen)) <= {0, 1}


@pytest.mark.parametrize("resize", ["nearest", "shares"])
def test_a_state_holds_classes_and_maps(resize: MapResize) -> None:
    maps = random_maps(5, 8, 12)
    space = space_of(maps, resize=resize)
    again = space_from_state(json.loads(json.dumps(space.state_dict())))
    assert isinstance(again, MapSpace) and again == space
    labels = np.arange(5)[:, None]
    np.testing.assert_array_equal(again.maps(labels), maps)
    np.testing.assert_array_equal(again.condition(labels, (4, 6)), space.condition(labels, (4, 6)))
    plain, _ = collect({"pitch": [60, 61]})
    found = space_from_state(plain.state_dict())
    assert type(found) is LabelSpace and found == plain


def test_examples_are_few_and_go_from_the_first_to_the_last() -> None:
    maps = np.arange(200, dtype=np.uint8)[:, None, None] * np.ones((1, 2, 2), np.uint8)
    space = space_of(maps, classes=200)
    examples = space.examples
    stored = examples.maps(np.arange(len(examples))[:, None])[:, 0, 0]
    assert len(examples) == STORED and stored[0] == 0 and stored[-1] == 199 and (np.diff(stored.astype(int)) > 0).all()
    assert len(space_of(maps[:3], classes=200).examples) == 3


def test_a_label_is_the_number_of_a_map() -> None:
    space = space_of(random_maps(20))
    assert space.find({"map": 12}).tolist() == [12] and space.describe([12]) == "map 12"
    assert deepcopy(space) is space
    painted = space.paint(np.array([[3]]))
    assert painted.shape == (1, 3, 16, 16)
    np.testing.assert_array_equal(painted[0].argmax(0), space.read(3))


@pytest.mark.parametrize(
    ("labels", "size"), [([[20]], (4, 4)), ([[-1]], (4, 4)), ([0], (4, 4)), ([[0, 1]], (4, 4)), ([[0]], (5, 4))]
)
def test_what_is_no_map_or_no_size_is_refused(labels: list[list[int]], size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="are not|cannot be made"):
        space_of(random_maps(20)).condition(np.array(labels), size)


def test_classes_can_be_told_apart() -> None:
    classes = default_classes(20, [(1, 2, 3)], ["sky"])
    assert classes[0].name == "sky" and classes[0].colour == (1, 2, 3) and classes[7].name == "class 7"
    assert len({entry.colour for entry in default_classes(30)}) == 30
