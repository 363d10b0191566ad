"""The sliced Wasserstein distance against a plain computation of its definition, and what it has to tell apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.ndimage
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pggan_framework import UserError
from pggan_framework.metrics import sliced_wasserstein
from pggan_framework.metrics.base import Pictures
from pggan_framework.metrics.pyramid import laplacian_level, level_sizes
from pggan_framework.metrics.swd import SlicedWasserstein, directions, level_distance, patch_positions

Images = NDArray[np.uint8]
BINOMIAL = np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1]) / 256


def smooth(picture: NDArray[np.float64]) -> NDArray[np.float64]:
    """One channel [H, W]."""
    return np.asarray(scipy.ndimage.convolve(picture, BINOMIAL, mode="mirror"))


def plain_pyramid(picture: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """All levels of one channel [H, W], in float64."""
    levels = [picture]
    while min(levels[-1].shape) > 31 or (min(levels[-1].shape) + 1) // 2 >= 16:
        levels.append(smooth(levels[-1])[::2, ::2])
    for number, below in enumerate(levels[1:]):
        apart = np.zeros([2 * side for side in below.shape])
        apart[::2, ::2] = below
        height, width = levels[number].shape
        levels[number] = levels[number] - 4 * smooth(apart)[:height, :width]
    return levels


def plain_swd(real: Images, fake: Images, seed: int) -> dict[int, float]:
    """The definition, image by image and patch by patch."""
    pyramids = [
        [[plain_pyramid(channel.astype(np.float64)) for channel in image] for image in each] for each in (real, fake)
    ]
    found = {}
    for level in range(len(pyramids[0][0][0])):
        height, width = pyramids[0][0][0][level].shape
        places = patch_positions(len(real), height, width, seed)
        onto = directions(real.shape[1], height, width, seed)
        assert np.allclose(np.linalg.norm(onto.reshape(512, -1), axis=1), 1)
        sides = []
        for pyramid in pyramids:
            patches = np.array(
                [
                    [[channel[level][y : y + 7, x : x + 7] for channel in image] for y, x in places[number]]
                    for number, image in enumerate(pyramid)
                ]
            ).reshape(-1, real.shape[1], 7, 7)
            patches = patches - patches.mean((0, 2, 3), keepdims=True)
            patches = patches / patches.std((0, 2, 3), keepdims=True)
            sides.append(np.sort(np.tensordot(patches, onto, axes=([1, 2, 3], [1, 2, 3])), axis=0))
        found[min(height, width)] = 1000 * float(np.mean(np.abs(sides[0] - sides[1])))
    return found


def waves(count: int, shape: tuple[int, int, int], seed: int, fine: float = 0.2) -> Images:
    """Smooth images with a little grain."""
    random = np.random.default_rng(seed)
    channels, height, width = shape
    y, x = np.mgrid[:height, :width] / max(height, width)
    phase, turns = random.uniform(0, 6, (count, channels, 1, 1)), random.uniform(1, 6, (2, count, 1, 1, 1))
    values = np.sin(phase + turns[0] * y + turns[1] * x) + fine * random.standard_normal((count, *shape))
    return np.clip(128 + 80 * values, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("shape", [(3, 64, 64), (1, 32, 80), (2, 37, 50), (4, 16, 16)])
def test_equals_the_plain_computation(shape: tuple[int, int, int]) -> None:
    real, fake = waves(5, shape, 0), waves(5, shape, 1, 0.4)
    found, wanted = sliced_wasserstein(real, fake, seed=7), plain_swd(real, fake, 7)
    assert list(found) == list(wanted)
    for side, value in wanted.items():
        assert found[side] == pytest.approx(value, rel=1e-5)
    assert found.average == pytest.approx(np.mean(list(wanted.values())), rel=1e-5)


def test_more_pictures_than_a_batch_equal_the_plain_computation() -> None:
    real, fake = waves(70, (1, 16, 16), 0), waves(70, (1, 16, 16), 1)
    assert sliced_wasserstein(real, fake)[16] == pytest.approx(plain_swd(real, fake, 0)[16], rel=1e-5)


@settings(max_examples=20, deadline=None)
@given(st.integers(16, 60), st.integers(16, 60), st.integers(0, 99))
def test_levels_equal_the_plain_pyramid_and_add_up(height: int, width: int, seed: int) -> None:
    picture = np.random.default_rng(seed).uniform(0, 255, (height, width))
    wanted = plain_pyramid(picture)
    assert [level.shape for level in wanted] == level_sizes(height, width)
    for number, level in enumerate(wanted):
        found = laplacian_level(torch.from_numpy(picture)[None, None], number)[0, 0].numpy()
        np.testing.assert_allclose(found, level, atol=1e-9)


def test_equal_sets_have_no_distance_and_the_sides_can_be_swapped() -> None:
    real, fake = waves(20, (3, 32, 32), 0), waves(20, (3, 32, 32), 1)
    assert sliced_wasserstein(real, real) == {32: 0.0, 16: 0.0}
    assert sliced_wasserstein(fake, real) == pytest.approx(sliced_wasserstein(real, fake))


def test_the_seed_alone_decides() -> None:
    real, fake = waves(20, (1, 16, 16), 0), waves(20, (1, 16, 16), 1)
    assert sliced_wasserstein(real, fake, 3) == sliced_wasserstein(real, fake, 3)
    assert sliced_wasserstein(real, fake, 3) != sliced_wasserstein(real, fake, 4)
    np.testing.assert_array_equal(patch_positions(9, 20, 30, 1)[:4], patch_positions(4, 20, 30, 1))
    places = patch_positions(50, 20, 30)
    assert places.min() == 0 and places[..., 0].max() == 13 and places[..., 1].max() == 23


def test_blur_shows_in_the_fine_level_and_grows() -> None:
    real, other = waves(50, (1, 64, 64), 0), waves(50, (1, 64, 64), 1)
    floor = sliced_wasserstein(real, other)
    blurred = [
        sliced_wasserstein(real, scipy.ndimage.gaussian_filter(other, (0, 0, s, s), mode="mirror")) for s in (0.5, 1)
    ]
    assert 1.5 * floor[64] < blurred[0][64] < blurred[1][64]
    assert blurred[1][16] < 1.1 * floor[16]


def test_noise_and_shuffled_pixels_are_far_off() -> None:
    real, other = waves(50, (1, 32, 32), 0, 0.02), waves(50, (1, 32, 32), 1, 0.02)
    random = np.random.default_rng(0)
    floor = sliced_wasserstein(real, other).average
    noisy = [np.clip(other + s * random.standard_normal(other.shape), 0, 255).astype(np.uint8) for s in (20, 80)]
    shuffled = random.permuted(other.reshape(50, -1), axis=1).reshape(other.shape)
    values = [sliced_wasserstein(real, fake).average for fake in (*noisy, shuffled)]
    assert 1.5 * floor < values[0] < values[1] < values[2]


def test_a_channel_that_does_not_vary_counts_for_nothing() -> None:
    real, fake = waves(20, (3, 16, 16), 0), waves(20, (3, 16, 16), 1)
    real[:, 1], fake[:, 1] = 255, 10
    found = sliced_wasserstein(real, fake)[16]
    assert np.isfinite(found) and found > 0
    black = np.zeros_like(real)
    assert sliced_wasserstein(black, black + 9) == {16: 0.0}


def test_pictures_in_a_file_give_the_same(tmp_path: Path) -> None:
    real, fake = waves(80, (1, 16, 16), 0), waves(80, (1, 16, 16), 1)
    np.save(tmp_path / "real.npy", real)
    stored = np.load(tmp_path / "real.npy", mmap_mode="r")
    assert sliced_wasserstein(stored, fake) == sliced_wasserstein(real, fake)


@pytest.mark.parametrize(
    ("real", "fake", "message"),
    [
        (np.zeros((4, 3, 16, 16), np.uint8), np.zeros((5, 3, 16, 16), np.uint8), "allowed: as many, of the same shape"),
        (np.zeros((4, 3, 16, 16)), np.zeros((4, 3, 16, 16)), r"float64 \[4, 3, 16, 16\]; allowed: uint8"),
        (np.zeros((4, 16, 16), np.uint8), np.zeros((4, 16, 16), np.uint8), r"allowed: uint8 \[N, C, H, W\]"),
        (np.zeros((0, 1, 16, 16), np.uint8), np.zeros((0, 1, 16, 16), np.uint8), r"uint8 \[0, 1"),
        (np.zeros((4, 3, 64, 8), np.uint8), np.zeros((4, 3, 64, 8), np.uint8), "64x8 have no level; allowed: 16 pix"),
    ],
)
def test_what_cannot_be_compared(real: Images, fake: Images, message: str) -> None:
    with pytest.raises(UserError, match=message):
        sliced_wasserstein(real, fake)


def test_the_metric_names_its_levels() -> None:
    real, fake = waves(20, (1, 32, 64), 0), waves(20, (1, 32, 64), 1)
    found = SlicedWasserstein()(Pictures(real), Pictures(fake))
    wanted = sliced_wasserstein(real, fake)
    assert found == {"swd.32": wanted[32], "swd.16": wanted[16], "swd.average": wanted.average}
    with pytest.raises(UserError, match="swd needs images of 16 pixels or more a side"):
        SlicedWasserstein()(Pictures(real[:, :, :8]), Pictures(fake[:, :, :8]))
    with pytest.raises(UserError, match="swd: 1 image per side given; allowed: 2 and up"):
        SlicedWasserstein()(Pictures(real[:1]), Pictures(fake[:1]))


@pytest.mark.parametrize(("shape", "seed"), [((5, 3, 32, 48), 0), ((33, 1, 16, 16), 3)])
def test_plain_torch_as_on_a_gpu_finds_the_same(shape: tuple[int, ...], seed: int) -> None:
    random = np.random.default_rng(seed)
    real, fake = (random.integers(0, limit, shape, dtype=np.uint8) for limit in (256, 200))
    found = sliced_wasserstein(real, fake, seed)
    for level, value in enumerate(found.values()):
        same = 1000 * level_distance(real, fake, level, seed, torch.device("cpu"))
        assert same == pytest.approx(value, rel=1e-5)
