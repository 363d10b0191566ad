import numpy as np
import pytest
import torch

from pggan_framework.playing.interpolate import crossfade, slerp, walk


def test_slerp_by_hand():
    a, b = torch.tensor([2.0, 0.0]), torch.tensor([0.0, 4.0])
    # a third of 90 degrees is 30; the length a third of the way from 2 to 4
    length = 2 + 2 / 3
    expected = torch.tensor([length * 3**0.5 / 2, length / 2])
    torch.testing.assert_close(slerp(a, b, 1 / 3), expected)
    torch.testing.assert_close(slerp(a, b, 0.0), a)
    torch.testing.assert_close(slerp(a, b, 1.0), b)


@pytest.mark.parametrize("factor", [1.0, 3.0])
def test_latents_of_one_direction_are_joined_by_a_line(factor):
    a = torch.tensor([1.0, -2.0, 0.5])
    torch.testing.assert_close(slerp(a, factor * a, 0.25), a * (1 + 0.25 * (factor - 1)))
    assert slerp(a, -a, 0.5).isfinite().all()


def test_normal_latents_keep_their_length():
    a, b = torch.randn(2, 512, generator=torch.Generator().manual_seed(0))
    middle = slerp(a, b, 0.5).norm()
    assert middle == pytest.approx(float(a.norm() + b.norm()) / 2, rel=1e-5)
    assert torch.lerp(a, b, 0.5).norm() < 0.8 * middle


def test_a_walk_passes_its_latents():
    latents = list(torch.randn(3, 8, generator=torch.Generator().manual_seed(0)))
    way = walk(latents, 4)
    assert len(way) == 9
    for place, latent in zip((0, 4, 8), latents, strict=True):
        assert torch.equal(way[place], latent)
    steps = [float(torch.dot(x / x.norm(), y / y.norm())) for x, y in zip(way[:4], way[1:5], strict=True)]
    np.testing.assert_allclose(steps, steps[0], rtol=1e-5)  # steps of one angle


@pytest.mark.parametrize("hop", [1000, 900, 500, 200])
def test_crossfades_keep_the_power_of_noises(hop):
    random = np.random.default_rng(0)
    waves = [random.standard_normal((2, 1000)).astype(np.float32) for _ in range(40)]
    joined = crossfade(waves, 40, hop)
    assert joined.shape == (2, 39 * hop + 1000) and joined.dtype == np.float32
    block = max(hop, 500)
    power = [np.mean(joined[:, start : start + block] ** 2) for start in range(0, joined.shape[1] - block, block)]
    assert np.mean(power) == pytest.approx(1, abs=0.03)
    assert np.std(power) < 0.08


def test_crossfade_by_hand():
    ones = np.ones((1, 4), np.float32)
    # an overlap of two samples: quarter sines at half places, sin(22.5) + cos(22.5), their squares summing to 1
    edge = np.sin(np.pi / 8) + np.cos(np.pi / 8)
    np.testing.assert_allclose(crossfade([ones, ones], 2, 2)[0], [1, 1, edge, edge, 1, 1], rtol=1e-6)
    np.testing.assert_allclose(crossfade([ones], 1, 4)[0], [1, 1, 1, 1])
    np.testing.assert_allclose(crossfade([ones, -ones], 2, 4)[0], [1] * 4 + [-1] * 4)
