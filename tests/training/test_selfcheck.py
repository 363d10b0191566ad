"""The look before training: it finds terms that train nothing or the wrong network, and leaves no trace."""

from copy import deepcopy

import pytest
import torch
from tiny import TONES

from pggan_framework import UserError, run
from pggan_framework.labels.attributes import collect
from pggan_framework.losses import (
    GDPP,
    R1,
    R2,
    TV,
    WGANGP,
    Consistency,
    GradientPenalty,
    HingeGAN,
    PullAway,
    StandardGAN,
    Term,
    UnrolledD,
    ZeroGP,
)
from pggan_framework.losses.auxiliary import AuxiliaryClassifier
from pggan_framework.losses.base import Sum
from pggan_framework.networks import Discriminator, Generator
from pggan_framework.runs.folders import snapshots
from pggan_framework.training.optimizers import Adam
from pggan_framework.training.selfcheck import check_gradients
from pggan_framework.training.step import TrainingStep

SPACE, _ = collect({"pitch": [60, 61, 62], "who": ["a", "b", "b"]})


class Counting(Discriminator):
    """Counts its passes in a buffer, as batch norm would."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.register_buffer("passes", torch.zeros(()))

    def judge(self, images, labels=None, parts=1):
        self.passes += 1
        return super().judge(images, labels, parts)


def step_for(loss, label_space=None):
    torch.manual_seed(0)
    G = Generator([1, 16, 16], 32, fmap_max=4, latent_size=3, label_space=label_space)
    D = Counting([1, 16, 16], 32, fmap_max=4, dropout=0.3, label_space=label_space)
    for network in (G, D):
        network.depth, network.alpha = 1, 0.25
    adam = Adam()
    optimizers = [adam.build(network.parameters(), 0.001) for network in (G, D)]
    return TrainingStep(G, D, loss, *optimizers, lambda n: torch.randn(n, 3))


EVERY = [GradientPenalty(one_sided=True, target=1e6), ZeroGP(), R1(), R2(), TV(), Consistency(margin=1e6), PullAway()]
EVERY += [PullAway(of="pictures", centred=True), GDPP()]


@pytest.mark.parametrize("penalty", EVERY, ids=lambda p: p.name)
@pytest.mark.parametrize("space", [None, SPACE], ids=["", "labelled"])
def test_every_penalty_passes(penalty, space):
    loss = HingeGAN() + penalty.terms
    check_gradients(step_for(loss + AuxiliaryClassifier().terms if space else loss, space))


def test_an_unrolled_loss_passes():
    check_gradients(step_for(UnrolledD(WGANGP() + [PullAway()], 2)))


class OfLatents(Term):
    """Zero-centred pull-away gone wrong: of the latents alone."""

    name, side = "of_latents", "G"

    def __call__(self, context):
        return context.latents.square().mean()


class OfReals(Term):
    """Scores of reals, which G cannot change."""

    name, side, needs_reals = "of_reals", "G", True

    def __call__(self, context):
        return context.real_verdict.scores.mean()


class OfBoth(Term):
    """Makes its own fakes and forgets to cut them off."""

    name, side = "of_both", "D"

    def __call__(self, context):
        return context.D(context.G(context.latents)).mean()


class OfNothing(Term):
    """Loses the gradient on its way through numpy."""

    name, side = "of_nothing", "D"

    def __call__(self, context):
        return torch.from_numpy(context.real_verdict.scores.detach().numpy()).mean()


@pytest.mark.parametrize(
    ("term", "message"),
    [
        (OfLatents(), "OfLatents is to train the generator, but its gradient does not reach it"),
        (OfReals(), "OfReals is to train the generator, but its gradient does not reach it"),
        (OfBoth(), "OfBoth is to train the discriminator only, but its gradient reaches the generator"),
        (OfNothing(), "OfNothing is to train the discriminator, but its gradient does not reach it"),
    ],
)
def test_terms_gone_wrong_are_named(term, message):
    with pytest.raises(UserError, match=message):
        check_gradients(step_for(StandardGAN() + [term]))


def test_a_network_without_a_term_is_named():
    with pytest.raises(UserError, match="no term that trains the generator"):
        check_gradients(step_for(Sum([TV()])))


def test_it_leaves_everything_as_it_was():
    step = step_for(UnrolledD(WGANGP() + [Consistency(), R2(), GDPP()], 1))
    before = [deepcopy(network.state_dict()) for network in (step.G, step.D)], torch.get_rng_state()
    check_gradients(step)
    for network, state in zip((step.G, step.D), before[0], strict=True):
        assert all(torch.equal(value, state[name]) for name, value in network.state_dict().items())
        assert network.depth == 1 and float(network.alpha) == 0.25 and network.fading
        assert all(p.grad is None and p.requires_grad for p in network.parameters())
    assert torch.equal(torch.get_rng_state(), before[1])
    assert not step.G_optimizer.state and not step.D_optimizer.state


def test_a_run_is_the_same_without_it(tmp_path, monkeypatch):
    flags = {**TONES, "total_kimg": 0.016, "penalties": ["R1", "Consistency"], "Discriminator.dropout": 0.2}
    weights = []
    for name in ("with", "without"):
        done = run(overrides={**flags, "result_dir": str(tmp_path / name)})
        weights.append(torch.load(snapshots(done.path)[-1], weights_only=True)["networks"])
        monkeypatch.setattr("pggan_framework.launch.experiment.check_gradients", lambda step: None)
    for network in "GD":
        assert all(torch.equal(weights[0][network][name], value) for name, value in weights[1][network].items())
