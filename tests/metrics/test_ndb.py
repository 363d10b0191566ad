"""NDB and JSD on clusters planted by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon

from pggan_framework import UserError
from pggan_framework.metrics.ndb import NDB, different_bins, jensen_shannon


def planted(counts: list[int], seed: int) -> np.ndarray:  # type: ignore[type-arg]
    """Points about the corners (10, 0, 0 ...), (0, 10, 0 ...) ..., so many about each."""
    corners = 10 * np.eye(len(counts))
    points = np.repeat(corners, counts, axis=0)
    return points + 0.1 * np.random.default_rng(seed).standard_normal(points.shape)


def test_divergence_against_scipy_and_at_its_ends() -> None:
    first, second = np.array([5, 1, 0, 4]), np.array([2, 2, 3, 3])
    assert jensen_shannon(first, second) == pytest.approx(jensenshannon(first, second, base=2) ** 2)
    assert jensen_shannon(first, 3 * first) == pytest.approx(0, abs=1e-12)
    assert jensen_shannon(np.array([4, 0]), np.array([0, 9])) == pytest.approx(1)


def test_proportions_by_hand() -> None:
    # 50 and 70 of 100: pooled 0.6, standard error sqrt(.24 * .02) = .0693, z = 2.89; 50 and 60: z = 1.42.
    assert different_bins(np.array([50, 50]), np.array([70, 30])) == 2
    assert different_bins(np.array([50, 50]), np.array([60, 40])) == 0
    assert different_bins(np.array([50, 50, 0]), np.array([50, 50, 0])) == 0


def test_a_missing_kind_is_found() -> None:
    reals = planted([100, 100, 100, 100], 0)
    same = NDB(bins=4).compare(reals, planted([103, 97, 95, 105], 1))
    assert same["ndb.share"] == 0
    assert same["ndb.jsd"] < 0.001
    missing = NDB(bins=4).compare(reals, planted([400, 0, 0, 0], 1))
    assert missing["ndb.share"] == 1
    # shares 1/4 four times, and 1: half the relative entropies to (5/8, 1/8, 1/8, 1/8).
    wanted = (0.25 * np.log2(0.25 / 0.625) + 0.75 * np.log2(0.25 / 0.125) + np.log2(1 / 0.625)) / 2
    assert missing["ndb.jsd"] == pytest.approx(wanted)


def test_small_sets_get_fewer_bins_and_too_small_ones_none() -> None:
    reals = planted([10, 10], 0)
    assert NDB().compare(reals, planted([20, 0], 1))["ndb.share"] == 1
    with pytest.raises(UserError, match="ndb: 19 clips per side given; allowed: 20 and up"):
        NDB().compare(reals, reals[:19])
    with pytest.raises(UserError, match="ndb.bins 1 is not allowed"):
        NDB(bins=1)
