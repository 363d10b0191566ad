import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pggan_framework.data.sampling import indices


@given(seed=st.integers(-5, 2**40), length=st.integers(1, 40), epoch=st.integers(0, 5))
def test_every_epoch_shows_every_picture_once(seed, length, epoch):
    assert sorted(indices(seed, epoch * length, length, length)) == list(range(length))


@given(
    seed=st.integers(0, 99),
    length=st.integers(1, 20),
    start=st.integers(0, 100),
    sizes=st.lists(st.integers(0, 30), max_size=6),
)
def test_the_stream_does_not_depend_on_batch_sizes(seed, length, start, sizes):
    whole = indices(seed, start, sum(sizes), length)
    parts, position = [np.empty(0, np.int64)], start
    for size in sizes:
        parts.append(indices(seed, position, size, length))
        position += size
    assert whole.dtype == np.int64
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_epochs_and_seeds_have_different_orders():
    first, second = indices(1, 0, 50, 50), indices(1, 50, 50, 50)
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, indices(2, 0, 50, 50))


def test_the_order_is_random():
    # Over many epochs each image is first about equally often: 2000 / 5 = 400, standard deviation 18.
    firsts = np.bincount([indices(0, epoch * 5, 1, 5)[0] for epoch in range(2000)], minlength=5)
    assert firsts == pytest.approx([400] * 5, abs=90)
