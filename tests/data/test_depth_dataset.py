from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pggan_framework.data.base import DepthDataset, box_mean
from pggan_framework.errors import UserError


class Counting(DepthDataset):
    """Random images; counts how often one is read."""

    def __init__(self, shape=(3, 16, 16), dtype=np.uint8, **keywords):
        super().__init__(shape, **keywords)
        self.pictures = (np.random.default_rng(0).random((5, *shape)) * 255).astype(dtype)
        self.reads = 0

    def __len__(self):
        return len(self.pictures)

    def image(self, index):
        self.reads += 1
        return self.pictures[index]

    def fingerprint(self):
        return "x"


@settings(deadline=None)
@given(st.integers(0, 2**31), st.sampled_from([(1, 1), (1, 2), (2, 2), (4, 2), (8, 8)]))
def test_box_mean_of_uint8_is_the_exact_mean_rounded(seed, box):
    picture = np.random.default_rng(seed).integers(0, 256, (2, 8, 8), dtype=np.uint8)
    size = (8 // box[0], 8 // box[1])
    small = box_mean(picture, size)
    assert small.shape == (2, *size) and small.dtype == np.uint8
    for (c, y, x), value in np.ndenumerate(small):
        cell = picture[c, y * box[0] : (y + 1) * box[0], x * box[1] : (x + 1) * box[1]]
        exact = Fraction(int(cell.astype(int).sum()), cell.size)
        assert value == round(exact)  # half to even, as np.rint


def test_no_depth_inherits_the_rounding_of_another():
    picture = np.zeros((1, 4, 4), np.uint8)
    picture[0, ::2, ::2] = [[6, 2], [2, 2]]
    assert box_mean(picture, (2, 2)).ravel().tolist() == [2, 0, 0, 0]  # 1.5 and .5, half to even
    assert box_mean(picture, (1, 1)).item() == 1  # 12 / 16; from the rounded ones it would be 2 / 4, that is 0


def test_box_mean_of_float16_keeps_its_type():
    picture = np.array([[[1.0, 2.0], [3.0, 4.5]]], np.float16)
    small = box_mean(picture, (1, 1))
    assert small.dtype == np.float16
    assert small[0, 0, 0] == 2.625


def test_shapes_follow_the_depth_offset():
    assert [Counting().images([0, 4], depth).shape for depth in range(3)] == [(2, 3, n, n) for n in (4, 8, 16)]
    assert Counting(model_dataset_depth_offset=3).images([1], 0).shape == (1, 3, 8, 8)


def test_axes_can_grow_apart():
    data = Counting((1, 8, 16), seed_shape=(4, 2))
    assert [data.images([0], depth).shape[2:] for depth in range(4)] == [(4, 2), (8, 4), (8, 8), (8, 16)]


def test_pyramid_is_images_at_every_depth_and_reads_each_picture_once():
    data = Counting(dtype=np.float16)
    levels = data.pyramid([3, 1])
    assert data.reads == 2
    for depth, level in enumerate(levels):
        np.testing.assert_array_equal(level, data.images([3, 1], depth))


def test_pyramid_respects_pictures_of_ones_own():
    class Own(Counting):
        def images(self, indices, depth):
            return super().images(indices, depth) // 2

    data = Own()
    np.testing.assert_array_equal(data.pyramid([2])[1], data.images([2], 1))


def test_a_size_that_does_not_halve_is_refused():
    with pytest.raises(UserError, match="20x20"):
        Counting((3, 20, 20))


def test_summary():
    assert Counting().summary() == {"images": "5", "shape": "3x16x16"}
