import numpy as np
import pytest
import torch
from scipy import stats
from tiny import TONES

from pggan_framework import run as train
from pggan_framework.errors import UserError
from pggan_framework.generate.player import Player
from pggan_framework.generate.seeds import parse_seeds, seeds_from
from pggan_framework.models.pretrained import Pretrained, load_generator
from pggan_framework.networks import DCGANGenerator, Generator
from pggan_framework.runs.folders import snapshots
from pggan_framework.schedules.growth import Growth


def of_size(latent_size):
    generator = Generator(Growth.of((1, 8, 8)), fmap_base=16, fmap_max=2, latent_size=latent_size)
    return Pretrained(generator.eval(), None, 0, {})


@pytest.mark.parametrize("psi", [0.3, 1.0, 2.0])
def test_truncated_latents_are_truncated_normal(psi):
    model = of_size(20_000)
    latent = model.latents(1, 3, psi)[0].numpy()
    assert abs(latent).max() <= psi
    assert stats.kstest(latent, stats.truncnorm(-psi, psi).cdf).pvalue > 0.001
    whole = model.latents(1, 3)[0].numpy()
    inside = abs(whole) <= psi
    np.testing.assert_array_equal(latent[inside], whole[inside])


def test_truncated_latents_depend_on_their_seed_alone():
    model = of_size(8)
    first = model.latents(1, 5, 0.5)
    assert torch.equal(model.latents(3, 5, 0.5)[:1], first)
    assert torch.equal(Player(model, truncation=0.5).latent(5), first[0])
    assert not torch.equal(model.latents(1, 6, 0.5), first)
    assert torch.equal(model.latents(2, 5, 100.0), model.latents(2, 5))
    with pytest.raises(ValueError, match="truncation 0 is not above 0"):
        model.latents(1, 0, 0)


def test_seeds():
    assert parse_seeds("0-3,77") == [0, 1, 2, 3, 77]
    assert parse_seeds(" 5, 2-2,5") == [5, 2, 5]
    assert seeds_from(4, 3) == [4, 5, 6]
    for text in ("", "1,", "a", "3-1", "-4", "1-2-3", "1.5", "٣-x"):
        with pytest.raises(UserError, match="allowed: numbers and ascending ranges"):
            parse_seeds(text)
    for text in ("0-1000000", "4294967296"):
        with pytest.raises(UserError, match="too many or too large seeds"):
            parse_seeds(text)


def test_a_smaller_depth_is_whole_and_leaves_the_model_alone():
    model = of_size(8)
    model.generator.depth, model.generator.alpha = 1, 0.25
    latents = model.latents(2)
    small = model.at_depth(0)
    assert small.generate(latents).shape == (2, 1, 4, 4)
    assert (model.generator.depth, float(model.generator.alpha), float(small.generator.alpha)) == (1, 0.25, 1.0)
    network = model.generator
    seed = network.blocks[0](latents * torch.rsqrt(latents.square().mean(1, keepdim=True) + 1e-8))
    by_hand = network.to_rgb[0](seed).detach().numpy().clip(-1, 1)
    np.testing.assert_allclose(small.generate(latents), by_hand, atol=1e-5)
    assert model.at_depth(1) is model
    with pytest.raises(UserError, match=r"up to depth 1; allowed: 0 \(4x4\) to 1 \(8x8\)"):
        model.at_depth(2)


def test_what_does_not_grow_has_one_depth():
    model = Pretrained(DCGANGenerator((1, 16, 16), fmap_base=2, latent_size=4).eval(), None, 0, {})
    with pytest.raises(UserError, match=r"allowed: 2 \(16x16\)"):
        model.at_depth(1)


def test_averaged_and_raw_weights(tmp_path):
    path = snapshots(train(config=[], overrides={**TONES, "total_kimg": 0.05, "result_dir": str(tmp_path)}).path)[-1]
    state = torch.load(path, weights_only=True)
    averaged, raw = load_generator(path), load_generator(path, "raw")
    for model, expected in ((averaged, state["ema"]), (raw, state["networks"]["G"])):
        for name, tensor in model.generator.state_dict().items():
            assert torch.equal(tensor, expected[name])
    assert np.abs(averaged.sample(2) - raw.sample(2)).max() > 0
    assert raw.generator.depth == averaged.generator.depth
