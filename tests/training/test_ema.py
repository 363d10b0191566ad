import pytest
import torch

from pggan_framework.errors import UserError
from pggan_framework.networks import Generator
from pggan_framework.training.ema import EMA


def small():
    torch.manual_seed(0)
    return Generator([1, 8, 8], 32, fmap_max=4, latent_size=3)


def fill(network, value):
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.fill_(value)
            parameter.grad = torch.zeros_like(parameter)


@pytest.mark.parametrize("batch", [10, 25, 250])
def test_half_life_does_not_depend_on_the_batch(batch):
    G, ema = small(), EMA(half_life_kimg=0.5, rampup=0)
    fill(G, 0.0)
    ema.attach(G)
    fill(G, 1.0)
    for _ in range(500 // batch):
        ema.update(G, 10_000, batch)
    for parameter in ema.generator.parameters():
        torch.testing.assert_close(parameter, torch.full_like(parameter, 0.5))


def test_rampup_shortens_the_half_life_early():
    ema = EMA(half_life_kimg=10, rampup=0.05)
    assert ema.decay(0, 16) == 0
    assert ema.decay(20_000, 1000) == pytest.approx(0.5)
    assert ema.decay(10**6, 10_000) == pytest.approx(0.5)


def test_a_new_blocks_weights_have_a_rampup_of_their_own():
    G, ema = small(), EMA(half_life_kimg=1000, rampup=0.5)
    ema.attach(G)
    fill(G, 0.0)
    new = list(G.blocks[1].parameters())
    for parameter in new:
        parameter.grad = None
    ema.update(G, 10_000, 100)
    fill(G, 1.0)
    for _ in range(10):
        ema.update(G, 20_000, 100)
    averaged = dict(ema.generator.named_parameters())
    # Old weights: half of 10,100 images; new ones, born a batch ago, half of 100, so that 100 more leave a quarter.
    assert float(averaged["blocks.0.conv.bias"][0]) == pytest.approx(1 - 0.5 ** (1000 / 5050), rel=1e-4)
    assert float(averaged["blocks.1.first.bias"][0]) == pytest.approx(1, abs=1e-5)


def test_the_average_follows_depth_and_alpha_but_takes_no_gradient():
    G, ema = small(), EMA()
    ema.attach(G)
    G.depth = 1
    G.alpha = 0.25
    ema.update(G, 1000, 16)
    average = ema.generator
    assert average.depth == 1 and average.alpha == 0.25 and average.fading and not average.training
    assert not any(p.requires_grad for p in average.parameters())
    z = torch.randn(2, 3)
    torch.testing.assert_close(average(z), G(z))
    G.alpha = 1
    G.depth = 0
    ema.update(G, 1000, 16)
    assert not average.fading and average(z).shape == (2, 1, 4, 4)


def test_state_is_restored():
    G, ema = small(), EMA(rampup=0)
    ema.attach(G)
    fill(G, 3.0)
    ema.update(G, 1000, 100)
    other = EMA(rampup=0)
    other.attach(small())
    other.load_state_dict(ema.state_dict())
    for a, b in zip(ema.generator.parameters(), other.generator.parameters(), strict=True):
        assert torch.equal(a, b)


def test_misuse_is_told():
    with pytest.raises(UserError, match="half_life_kimg -1"):
        EMA(half_life_kimg=-1)
    with pytest.raises(RuntimeError, match="attach"):
        _ = EMA().generator
