"""The unrolled discriminator: G's loss and gradient against a D some steps on, which itself stays unchanged."""

from copy import deepcopy

import pytest
import torch

from pggan_framework.errors import UserError
from pggan_framework.losses import GDPP, R2, WGANGP, StepContext, UnrolledD
from pggan_framework.networks import Discriminator, Generator
from pggan_framework.training.optimizers import Adam
from pggan_framework.training.step import TrainingStep


class Counting(Discriminator):
    """Counts its passes in a buffer, as batch norm would."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.register_buffer("passes", torch.zeros(()))

    def judge(self, images, labels=None, parts=1):
        self.passes += 1
        return super().judge(images, labels, parts)


@pytest.fixture
def step():
    """Networks at depth 1, mid-fade, after one update of D: Adam has moments and a step count."""
    torch.manual_seed(2)
    G, D = Generator([1, 8, 8], 32, fmap_max=4, latent_size=3), Counting([1, 8, 8], 32, fmap_max=4)
    for network in (G.double(), D.double()):
        network.depth, network.alpha = 1, 0.5
    adams = [Adam((0.3, 0.9)).build(network.parameters(), 0.01) for network in (G, D)]
    made = TrainingStep(G, D, WGANGP(iwass_epsilon=0.1), *adams, lambda n: torch.randn(n, 3).double())
    made.discriminator_update(torch.randn(4, 1, 8, 8).double())
    made.context = lambda: StepContext("G", G, D, *given, D_optimizer=made.D_optimizer)
    given = torch.randn(4, 3).double(), torch.randn(4, 1, 8, 8).double()
    return made


def total(step, loss):
    torch.manual_seed(7)  # the same interpolates
    return loss.total(step.context())


def state(step):
    return deepcopy([step.D.state_dict(), step.D_optimizer.state_dict()])


def same(a, b):
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return all(same(*pair) for pair in zip(a, b, strict=True))
    return a == b


@pytest.mark.parametrize("first_order", [False, True])
@pytest.mark.parametrize("steps", [1, 3])
def test_the_loss_is_that_of_a_D_that_was_trained_on(step, steps, first_order):
    before = state(step)
    context = step.context()
    torch.manual_seed(7)
    value = UnrolledD(step.loss, steps, first_order).total(context)
    torch.autograd.backward(value)
    assert same(before, state(step)), "D or its optimizer changed"

    D = deepcopy(step.D)
    adam = torch.optim.Adam(D.parameters(), lr=0.01, betas=(0.3, 0.9), eps=1e-8)
    adam.load_state_dict(deepcopy(step.D_optimizer.state_dict()))
    torch.manual_seed(7)
    fakes = context.fakes.detach()
    for _ in range(steps):
        adam.zero_grad(set_to_none=True)
        D_total = step.loss.total(StepContext("D", step.G, D, context.latents, context.reals, fakes=fakes))
        D_total.backward()
        adam.step()
    assert float(value.detach()) == pytest.approx(-float(D(fakes).mean().detach()), rel=1e-9)
    assert float(context.stats["unrolled_D_loss"]) == pytest.approx(float(D_total.detach()), rel=1e-9)
    assert float(context.stats["G_loss"]) == float(value.detach())


@pytest.mark.parametrize("further", [[], [R2()], [GDPP()]], ids=["WGANGP", "R2", "GDPP"])
def test_the_gradient_flows_through_the_steps(step, further):
    loss = UnrolledD(step.loss, 2) + further
    weight, place = step.G.blocks[0].conv.weight, (1, 0, 2, 1)
    gradients = {}
    for name, kind in [("full", loss), ("first", UnrolledD(loss.loss, 2, True)), ("none", loss.loss)]:
        (gradients[name],) = torch.autograd.grad(total(step, kind), weight)
    ends = []
    for shift in (1e-6, -1e-6):
        with torch.no_grad():
            weight[place] += shift
        ends.append(float(total(step, loss).detach()))
        with torch.no_grad():
            weight[place] -= shift
    assert float(gradients["full"][place]) == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-4)
    for a, b in [("full", "first"), ("first", "none"), ("full", "none")]:
        assert not torch.allclose(gradients[a], gradients[b], rtol=1e-3), (a, b)


def test_an_update_of_D_is_as_without(step):
    context = [StepContext("D", step.G, step.D, torch.zeros(4, 3).double(), torch.ones(4, 1, 8, 8).double())] * 2
    assert torch.equal(UnrolledD(step.loss).total(context[0]), step.loss.total(context[1]))


def test_a_first_update_has_no_moments_and_a_finite_gradient():
    torch.manual_seed(0)
    G, D = Generator([1, 4, 4], 32, fmap_max=4, latent_size=3), Discriminator([1, 4, 4], 32, fmap_max=4)
    with torch.no_grad():
        D.blocks[0].dense.bias.fill_(-100)  # dead features: gradients that are zero
    adam = Adam().build(D.parameters(), 0.001)
    context = StepContext("G", G, D, torch.randn(4, 3), torch.randn(4, 1, 4, 4), D_optimizer=adam)
    UnrolledD(WGANGP(), 2).total(context).backward()
    assert all(torch.isfinite(p.grad).all() for p in G.blocks.parameters())
    assert not adam.state


def test_what_is_refused(step):
    with pytest.raises(UserError, match=r"UnrolledD.steps 0 is not allowed"):
        UnrolledD(step.loss, 0)
    step.D_optimizer = torch.optim.SGD(step.D.parameters(), 0.1)
    with pytest.raises(UserError, match="D is trained by SGD"):
        total(step, UnrolledD(step.loss))
