"""The paper's phases against its closed formula."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pggan_framework.schedules.growth import by_depth
from pggan_framework.schedules.phases import phases


def closed_formula(n, T, F, max_depth):
    passes, rest = divmod(n, T + F)
    fading = rest >= T
    depth = min(max_depth, passes + fading)
    alpha = (rest - T) / F if F and fading and passes + fading <= max_depth else 1.0
    return depth, alpha


lengths = st.integers(0, 3000)


@given(st.integers(0, 50_000), lengths, lengths, st.integers(0, 8))
def test_constant_lengths_follow_the_closed_formula(n, T, F, max_depth):
    if T + F == 0:
        assert phases(max_depth, T, F).at(n) == (max_depth, 1.0)
    else:
        assert phases(max_depth, T, F).at(n) == pytest.approx(closed_formula(n, T, F, max_depth))


@given(
    st.dictionaries(st.integers(0, 5), lengths, max_size=3),
    st.dictionaries(st.integers(0, 5), lengths, max_size=3),
    st.integers(0, 20_000),
    st.integers(0, 500),
)
def test_growth_never_goes_back(stable, fades, n, more):
    schedule = phases(5, 700, 300, stable, fades)
    before, after = schedule.at(n), schedule.at(n + more)
    assert before <= after and 0 <= before[1] <= 1


def test_lengths_of_each_depth_by_hand():
    # 15 at depth 0; then 6 + 8, 3.5 + 5.5 and 3 + 7 thousand.
    schedule = phases(3, 15_000, 0, {1: 8000, 2: 5500, 3: 7000}, {1: 6000, 2: 3500, 3: 3000})
    assert [schedule.start(d) for d in range(4)] == [0, 15_000, 29_000, 38_000]
    assert [schedule.faded_in(d) for d in range(4)] == [0, 21_000, 32_500, 41_000]
    assert schedule.at(14_999) == (0, 1.0)
    assert schedule.at(15_000) == (1, 0.0)
    assert schedule.at(18_000) == (1, 0.5)
    assert schedule.at(21_000) == (1, 1.0)
    assert schedule.at(39_500) == (3, 0.5)
    assert schedule.at(10**9) == (3, 1.0)


def test_negative_lengths_and_unknown_depths_are_refused():
    with pytest.raises(ValueError, match="negative"):
        phases(3, -1, 10)
    with pytest.raises(ValueError, match="outside 0 to 3"):
        phases(3, 1, 1).start(4)


def test_the_largest_key_up_to_the_depth_counts():
    table = {6: 14, 7: 6, 8: 3}
    assert [by_depth(table, 16, d) for d in (0, 5, 6, 7, 8, 9)] == [16, 16, 14, 6, 3, 3]
