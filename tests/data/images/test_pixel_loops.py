"""Compiled box means beside those in float64."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pggan_framework.data.base import box_means
from pggan_framework.data.images.pixel_loops import Shrinker, fits, loops
from pggan_framework.schedules.growth import Growth


@settings(deadline=None, max_examples=60)
@given(
    st.integers(0, 2**31),
    st.sampled_from([(3, 8, 8), (1, 16, 4), (4, 4, 32), (2, 12, 24)]),
    st.sampled_from([None, (1, 1), (2, 1)]),
    st.sampled_from([(0, 256), (0, 2), (254, 256)]),
)
def test_means_are_bit_equal(
    seed: int, shape: tuple[int, int, int], start: tuple[int, int] | None, levels: tuple[int, int]
) -> None:
    if shape[1] == 12:
        start = (3, 3)
    growth = Growth.of(shape, start)
    compiled = loops()
    assert compiled is not None and fits(growth)
    picture = np.random.default_rng(seed).integers(*levels, shape, dtype=np.uint8)
    found = [np.full((2, *growth.shape_at(depth)), 7, np.uint8) for depth in range(growth.max_depth + 1)]
    Shrinker(compiled, growth)(picture, found, 1)
    expected = box_means([picture], growth)
    for mean, exact in zip(found[:-1], expected[:-1], strict=True):
        np.testing.assert_array_equal(mean[1], exact[0])
        assert (mean[0] == 7).all()


def test_halves_go_to_the_even_number() -> None:
    growth = Growth.of((1, 2, 8), (1, 4))
    compiled = loops()
    assert compiled is not None
    picture = np.array([[[0, 1, 1, 1, 2, 3, 255, 255], [0, 1, 2, 2, 2, 3, 255, 255]]], np.uint8)
    found = [np.zeros((1, 1, 1, 4), np.uint8), np.zeros((1, *growth.shape), np.uint8)]
    Shrinker(compiled, growth)(picture, found, 0)
    assert found[0].ravel().tolist() == [0, 2, 2, 255]  # 0.5, 1.5, 2.5, 255


def test_boxes_whose_sums_could_be_too_large_are_not_taken() -> None:
    assert fits(Growth.of((3, 4096, 4096), (1, 1)))
    assert not fits(Growth.of((3, 8192, 4096), (1, 1)))
