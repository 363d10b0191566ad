"""MS-SSIM against torchmetrics where that goes, a plain computation below, and as a metric of variety."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.ndimage
import torch
from numpy.typing import NDArray
from torchmetrics.functional.image import multiscale_structural_similarity_index_measure

from pggan_framework import UserError
from pggan_framework.metrics import ms_ssim
from pggan_framework.metrics.base import Pictures
from pggan_framework.metrics.structural import MSSSIM, random_pairs

Images = NDArray[np.uint8]
WEIGHTS = [0.0448, 0.2856, 0.3001, 0.2363, 0.1333]


def clouds(count: int, shape: tuple[int, int, int], seed: int = 0, width: float = 3) -> Images:
    random = np.random.default_rng(seed)
    values = scipy.ndimage.gaussian_filter(random.standard_normal((count, *shape)), (0, 0, width, width))
    return np.clip(128 + 60 * values / values.std(), 0, 255).astype(np.uint8)


def noisy(images: Images, level: float, seed: int = 0) -> Images:
    noise = level * np.random.default_rng(seed).standard_normal(images.shape)
    return np.clip(images + noise, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("shape", [(3, 176, 176), (1, 181, 200)])
def test_equals_torchmetrics(shape: tuple[int, int, int]) -> None:
    a = clouds(2, shape)
    others = {"noise": noisy(a, 30), "other": clouds(2, shape, 1), "negative": 255 - a, "brighter": a // 2 + 100}
    for name, b in others.items():
        wanted = multiscale_structural_similarity_index_measure(
            torch.from_numpy(a).double(), torch.from_numpy(b).double(), data_range=255.0
        )
        assert ms_ssim(a, b) == pytest.approx(float(wanted), abs=1e-4), name


def plain(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """One channel [H, W], by loops over the window's places."""
    result = 1.0
    for scale, weight in enumerate(WEIGHTS):
        if scale:
            a, b = ((x[::2, ::2] + x[1::2, ::2] + x[::2, 1::2] + x[1::2, 1::2]) / 4 for x in (a, b))
        size = min(11, *a.shape)
        steps = np.arange(size) - (size - 1) / 2
        line = np.exp(-(steps**2) / (2 * (1.5 * size / 11) ** 2))
        window = np.outer(line, line) / line.sum() ** 2
        values = []
        for y in range(a.shape[0] - size + 1):
            for x in range(a.shape[1] - size + 1):
                p, q = (each[y : y + size, x : x + size] for each in (a, b))
                mp, mq = (window * p).sum(), (window * q).sum()
                spread = (window * (p - mp) ** 2).sum() + (window * (q - mq) ** 2).sum()
                value = (2 * (window * (p - mp) * (q - mq)).sum() + 7.65**2) / (spread + 7.65**2)
                if scale == 4:
                    value *= (2 * mp * mq + 2.55**2) / (mp**2 + mq**2 + 2.55**2)
                values.append(value)
        result *= max(float(np.mean(values)), 0) ** weight
    return result


@pytest.mark.parametrize("shape", [(1, 16, 16), (1, 32, 48)])
def test_windows_shrink_with_small_pictures(shape: tuple[int, int, int]) -> None:
    a = clouds(1, shape, width=2)
    b = noisy(a, 25)
    assert ms_ssim(a, b) == pytest.approx(plain(a[0, 0].astype(float), b[0, 0].astype(float)), abs=1e-5)


def test_equal_pictures_and_more_and_more_noise() -> None:
    a = clouds(5, (3, 64, 64))
    values = [ms_ssim(a, noisy(a, level)) for level in (0, 5, 20, 60)]
    assert values[0] == pytest.approx(1, abs=1e-6)
    assert values == sorted(values, reverse=True) and values[3] < 0.9
    white = np.full_like(a, 255)
    assert ms_ssim(white, white) == pytest.approx(1, abs=1e-6)


def test_the_mean_over_more_pairs_than_a_batch() -> None:
    a, b = clouds(3, (3, 400, 400)), clouds(3, (3, 400, 400), 1)
    assert ms_ssim(a, b) == pytest.approx(np.mean([ms_ssim(a[k : k + 1], b[k : k + 1]) for k in range(3)]), abs=1e-6)


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        (np.zeros((2, 1, 16, 16), np.uint8), np.zeros((3, 1, 16, 16), np.uint8), "allowed: pairs of the same shape"),
        (np.zeros((2, 1, 8, 64), np.uint8), np.zeros((2, 1, 8, 64), np.uint8), "8x64 are too small for five scales"),
        (np.zeros((2, 1, 16, 16)), np.zeros((2, 1, 16, 16)), "float64"),
        (np.zeros((2, 16, 16), np.uint8), np.zeros((2, 16, 16), np.uint8), r"allowed: uint8 \[N, C, H, W\]"),
        (np.zeros((0, 1, 16, 16), np.uint8), np.zeros((0, 1, 16, 16), np.uint8), r"uint8 \[0, 1"),
    ],
)
def test_what_cannot_be_compared(a: Images, b: Images, message: str) -> None:
    with pytest.raises(UserError, match=message):
        ms_ssim(a, b)


def test_pairs_are_different_and_of_two() -> None:
    every = {(int(i), int(j)) for i, j in random_pairs(9, 1000)}
    assert every == {(i, j) for j in range(9) for i in range(j)}
    some = random_pairs(3000, 500)
    assert len({tuple(pair) for pair in some.tolist()}) == 500
    assert some.min() >= 0 and some.max() < 3000 and np.all(some[:, 0] < some[:, 1])
    assert abs(some.mean() - 1499.5) < 150


def test_collapse_raises_the_metric() -> None:
    metric = MSSSIM(pairs=100)
    varied = clouds(20, (1, 32, 32))
    figures = [metric(Pictures(varied), Pictures(np.repeat(varied[:n], 20 // n, axis=0))) for n in (20, 4, 1)]
    values = [each["ms_ssim"] for each in figures]
    assert values[0] < values[1] < values[2] == pytest.approx(1, abs=1e-6)
    pairs = [ms_ssim(varied[[i]], varied[[j]]) for j in range(3) for i in range(j)]
    assert metric.compare(varied, varied[:3])["ms_ssim"] == pytest.approx(np.mean(pairs), abs=1e-6)


def test_the_metric_refuses() -> None:
    with pytest.raises(UserError, match=r"ms_ssim\.pairs 0 is not allowed; allowed: 1 and up"):
        MSSSIM(pairs=0)
    small = Pictures(np.zeros((3, 1, 8, 8), np.uint8))
    with pytest.raises(UserError, match="ms_ssim needs images of 16 pixels or more a side"):
        MSSSIM()(small, small)
