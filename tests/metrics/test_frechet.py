"""The Frechet distance against values known by hand and another formula, and the metric on sounds."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as st

from pggan_framework import UserError
from pggan_framework.metrics.base import Clips
from pggan_framework.metrics.frechet import Frechet, frechet_distance, gaussian_distance, standardized

RATE = 8000


def tones(hertz: np.ndarray, seed: int = 0, level: float = 0.3) -> Clips:  # type: ignore[type-arg]
    """Decaying tones with a little noise, [N, 2000]."""
    random = np.random.default_rng(seed)
    time = np.arange(2000) / RATE
    waves = (
        level * np.sin(2 * np.pi * hertz[:, None] * time) * np.exp(-8 * time * random.uniform(0.5, 2, (len(hertz), 1)))
    )
    return Clips((waves + 1e-3 * random.standard_normal(waves.shape)).astype(np.float32), RATE)


def pitches(count: int, seed: int) -> np.ndarray:  # type: ignore[type-arg]
    return 200 * 2 ** np.random.default_rng(seed).uniform(0, 2, count)


def test_diagonal_gaussians_by_hand() -> None:
    # (3 - 0)^2 + (0 - 4)^2 and (1 - 2)^2 + (3 - 5)^2: standard deviations 1, 3 and 2, 5.
    found = gaussian_distance(np.array([3.0, 0]), np.diag([1.0, 9]), np.array([0.0, 4]), np.diag([4.0, 25]))
    assert found == pytest.approx(25 + 5)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 12))
def test_agrees_with_the_matrix_square_root(seed: int, size: int) -> None:
    random = np.random.default_rng(seed)
    means = random.standard_normal((2, size))
    roots = random.standard_normal((2, size, size))
    first, second = (root @ root.T + 0.1 * np.eye(size) for root in roots)
    middle = np.trace(scipy.linalg.sqrtm(first @ second)).real
    wanted = np.sum((means[0] - means[1]) ** 2) + np.trace(first) + np.trace(second) - 2 * middle
    found = gaussian_distance(means[0], first, means[1], second)
    assert found == pytest.approx(wanted, rel=1e-6, abs=1e-6)
    assert gaussian_distance(means[1], second, means[0], first) == pytest.approx(found, rel=1e-6, abs=1e-6)


def test_singular_covariances() -> None:
    """Along one axis each: the common part is 0, and all of both traces counts."""
    zero = np.zeros(2)
    assert gaussian_distance(zero, np.diag([4.0, 0]), zero, np.diag([0.0, 9])) == pytest.approx(13)
    features = np.random.default_rng(0).standard_normal((5, 40))
    assert frechet_distance(features, features) == pytest.approx(0, abs=1e-6)
    assert frechet_distance(features, features + 2) == pytest.approx(4 * 40, rel=1e-6)


def test_standardising_keeps_to_the_reals_and_to_the_least_spread() -> None:
    reals = np.array([[0.0, 5.0], [4.0, 5.0]])
    found = standardized(reals, np.array([[6.0, 8.0]]), least=1.5)[1]
    assert found == pytest.approx(np.array([[(6 - 2) / 2, (8 - 5) / 1.5]]))


def test_other_sounds_are_farther_than_other_reals() -> None:
    reals = tones(pitches(100, 1), 1)
    floor = Frechet()(reals, tones(pitches(100, 2), 2))["frechet"]
    assert Frechet()(reals, reals)["frechet"] == pytest.approx(0, abs=1e-6)
    assert floor > 0
    assert Frechet()(reals, tones(1.3 * pitches(100, 2), 2))["frechet"] > 1.5 * floor
    noise = Clips(0.1 * np.random.default_rng(0).standard_normal((100, 2000)).astype(np.float32), RATE)
    assert Frechet()(reals, noise)["frechet"] > 20 * floor


def test_few_clips_are_refused() -> None:
    few = tones(pitches(63, 0))
    with pytest.raises(UserError, match="frechet: 63 clips per side given; allowed: 64 and up"):
        Frechet()(few, few)
