import pytest
from hypothesis import given
from hypothesis import strategies as st

from pggan_framework.errors import UserError
from pggan_framework.schedules.growth import Growth


def sizes(growth):
    return [growth.shape_at(depth) for depth in range(growth.max_depth + 1)]


@given(st.integers(2, 10), st.integers(1, 4))
def test_squares_double_from_four(log_side, channels):
    growth = Growth.of((channels, 1 << log_side, 1 << log_side))
    assert growth.max_depth == log_side - 2
    assert sizes(growth) == [(channels, 4 << depth, 4 << depth) for depth in range(log_side - 1)]


@given(
    st.tuples(st.integers(1, 9), st.integers(1, 9)), st.tuples(st.integers(0, 5), st.integers(0, 5)), st.integers(1, 3)
)
def test_any_seed_reaches_its_shape(seed, doublings, channels):
    shape = (channels, seed[0] << doublings[0], seed[1] << doublings[1])
    growth = Growth.of(shape, seed)
    assert growth.shape == shape
    assert growth.shape_at(0) == (channels, *seed)
    assert growth.max_depth == max(doublings)
    for depth in range(1, growth.max_depth + 1):
        before, after, factor = growth.shape_at(depth - 1), growth.shape_at(depth), growth.factor(depth)
        assert after == (channels, before[1] * factor[0], before[2] * factor[1])
        assert max(factor) == 2


def test_the_published_sound_shape():
    # GANSynth: 128 frames by 1024 bins from a block of 2 by 16.
    assert sizes(Growth.of((2, 128, 1024), (2, 16)))[1:3] == [(2, 4, 32), (2, 8, 64)]
    assert Growth.of((2, 128, 1024), (2, 16)).max_depth == 6


def test_a_longer_side_keeps_its_ratio():
    assert sizes(Growth.of((1, 16, 48))) == [(1, 4, 12), (1, 8, 24), (1, 16, 48)]


def test_the_axis_with_fewer_doublings_stops_first():
    assert sizes(Growth.of((1, 8, 32), (4, 4))) == [(1, 4, 4), (1, 8, 8), (1, 8, 16), (1, 8, 32)]


def test_the_offset_moves_the_seed():
    assert Growth.of((3, 64, 64), depth_offset=3).shape_at(0) == (3, 8, 8)


@pytest.mark.parametrize("shape", [(3, 20, 20), (3, 2, 2), (3, 64, 65), (3, 0, 0), (1, 100, 64)])
def test_a_size_that_does_not_halve(shape):
    with pytest.raises(UserError, match=f"{shape[1]}x{shape[2]}.*resize policy"):
        Growth.of(shape)


def test_a_seed_that_does_not_fit():
    with pytest.raises(UserError, match="width 24"):
        Growth.of((1, 16, 24), (4, 4))
    with pytest.raises(UserError, match="height 16"):
        Growth.of((1, 16, 16), (0, 4))


@pytest.mark.parametrize("depth", [-1, 3])
def test_depths_outside(depth):
    with pytest.raises(ValueError, match="outside 0 to 2"):
        Growth.of((1, 16, 16)).shape_at(depth)
