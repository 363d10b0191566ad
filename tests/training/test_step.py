from copy import deepcopy
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pggan_framework.errors import UserError
from pggan_framework.losses import WGANGP
from pggan_framework.networks import Discriminator, Generator
from pggan_framework.networks.functional import fade
from pggan_framework.schedules.growth import Growth
from pggan_framework.training.optimizers import Adam
from pggan_framework.training.step import TrainingStep

RECTANGLE = Growth(1, (2, 8), ((False, True), (True, True), (True, False)))


def step_for(shape, seed=0, lr=1e-3):
    torch.manual_seed(seed)
    G, D = Generator(shape, 64, fmap_max=8, latent_size=6), Discriminator(shape, 64, fmap_max=8)
    adam = Adam()
    return TrainingStep(
        G, D, WGANGP(), adam.build(G.parameters(), lr), adam.build(D.parameters(), lr), lambda n: torch.randn(n, 6)
    )


def set_to(step, depth, alpha):
    for network in (step.G, step.D):
        network.depth = depth
        network.alpha = alpha


def test_fading_reals_by_hand():
    x = torch.tensor([[[[0.0, 4.0], [8.0, 12.0]]]])
    assert torch.equal(fade(x, partial(torch.lerp, weight=1.0), (2, 2)), x)
    assert torch.equal(fade(x, partial(torch.lerp, weight=0.0), (2, 2)), torch.full_like(x, 6))
    assert fade(x, partial(torch.lerp, weight=0.5), (2, 2)).flatten().tolist() == [3, 5, 7, 9]
    assert fade(x, partial(torch.lerp, weight=0.0), (1, 2)).flatten().tolist() == [2, 2, 10, 10]
    assert fade(x, partial(torch.lerp, weight=0.0), (2, 1)).flatten().tolist() == [4, 8, 4, 8]


@given(st.floats(0, 1), st.sampled_from([(1, 2), (2, 1), (2, 2)]))
@settings(deadline=None, max_examples=30)
def test_fading_keeps_every_box_mean(alpha, factor):
    x = torch.randn(2, 1, 4, 4, dtype=torch.float64)
    faded = fade(x, partial(torch.lerp, weight=alpha), factor)
    pool = torch.nn.functional.avg_pool2d
    torch.testing.assert_close(pool(faded, factor), pool(x, factor))


def test_d_sees_reals_faded_once():
    step = step_for([1, 8, 8])
    set_to(step, 1, 0.25)
    seen = []
    judge = step.D.judge
    step.D.judge = lambda images, *a, **k: seen.append(images) or judge(images, *a, **k)
    x = torch.randn(4, 1, 8, 8)
    step.discriminator_update(x)
    torch.testing.assert_close(seen[0][:4], fade(x, partial(torch.lerp, weight=0.25), (2, 2)))


@pytest.mark.parametrize("shape", [[3, 16, 16], RECTANGLE])
def test_each_update_moves_its_own_network_and_only_blocks_in_use(shape):
    step = step_for(shape)
    for depth, alpha in ((0, 1.0), (1, 0.5), (2, 1.0)):
        set_to(step, depth, alpha)
        G, D = deepcopy(step.G.state_dict()), deepcopy(step.D.state_dict())
        stats = step.discriminator_update(torch.randn(14, *step.G.growth.shape_at(depth)))
        assert set(stats) >= {"D_loss", "D_real", "D_fake", "gradient_penalty", "drift"}
        assert all(torch.equal(G[k], v) for k, v in step.G.state_dict().items())
        moved = {k for k, v in step.D.state_dict().items() if not torch.equal(D[k], v)}
        D = deepcopy(step.D.state_dict())
        assert "G_loss" in step.generator_update(14)
        assert all(torch.equal(D[k], v) for k, v in step.D.state_dict().items())
        assert all(p.requires_grad for p in step.D.parameters())
        moved |= {k for k, v in step.G.state_dict().items() if not torch.equal(G[k], v)}
        deeper = range(depth + 1, step.G.max_depth + 1)
        assert not any(k.startswith((f"blocks.{d}.", f"to_rgb.{d}.", f"from_rgb.{d}.")) for k in moved for d in deeper)
        assert {f"to_rgb.{depth}.weight", f"from_rgb.{depth}.weight", "score.weight"} <= moved
        assert all(torch.isfinite(value) for value in stats.values())
    for optimizer, network in ((step.D_optimizer, step.D), (step.G_optimizer, step.G)):
        names = {n.split(".")[1] for n, p in network.named_parameters() if p in optimizer.state and "blocks" in n}
        assert names == {"0", "1", "2"}


def test_alpha_is_state_not_a_constant():
    results = []
    for alpha in (0.2, 0.8):
        step = step_for([1, 8, 8])
        set_to(step, 1, alpha)
        torch.manual_seed(1)
        results.append(step.discriminator_update(torch.ones(4, 1, 8, 8))["D_real"])
    assert results[0] != results[1]


def test_a_critic_learns_to_tell_two_constants_apart():
    step = step_for([1, 4, 4], lr=0.01)
    for _ in range(60):
        stats = step.discriminator_update(torch.ones(8, 1, 4, 4) * 2)
    assert stats["D_real"] > stats["D_fake"] + 0.5


def test_adam_equals_its_formula_and_leaves_unused_parameters_alone():
    used, unused = torch.nn.Parameter(torch.tensor([1.0])), torch.nn.Parameter(torch.tensor([5.0]))
    optimizer = Adam(betas=(0.5, 0.9)).build([used, unused], lr=0.1)
    m = v = 0.0
    value = 1.0
    for t, gradient in enumerate((2.0, -1.0), 1):
        used.grad = torch.tensor([gradient])
        optimizer.step()
        m, v = 0.5 * m + 0.5 * gradient, 0.9 * v + 0.1 * gradient**2
        value -= 0.1 * (m / (1 - 0.5**t)) / ((v / (1 - 0.9**t)) ** 0.5 + 1e-8)
    assert used.item() == pytest.approx(value, abs=1e-6)
    assert unused.item() == 5 and unused not in optimizer.state


def test_settings_that_make_no_sense_are_told():
    with pytest.raises(UserError, match="Adam.betas"):
        Adam(betas=(0.0, 1.0))
    with pytest.raises(UserError, match="Adam.eps"):
        Adam(eps=0)


def test_moments_of_an_earlier_checkpoint_are_laid_out_as_the_weights():
    weights = [torch.nn.Parameter(torch.randn(3, 2, 3, 3).contiguous(memory_format=torch.channels_last))]
    other = [torch.nn.Parameter(weights[0].detach().contiguous())]
    state = {"step": torch.tensor(5.0), "exp_avg": torch.randn(3, 2, 3, 3), "exp_avg_sq": torch.rand(3, 2, 3, 3)}
    gradient = torch.randn(3, 2, 3, 3)
    for parameters in (weights, other):  # the second in the memory order of earlier versions
        optimizer = Adam((0.5, 0.9)).build(parameters, 0.1)
        optimizer.load_state_dict({**optimizer.state_dict(), "state": {0: deepcopy(state)}})
        parameters[0].grad = torch.empty_like(parameters[0]).copy_(gradient)
        optimizer.step()
    torch.testing.assert_close(weights[0], other[0])


@pytest.mark.parametrize("failing", ["folding D", "a term"])
def test_a_failed_update_leaves_no_kernels_in_the_layers(failing, monkeypatch):
    step = step_for((1, 8, 8))
    set_to(step, 1, 0.5)
    latents = torch.randn(4, 6)
    before = step.G(latents)

    def fail(*_):
        raise MemoryError

    monkeypatch.setattr(Discriminator, "used" if failing == "folding D" else "judge", fail)
    with pytest.raises(MemoryError):
        step.generator_update(len(latents))
    with torch.no_grad():
        for weight in step.G.parameters():
            weight.mul_(2)  # kernels that were left behind would not follow
    assert not torch.allclose(step.G(latents), before)
    assert not [module for module in (*step.G.modules(), *step.D.modules()) if "made" in vars(module)]
