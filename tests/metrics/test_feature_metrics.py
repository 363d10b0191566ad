"""FID, KID, Inception score, precision and recall, density and coverage, nearest: against values worked out apart."""

from __future__ import annotations

from math import exp, log

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pggan_framework import UserError
from pggan_framework.metrics import evaluate_pictures
from pggan_framework.metrics.base import Pictures
from pggan_framework.metrics.copying import Nearest, copying
from pggan_framework.metrics.deep import Eye, FeatureMetric, attach
from pggan_framework.metrics.extractors import build_extractor
from pggan_framework.metrics.fid import FID
from pggan_framework.metrics.inception_score import InceptionScore, inception_scores
from pggan_framework.metrics.kid import KID, subset_distances
from pggan_framework.metrics.manifold import (
    DensityCoverage,
    PrecisionRecall,
    density_and_coverage,
    precision_and_recall,
)
from pggan_framework.metrics.neighbours import nearest, radii
from pggan_framework.metrics.report import measure
from pggan_framework.metrics.rows import Rows

Numbers = NDArray[np.float64]


@pytest.fixture(scope="module")
def eye() -> Eye:
    return Eye(build_extractor("random"))


def normal(count: int, size: int, seed: int) -> Numbers:
    return np.random.default_rng(seed).standard_normal((count, size))


def noise(count: int, seed: int, side: int = 8) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (count, 3, side, side), dtype=np.uint8)


def whitened(count: int, size: int, seed: int) -> Numbers:
    """Features whose mean is exactly 0 and whose covariance is exactly 1."""
    drawn = normal(count, size, seed)
    drawn -= drawn.mean(0)
    values, vectors = np.linalg.eigh(np.cov(drawn, rowvar=False))
    return drawn @ (vectors / np.sqrt(values)) @ vectors.T


def test_fid_of_gaussians_is_the_closed_form(eye: Eye) -> None:
    """Sum of (m1 - m2)^2 + (s1 - s2)^2 where the axes are the same."""
    metric = FID()
    metric.eye = eye
    spreads, others = np.array([1.0, 2, 0.5]), np.array([3.0, 1, 0])
    means = np.array([0.5, -1, 2])
    reals, fakes = whitened(80, 3, 0) * spreads, whitened(90, 3, 1) * others + means
    found = metric.compare(reals.astype(np.float32), fakes.astype(np.float32))
    assert found == {"fid_random": pytest.approx((means**2).sum() + ((spreads - others) ** 2).sum(), rel=1e-4)}
    assert metric.compare(reals, reals)["fid_random"] == pytest.approx(0, abs=1e-9)


def by_loops(x: Numbers, y: Numbers) -> float:
    """The unbiased squared maximum mean discrepancy, pair by pair."""
    size, features = x.shape

    def k(a: Numbers, b: Numbers) -> float:
        return float((sum(a[i] * b[i] for i in range(features)) / features + 1) ** 3)

    within = sum(k(z[i], z[j]) for z in (x, y) for i in range(size) for j in range(size) if i != j)
    across = sum(k(x[i], y[j]) for i in range(size) for j in range(size))
    return within / (size * (size - 1)) - 2 * across / size**2


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.integers(2, 6))
def test_kid_of_each_subset_by_loops(seed: int, features: int, size: int) -> None:
    random = np.random.default_rng(seed)
    x, y = random.standard_normal((7, features)), random.standard_normal((9, features)) + 1
    chosen = [[random.choice(len(each), size, replace=False) for each in (x, y)] for _ in range(3)]
    members = [np.zeros((3, len(each)), np.bool_) for each in (x, y)]
    for subset, pair in enumerate(chosen):
        for side, rows in enumerate(pair):
            members[side][subset, rows] = True
    found = subset_distances(x, y, *members)
    assert found == pytest.approx([by_loops(x[a], y[b]) for a, b in chosen], rel=1e-9, abs=1e-9)


def test_kid_agrees_with_torchmetrics() -> None:
    from torchmetrics.image.kid import poly_mmd

    x, y = normal(80, 12, 0), normal(80, 12, 1) * 1.2
    members = np.zeros((1, 80), np.bool_)
    members[0, 20:60] = True
    wanted = poly_mmd(torch.from_numpy(x[20:60]), torch.from_numpy(y[20:60]))
    assert subset_distances(x, y, members, members) == pytest.approx([float(wanted)], rel=1e-9)


def test_kid_has_no_bias(eye: Eye) -> None:
    """Of two halves of one distribution it is 0 within its spread, at 64 as at 640; FID is far from it at 64."""
    metric = KID(subsets=200)
    metric.eye = eye
    for count in (64, 640):
        found = metric.compare(normal(count, 20, 2), normal(count, 20, 3))
        assert abs(found["kid_random"]) < 4 * found["kid_random.std"] + 0.02
        assert found["kid_random.std"] > 0


def test_inception_score_by_hand() -> None:
    sure = np.log(np.array([[1 - 2e-9, 1e-9, 1e-9], [1e-9, 1 - 2e-9, 1e-9], [1e-9, 1e-9, 1 - 2e-9]]))
    assert inception_scores(sure, 1)[0] == pytest.approx(3, rel=1e-6)  # one class each, three together
    assert inception_scores(np.zeros((4, 5)), 1)[0] == pytest.approx(1)
    assert inception_scores(sure[[0, 0, 0]], 1)[0] == pytest.approx(1)
    # p = (3/4, 1/4) and (1/4, 3/4), their mean (1/2, 1/2): log score 3/4 log(3/2) + 1/4 log(1/2).
    half = np.array([[log(3), 0], [0, log(3)]])
    wanted = exp(0.75 * log(1.5) + 0.25 * log(0.5))
    assert inception_scores(half + 7, 1)[0] == pytest.approx(wanted)
    assert inception_scores(np.concatenate([half, np.zeros((2, 2))]), 2) == pytest.approx([wanted, 1])
    assert np.isfinite(inception_scores(np.array([[2000.0, 0], [0, 2000]]), 1)).all()


def test_inception_score_needs_classes_and_pictures(eye: Eye) -> None:
    metric = InceptionScore(splits=4)
    assert "is a classifier; none is not" in metric.lacks(Pictures(noise(1, 0)))
    metric.eye = eye
    assert "is a classifier; random is not" in metric.lacks(Pictures(noise(1, 0)))
    assert set(metric.compare(normal(8, 3, 0), normal(8, 3, 0))) == {"is_random", "is_random.std"}
    with pytest.raises(UserError, match="is: 7 images per side given; allowed: 8 and up"):
        metric.compare(normal(8, 3, 0), normal(7, 3, 0))
    with pytest.raises(UserError, match=r"is\.splits 0 is not allowed"):
        InceptionScore(splits=0)


def brute(reals: Numbers, others: Numbers, k: int) -> tuple[float, float, float, float]:
    """Precision, recall, density and coverage by their definitions."""

    def apart(a: Numbers, b: Numbers) -> float:
        return float(np.sqrt(((a - b) ** 2).sum()))

    def reach(rows: Numbers) -> list[float]:
        return [sorted(apart(a, b) for j, b in enumerate(rows) if j != i)[k - 1] for i, a in enumerate(rows)]

    real, other = reach(reals), reach(others)
    precision = np.mean([any(apart(y, x) <= r for x, r in zip(reals, real, strict=True)) for y in others])
    recall = np.mean([any(apart(x, y) <= r for y, r in zip(others, other, strict=True)) for x in reals])
    density = sum(apart(y, x) <= r for y in others for x, r in zip(reals, real, strict=True)) / (k * len(others))
    coverage = np.mean([any(apart(y, x) <= r for y in others) for x, r in zip(reals, real, strict=True)])
    return float(precision), float(recall), density, float(coverage)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.floats(0, 3))
def test_balls_by_brute_force(seed: int, k: int, shift: float) -> None:
    random = np.random.default_rng(seed)
    reals, others = random.standard_normal((9, 2)), random.standard_normal((7, 2)) + shift
    wanted = brute(reals, others, k)
    assert precision_and_recall(reals, others, k) == pytest.approx(wanted[:2])
    assert density_and_coverage(reals, others, k) == pytest.approx(wanted[2:])


def test_balls_on_a_line() -> None:
    """Reals at 0, 1, 2, 3 and, alone, 10; k = 1: balls of 1, that about 10 of 7. A lone outlier holds 4.5."""
    reals = np.array([[0.0], [1], [2], [3], [10]])
    others = np.array([[0.5], [4.5], [-2], [0.6], [0.4]])
    precision, _ = precision_and_recall(reals, others, 1)
    assert precision == pytest.approx(4 / 5)
    density, coverage = density_and_coverage(reals, others, 1)
    assert density == pytest.approx(7 / 5)  # three are in two balls each, one in that of 10
    assert coverage == pytest.approx(3 / 5)


def test_kth_distance_and_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    """In blocks and chunks as in one, and exactly 0 of an equal row."""
    rows, others = normal(11, 3, 0), normal(17, 3, 1)
    others[5] = rows[2]
    distances = np.sqrt(((rows[:, None] - others[None]) ** 2).sum(-1))
    for block, chunk in ((512, 8192), (4, 3), (3, 16)):
        monkeypatch.setattr("pggan_framework.metrics.neighbours._BLOCK", block)
        monkeypatch.setattr("pggan_framework.metrics.neighbours._CHUNK", chunk)
        places, found = nearest(rows, others, 4)
        assert np.array_equal(places, np.argsort(distances, axis=1)[:, :4])
        assert found == pytest.approx(np.sort(distances, axis=1)[:, :4])
        assert found[2, 0] == 0 and places[2, 0] == 5
        own = np.array([3, 9, 16])
        places, _ = nearest(others[own], others, 2, own)
        among = np.sqrt(((others[own][:, None] - others[None]) ** 2).sum(-1))
        among[np.arange(3), own] = np.inf
        assert np.array_equal(places, np.argsort(among, axis=1)[:, :2])
        groups = np.arange(17) // 3
        places, _ = nearest(others[own], others, 2, groups[own], groups)
        among[groups[own][:, None] == groups] = np.inf
        assert np.array_equal(places, np.argsort(among, axis=1)[:, :2])
        inner = np.sort(np.sqrt(((rows[:, None] - rows[None]) ** 2).sum(-1)), axis=1)
        assert np.sqrt(radii(rows, 2)) == pytest.approx(inner[:, 2])


def test_copies_are_found_and_others_are_not(eye: Eye) -> None:
    """Images of the same kind are as far from the reals as those are from one another; copies are not."""
    metric = Nearest()
    metric.eye = eye
    reals, fresh = noise(200, 0), noise(200, 1)
    half = np.concatenate([reals[:100], fresh[:100]])
    found = {
        name: metric(Pictures(reals), Pictures(images))
        for name, images in {"fresh": fresh, "copied": reals[::-1].copy(), "half": half}.items()
    }
    assert found["fresh"]["nearest_random.copies"] < 0.05
    assert found["fresh"]["nearest_random.ratio"] == pytest.approx(1, abs=0.05)
    assert found["copied"] == {"nearest_random.ratio": pytest.approx(0, abs=1e-3), "nearest_random.copies": 1}
    assert found["half"]["nearest_random.copies"] == pytest.approx(0.5, abs=0.03)


def test_copying_by_hand() -> None:
    usual = np.arange(1.0, 101)  # median 50.5, first percentile 1.99
    assert copying(np.array([1.0, 1.9, 2.1, 60, 70]), usual) == (pytest.approx(2.1 / 50.5), 2 / 5)
    # Where the data have twins, only what is as good as equal is a copy.
    assert copying(np.array([0.0, 0.001, 5]), np.array([0.0] * 5 + [1.0] * 95))[1] == pytest.approx(2 / 3)


def test_one_pass_serves_all_and_order_is_right(eye: Eye, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each batch is looked at once, its features are kept once, and worse sets get worse values."""
    looks: list[int] = []
    look = Eye._look

    def counted(self: Eye, images: NDArray[np.uint8]) -> object:
        looks.append(len(images))
        return look(self, images)

    monkeypatch.setattr(Eye, "_look", counted)
    metrics: list[FeatureMetric] = [FID(), KID(), PrecisionRecall(), DensityCoverage(), Nearest()]
    for metric in metrics:
        metric.eye = eye
    batches = [Pictures(noise(20, seed)) for seed in range(4)]
    kept = measure(metrics, batches, 80)
    assert looks == [20] * 4
    assert all(kept[metric.name] is kept["fid"] or kept[metric.name].base is kept["fid"].base for metric in metrics)
    assert kept["kid"].shape == (80, 320) and kept["kid"].dtype == np.float32
    flat = measure(metrics, [Pictures(noise(80, 9) // 4)], 80)
    same = measure(metrics, [Pictures(noise(80, 10))], 80)
    for metric, better in zip(metrics, ("fid", "kid", "precision", "coverage", "nearest"), strict=True):
        names = {"nearest": "nearest_random.ratio"}
        name = names.get(better, f"{better}_random")
        good, bad = (metric.compare(kept[metric.name], each[metric.name])[name] for each in (same, flat))
        assert (good > bad) == (better in ("precision", "coverage")), name


def test_rows_on_disk_are_those_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pggan_framework.metrics.rows.LARGE", 100)
    rows, parts = Rows(9), [normal(4, 5, 0), normal(3, 5, 1)]
    for part in parts:
        rows.add(part)
    found = rows.array()
    assert isinstance(found, np.memmap)
    assert np.array_equal(found, np.concatenate(parts))
    with pytest.raises(ValueError, match="nothing to measure"):
        Rows(3).array()


def test_from_python_with_an_extractor_of_choice() -> None:
    reals, fakes = noise(140, 0, 16), noise(70, 1, 16) // 2
    found = evaluate_pictures(reals, fakes, ["fid", "kid", "precision_recall", "swd"], extractor="random")
    assert found["fid_random"] > 2 * found["fid_random.floor"]
    assert found["kid_random"] > 5 * abs(found["kid_random.floor"])
    assert found["precision_random"] < found["precision_random.floor"]
    assert "swd.16" in found
    with pytest.raises(UserError, match="unknown extractor 'vgg'"):
        evaluate_pictures(reals, fakes, ["fid"], extractor="vgg")
    with pytest.raises(UserError, match="fid needs images of 1, 3 or 4 channels; these have 2"):
        evaluate_pictures(reals[:, :2], fakes[:, :2], ["fid"], extractor="random")
    assert attach([], "lite0") is None


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: KID(subsets=0), r"kid\.subsets 0 is not allowed; allowed: 1 and up"),
        (lambda: KID(subset_size=1), r"kid\.subset_size 1 is not allowed; allowed: 2 and up"),
        (lambda: PrecisionRecall(0), r"precision_recall\.neighbours 0 is not allowed; allowed: 1 and up"),
        (
            lambda: DensityCoverage(40).compare(normal(40, 2, 0), normal(50, 2, 0)),
            "density_coverage: 40 .*; allowed: 41 and up",
        ),
        (lambda: FID().compare(normal(63, 2, 0), normal(64, 2, 0)), "fid: 63 images per side given; allowed: 64"),
    ],
)
def test_what_is_refused(make: object, message: str) -> None:
    assert callable(make)
    with pytest.raises(UserError, match=message):
        make()
