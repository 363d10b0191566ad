"""Penalties on D's gradient: values by a formula in numpy, gradients by finite differences."""

import numpy as np
import pytest
import torch

from pggan_framework.errors import UserError
from pggan_framework.losses import R1, R2, GradientPenalty, StepContext, ZeroGP
from pggan_framework.networks import Discriminator, Generator
from pggan_framework.networks.base import DiscriminatorBase, Verdict
from pggan_framework.schedules.growth import Growth

GROWTH = Growth(1, (2, 2), ())
A = np.array([[0.5, -1.0], [2.0, 0.25]])
B = np.array([[1.0, 0.1], [-0.3, 0.7]])


class Quadratic(DiscriminatorBase):
    """D(x) = sum(a x + b x^2 / 2), so that the gradient at x is a + b x."""

    def __init__(self):
        super().__init__(GROWTH)
        self.a = torch.nn.Parameter(torch.from_numpy(A))
        self.b = torch.nn.Parameter(torch.from_numpy(B))

    def judge(self, images, labels=None, parts=1):
        scores = (self.a * images + self.b * images.square() / 2).sum((1, 2, 3))
        return Verdict(scores, images.flatten(1))


def context(batch=5):
    random = np.random.default_rng(batch)
    reals, fakes = random.normal(size=(2, batch, 1, 2, 2))
    mixing = random.uniform(size=(batch, 1, 1, 1))
    tensors = [torch.from_numpy(array) for array in (reals, mixing, fakes)]
    G = Generator(GROWTH, 8, latent_size=2, fmap_max=2)
    step = StepContext("D", G, Quadratic(), torch.zeros(batch, 2), tensors[0], mixing=tensors[1], fakes=tensors[2])
    return step, reals, fakes, mixing


def norms(x):
    return np.sqrt(((A + B * x) ** 2).sum((1, 2, 3)))


@pytest.mark.parametrize("batch", [1, 5, 12])
def test_values(batch):
    step, reals, fakes, mixing = context(batch)
    between = norms(reals + mixing * (fakes - reals))
    for penalty, wanted in [
        (GradientPenalty(), ((between - 1) ** 2).mean()),
        (GradientPenalty(target=750), ((between - 750) ** 2).mean() / 750**2),
        (GradientPenalty(target=2.2, one_sided=True), (np.maximum(between - 2.2, 0) ** 2).mean() / 2.2**2),
        (ZeroGP(), (between**2).mean()),
        (R1(), (norms(reals) ** 2).mean() / 2),
        (R2(), (norms(fakes) ** 2).mean() / 2),
    ]:
        assert float(penalty(step).detach()) == pytest.approx(wanted, rel=1e-12), penalty.name
    assert float(step.stats["gradient_norm"]) == pytest.approx(between.mean(), rel=1e-12)


def test_one_side_is_left_alone():
    step, *_ = context()
    value = GradientPenalty(target=100, one_sided=True)(step)
    assert float(value.detach()) == 0
    value.backward()
    assert not step.D.a.grad.any()


@pytest.mark.parametrize("penalty", [GradientPenalty(target=1.5), ZeroGP(), R1(), R2()], ids=lambda p: p.name)
def test_gradients_by_finite_differences(penalty):
    torch.manual_seed(5)
    G = Generator([1, 8, 8], 32, fmap_max=4, latent_size=3).double()
    D = Discriminator([1, 8, 8], 32, fmap_max=4).double()
    latents, reals = torch.randn(4, 3).double(), torch.randn(4, 1, 8, 8).double()
    mixing = torch.rand(4, 1, 1, 1).double()

    def value():
        return penalty(StepContext("D", G, D, latents, reals, mixing=mixing))

    for weight, place in [(D.from_rgb[1].weight, (0, 0, 0, 0)), (D.blocks[1].first.weight, (1, 0, 2, 1))]:
        (gradient,) = torch.autograd.grad(value(), weight)
        ends = []
        for shift in (1e-5, -1e-5):
            with torch.no_grad():
                weight[place] += shift
            ends.append(float(value().detach()))
            with torch.no_grad():
                weight[place] -= shift
        assert float(gradient[place]) == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=1e-5)
        assert abs(float(gradient[place])) > 1e-6
    assert all(p.grad is None for p in G.parameters())


def test_a_flat_critic_gives_a_finite_gradient():
    step, *_ = context()
    with torch.no_grad():
        step.D.a.zero_()
        step.D.b.zero_()
    weights = [step.D.a, step.D.b]
    for penalty in (GradientPenalty(), ZeroGP(), R1(), R2()):
        value = penalty(step)
        assert all(torch.isfinite(g).all() for g in torch.autograd.grad(value, weights, retain_graph=True))


def test_a_target_of_zero_is_refused():
    with pytest.raises(UserError, match=r"GradientPenalty.target 0 is not allowed.*ZeroGP"):
        GradientPenalty(target=0)
