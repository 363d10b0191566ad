import numpy as np
import pytest
import torch

from pggan_framework.generate.interpolate import Place, crossfade, slerp, steps_of, walk


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
    way = [place.latent for place in walk([Place(latent) for latent in latents], 4)]
    assert len(way) == steps_of(3, 4) == 9
    for place, latent in zip((0, 4, 8), latents, strict=True):
        assert torch.equal(way[place], latent)
    steps = [float(torch.dot(x / x.norm(), y / y.norm())) for x, y in zip(way[:4], way[1:5], strict=True)]
    np.testing.assert_allclose(steps, steps[0], rtol=1e-5)  # steps of one angle


def test_a_loop_leads_back_to_where_it_began():
    latents = list(torch.randn(3, 8, generator=torch.Generator().manual_seed(0)))
    way = [place.latent for place in walk([Place(latent) for latent in latents], 2, loop=True)]
    assert len(way) == steps_of(3, 2, loop=True) == 6
    for place, latent in zip((0, 2, 4), latents, strict=True):
        assert torch.equal(way[place], latent)
    torch.testing.assert_close(way[5], slerp(latents[2], latents[0], 0.5))


def test_what_is_seen_of_labels_changes_evenly():
    a, b = Place(torch.ones(2), torch.tensor([1.0, 0.0])), Place(torch.ones(2), torch.tensor([0.0, 1.0]))
    seen = [place.condition.tolist() for place in walk([a, b], 4)]
    assert seen == [[1, 0], [0.75, 0.25], [0.5, 0.5], [0.25, 0.75], [0, 1]]


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


@pytest.mark.parametrize("hop", [1000, 900, 500])
def test_a_crossfade_in_a_circle_keeps_the_power_where_it_closes(hop):
    random = np.random.default_rng(0)
    powers = []
    for _ in range(60):
        waves = [random.standard_normal((1, 1000)).astype(np.float32) for _ in range(3)]
        joined = crossfade(waves, 3, hop, loop=True)
        assert joined.shape == (1, 3 * hop)
        powers.append(joined[0] ** 2)
    seam = np.roll(np.mean(powers, axis=0), 250)[:500]
    assert np.mean(seam) == pytest.approx(1, abs=0.03)
    by_hand = crossfade([np.ones((1, 4), np.float32), np.ones((1, 4), np.float32)], 2, 3, loop=True)[0]
    edge = 2 * np.sin(np.pi / 4)  # fades of one sample, at 45 degrees, whose squares sum to 1
    np.testing.assert_allclose(by_hand, [edge, 1, 1, edge, 1, 1], rtol=1e-6)
