"""The difference of sorted sets found by counting, against sorting them in float64."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pggan_framework.metrics import sliced_wasserstein, swd
from pggan_framework.metrics.counting import mean_difference

Floats = NDArray[np.float32]
RANDOM = np.random.default_rng(0)


def by_sorting(a: Floats, b: Floats) -> float:
    return float(np.abs(np.sort(a).astype(np.float64) - np.sort(b).astype(np.float64)).mean())


def normal(count: int, mean: float = 0, spread: float = 1) -> Floats:
    return RANDOM.normal(mean, spread, count).astype(np.float32)


@pytest.mark.parametrize("count", [1, 2, 7, 1000, 200_003])
@pytest.mark.parametrize(
    "name", ["alike", "apart", "wider", "far", "outlier", "two_outliers", "ties", "integers", "tails", "large", "tiny"]
)
def test_equals_sorting(name: str, count: int) -> None:
    a, b = normal(count), normal(count)
    if name == "apart":
        b += 0.5
    elif name == "wider":
        b *= 3
    elif name == "far":
        b += 1000
    elif name == "outlier":
        a[count // 2] = 1e9
    elif name == "two_outliers":
        a[0], b[-1] = -3e5, 7e4
    elif name == "ties":
        a, b = np.where(a > 0, np.float32(0.1), a), np.where(b > 0.1, np.float32(0.1), b)
    elif name == "integers":
        a, b = np.round(2 * a), np.round(2 * b + 0.3)
    elif name == "tails":
        a, b = a / normal(count), b / normal(count)
    elif name == "large":
        a, b = a + 1e6, b + 1e6
    elif name == "tiny":
        a, b = a * np.float32(1e-30), b * np.float32(1e-30)
    wanted = by_sorting(a, b)
    # float64 sums of numbers about a million lose what is a billionth of them
    assert mean_difference(a, b) == pytest.approx(wanted, rel=1e-9 if name != "large" else 1e-5, abs=0)


@settings(max_examples=60, deadline=None)
@given(st.data(), st.integers(1, 60), st.sampled_from([2**-10, 1, 300]))
def test_small_sets_with_ties_equal_sorting(data: st.DataObject, count: int, largest: float) -> None:
    number = st.floats(-largest, largest, width=16) | st.integers(-3, 3)
    lists = [data.draw(st.lists(number, min_size=count, max_size=count)) for _ in range(2)]
    a, b = (np.array(each, np.float32) for each in lists)
    wanted = by_sorting(a, b)
    assert mean_difference(a.copy(), b.copy()) == pytest.approx(wanted, rel=1e-9, abs=1e-12 * largest)
    assert mean_difference(b, a) == pytest.approx(wanted, rel=1e-9, abs=1e-12 * largest)


def test_equal_sets_in_any_order_give_exactly_nothing() -> None:
    a = normal(100_000)
    assert mean_difference(a, a.copy()) == 0
    assert mean_difference(a, RANDOM.permutation(a)) == 0
    assert mean_difference(np.full(5, 0.3, np.float32), np.full(5, 0.3, np.float32)) == 0
    assert mean_difference(np.full(5, 2, np.float32), np.full(5, 3.5, np.float32)) == 1.5


def test_the_distance_is_the_same_counted_and_sorted(monkeypatch: pytest.MonkeyPatch) -> None:
    real, fake = RANDOM.integers(0, 256, (2, 40, 3, 32, 32), dtype=np.uint8)
    wanted = sliced_wasserstein(real, fake)
    monkeypatch.setattr(swd, "_MANY", 1)
    counted = sliced_wasserstein(real, fake)
    assert counted == pytest.approx(wanted, rel=1e-6) and counted != wanted
    assert sliced_wasserstein(real, real) == {32: 0.0, 16: 0.0}
