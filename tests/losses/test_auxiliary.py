"""The auxiliary classifier: its cross-entropy by hand, and whom it trains."""

import numpy as np
import pytest
import torch

from pggan_framework import UserError
from pggan_framework.labels.attributes import collect
from pggan_framework.losses.auxiliary import AuxiliaryClassifier
from pggan_framework.losses.context import StepContext
from pggan_framework.losses.wgan import WGANGP
from pggan_framework.networks import Discriminator, Generator

SPACE, LABELS = collect({"pitch": [60, 61, 62, 60], "who": ["a", "b", "b", "a"]})


@pytest.fixture
def networks():
    torch.manual_seed(3)
    sizes = {"fmap_base": 32, "fmap_max": 4}
    return (
        Generator([1, 8, 8], latent_size=3, label_space=SPACE, **sizes).double(),
        Discriminator([1, 8, 8], label_space=SPACE, **sizes).double(),
    )


def context(side, networks):
    G, D = networks
    reals = torch.randn(4, 1, 8, 8, dtype=torch.float64) if side == "D" else None
    labels = torch.from_numpy(SPACE.one_hot(LABELS)).double()
    return StepContext(side, G, D, torch.randn(4, 3, dtype=torch.float64), reals, labels)


def by_hand(logits):
    """Mean of -log softmax at the label, the attributes' added up; share of highest logits at the label."""
    total, right = 0.0, []
    for block, wanted in ((logits[:, :3], LABELS[:, 0]), (logits[:, 3:], LABELS[:, 1])):
        odds = np.exp(block)
        chosen = odds[np.arange(4), wanted] / odds.sum(1)
        total += float(np.mean(-np.log(chosen)))
        right.append(np.mean(block.argmax(1) == wanted))
    return total, np.mean(right)


@pytest.mark.parametrize("side", ["D", "G"])
def test_the_cross_entropy(networks, side):
    step = context(side, networks)
    (term,) = [term for term in AuxiliaryClassifier(7).terms if term.side == side]
    value = term(step)
    verdict = step.real_verdict if side == "D" else step.fake_verdict
    expected, right = by_hand(verdict.logits.detach().numpy())
    assert float(value.detach()) == pytest.approx(expected, rel=1e-12)
    assert float(step.stats[f"{side}_label_right"]) == pytest.approx(right)
    assert term.weight == 7


def test_its_gradients_reach_the_network_it_trains(networks):
    G, D = networks
    loss = AuxiliaryClassifier().terms
    loss[0](context("D", networks)).backward()
    assert all(p.grad is None for p in G.parameters())
    assert D.classify.weight.grad.abs().sum() > 0
    assert D.score.weight.grad is None
    loss[1](context("G", networks)).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in G.blocks.parameters())


def test_it_adds_to_a_loss(networks):
    step = context("D", networks)
    total = float((WGANGP() + AuxiliaryClassifier(10).terms).total(step).detach())
    alone = float(WGANGP().total(step).detach())  # the context computes each thing once, so mixing is the same
    assert total == pytest.approx(alone + 10 * float(step.stats["D_label"]), rel=1e-12)


def test_a_weight_of_nothing_is_refused():
    with pytest.raises(UserError, match="above 0"):
        AuxiliaryClassifier(0)
