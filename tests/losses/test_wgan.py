import numpy as np
import pytest
import torch

from pggan_framework.errors import UserError
from pggan_framework.losses import WGANGP, StepContext
from pggan_framework.networks import Discriminator, Generator
from pggan_framework.networks.base import DiscriminatorBase, Verdict

SMALL = {"fmap_base": 64, "fmap_max": 8}


def networks(depth=2, alpha=0.4):
    torch.manual_seed(0)
    G, D = Generator([2, 16, 16], latent_size=6, **SMALL).double(), Discriminator([2, 16, 16], **SMALL).double()
    for network in (G, D):
        network.depth = depth
        network.alpha = alpha
    return G, D


def plain_scores(D, x):
    """D from stock torch operations alone, whose double backward is PyTorch's own."""
    from torch.nn import functional as F

    def layer(conv, x):
        w = conv.weight
        return F.conv2d(x, w * (2 / w[0].numel()) ** 0.5, conv.bias, padding=w.shape[-1] // 2)

    d, act = D.depth, lambda x: F.leaky_relu(x, 0.2)
    y = act(layer(D.from_rgb[d], x))
    for i in range(d, 0, -1):
        y = act(F.avg_pool2d(layer(D.blocks[i].second, act(layer(D.blocks[i].first, y))), 2))
        if i == d:
            old = act(layer(D.from_rgb[i - 1], F.avg_pool2d(x, 2)))
            y = torch.lerp(old, y, D.alpha)
    n, groups = len(y), -(-len(y) // 4)
    std = torch.stack([(y[i % groups :: groups].var(0, unbiased=False) + 1e-8).sqrt().mean() for i in range(n)])
    y = torch.cat([y, std.view(n, 1, 1, 1).expand(n, 1, 4, 4)], 1)
    y = act(layer(D.blocks[0].conv, y)).flatten(1)
    dense = D.blocks[0].dense
    y = act(F.linear(y, dense.weight * (2 / dense.weight.shape[1]) ** 0.5, dense.bias))
    return F.linear(y, D.score.weight / D.score.weight.shape[1] ** 0.5, D.score.bias)[:, 0]


@pytest.mark.parametrize("batch", [8, 6])
@pytest.mark.parametrize("depth,alpha", [(0, 1.0), (1, 0.4), (2, 0.4), (2, 1.0)])
def test_losses_and_gradients_equal_a_reference(depth, alpha, batch):
    G, D = networks(depth, alpha)
    reals = torch.randn(batch, *G.growth.shape_at(depth), dtype=torch.float64)
    latents, mixing = torch.randn(batch, 6, dtype=torch.float64), torch.rand(batch, 1, 1, 1, dtype=torch.float64)
    loss = WGANGP(iwass_lambda=7.0, iwass_epsilon=0.02, iwass_target=3.0)
    context = StepContext("D", G, D, latents, reals, mixing=mixing)
    total = loss.total(context)
    parameters = list(D.parameters())
    got = torch.autograd.grad(total, parameters, allow_unused=True)

    fakes = G(latents).detach()
    x = (reals + mixing * (fakes - reals)).requires_grad_()
    (slope,) = torch.autograd.grad(plain_scores(D, x).sum(), x, create_graph=True)
    penalty = ((slope.square().sum((1, 2, 3)).sqrt() - 3) ** 2).mean()
    real, fake = plain_scores(D, reals), plain_scores(D, fakes)
    wanted = fake.mean() - real.mean() + 7 / 9 * penalty + 0.02 * real.square().mean()
    torch.testing.assert_close(total, wanted)
    for a, b in zip(got, torch.autograd.grad(wanted, parameters, allow_unused=True), strict=True):
        if a is None:
            assert b is None or not b.any()
        else:
            torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-11)
    stats = context.stats
    assert stats["D_real"] == pytest.approx(real.mean().item())
    assert stats["D_fake"] == pytest.approx(fake.mean().item())
    assert stats["gradient_penalty"] == pytest.approx(penalty.item() / 9)
    assert stats["drift"] == pytest.approx(real.square().mean().item())
    assert not any(value.requires_grad for value in stats.values())


def test_generator_loss_and_gradient():
    G, D = networks()
    latents = torch.randn(5, 6, dtype=torch.float64)
    total = WGANGP().total(StepContext("G", G, D, latents))
    wanted = -plain_scores(D, G(latents)).mean()
    torch.testing.assert_close(total, wanted)
    p = G.blocks[0].dense.weight
    torch.testing.assert_close(torch.autograd.grad(total, p), torch.autograd.grad(wanted, p))


class Linear(DiscriminatorBase):
    """D(x) = w . x, so that the gradient at every x is w."""

    def __init__(self, growth, weight):
        super().__init__(growth)
        self.weight = torch.nn.Parameter(weight)
        self.judged = 0

    def judge(self, images, labels=None, parts=1):
        self.judged += 1
        return Verdict((images * self.weight).sum((1, 2, 3)), images.flatten(1))


@pytest.mark.parametrize("batch", [1, 4, 9])
def test_the_penalty_of_a_linear_critic_does_not_depend_on_the_batch(batch):
    G, _ = networks(2, 1.0)
    weight = torch.zeros(2, 16, 16, dtype=torch.float64)
    weight[0, 0, 0], weight[1, 2, 3] = 3, 4
    context = StepContext(
        "D", G, Linear(G.growth, weight), torch.randn(batch, 6).double(), torch.randn(batch, 2, 16, 16).double()
    )
    WGANGP().total(context)
    assert context.stats["gradient_norm"] == pytest.approx(5)
    assert context.stats["gradient_penalty"] == pytest.approx(16)


def test_a_flat_critic_gives_a_finite_gradient():
    G, _ = networks(2, 1.0)
    D = Linear(G.growth, torch.zeros(2, 16, 16, dtype=torch.float64))
    context = StepContext("D", G, D, torch.randn(4, 6).double(), torch.randn(4, 2, 16, 16).double())
    (gradient,) = torch.autograd.grad(WGANGP().total(context), D.weight)
    assert torch.isfinite(gradient).all()


def test_nothing_unused_is_computed():
    G, D = networks(2, 1.0)
    critic = Linear(G.growth, torch.ones(2, 16, 16, dtype=torch.float64))
    for weight, passes in ((10.0, 2), (0.0, 1)):
        critic.judged = 0
        context = StepContext("D", G, critic, torch.randn(4, 6).double(), torch.randn(4, 2, 16, 16).double())
        WGANGP(iwass_lambda=weight).total(context)
        assert critic.judged == passes
    assert np.array_equal(context.fakes.requires_grad, False)
    with pytest.raises(RuntimeError, match="given no reals"):
        _ = StepContext("G", G, D, torch.randn(4, 6).double()).reals


def test_wrong_weights_are_told():
    with pytest.raises(UserError, match="iwass_lambda -1"):
        WGANGP(iwass_lambda=-1)
    with pytest.raises(UserError, match="iwass_target 0"):
        WGANGP(iwass_target=0)
