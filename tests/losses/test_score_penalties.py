"""Drift, total variation of scores, consistency of dropout passes, by hand."""

import numpy as np
import pytest
import torch

from pggan_framework import UserError
from pggan_framework.losses import TV, Consistency, Drift, StepContext
from pggan_framework.networks import Discriminator, Generator
from pggan_framework.networks.base import Verdict

SMALL = {"fmap_base": 32, "fmap_max": 8}


class Told(StepContext):
    """An update whose outputs are given."""

    def __init__(self, D, reals, fakes=None):
        super().__init__("D", None, D, torch.zeros(1), torch.zeros(1))
        self.__dict__["real_verdict"], self.__dict__["fake_verdict"] = reals, fakes


def verdict(scores, features=None):
    return Verdict(*(None if x is None else torch.tensor(x, dtype=torch.float64) for x in (scores, features)))


def test_drift_and_tv():
    step = Told(None, verdict([1.0, -3.0]), verdict([0.5, 2.0]))
    assert float(Drift()(step)) == (1 + 9) / 2
    assert float(TV(delta=2)(step)) == (abs(0.5 - 2) + abs(-5 - 2)) / 2
    twice = Told(None, verdict([1.0, -3.0] * 4), verdict([0.5, 2.0] * 4))
    assert float(Drift()(twice)) == 5
    assert float(TV(delta=2)(twice)) == 4.25


@pytest.mark.parametrize("margin", [0.0, 0.2, 100.0])
def test_consistency(margin):
    random = np.random.default_rng(1)
    scores, features = random.normal(size=(2, 6)), random.normal(size=(2, 6, 3))

    step = Told(None, verdict(scores[0], features[0]))
    step.judge = lambda images: verdict(scores[1], features[1])
    value = float(Consistency(margin=margin)(step))
    apart = (scores[0] - scores[1]) ** 2 + 0.1 * ((features[0] - features[1]) ** 2).mean(1)
    assert value == pytest.approx(np.maximum(apart - margin, 0).mean(), rel=1e-12)


def test_consistency_needs_dropout_and_uses_two_masks():
    torch.manual_seed(0)
    G = Generator([1, 4, 4], latent_size=3, **SMALL)
    with pytest.raises(UserError, match=r"Discriminator has no dropout; allowed: .*Discriminator.dropout 0.3"):
        Consistency().check(G, Discriminator([1, 4, 4], **SMALL))
    D = Discriminator([1, 4, 4], dropout=0.5, **SMALL)
    Consistency().check(G, D)
    value = Consistency()(StepContext("D", G, D, torch.randn(4, 3), torch.randn(4, 1, 4, 4)))
    value.backward()
    assert float(value.detach()) > 0 and D.score.weight.grad.any()
    with pytest.raises(UserError, match=r"Discriminator.dropout 1"):
        Discriminator([1, 4, 4], dropout=1.0, **SMALL)
