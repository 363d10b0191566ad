"""Pull-away and GDPP: values by numpy, gradients that reach G, laws."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pggan_framework.losses import GDPP, PullAway, StepContext
from pggan_framework.networks import Discriminator, Generator
from pggan_framework.networks.base import Verdict


class Told(StepContext):
    """An update of G whose images and features are given."""

    def __init__(self, fakes=None, real_features=None, fake_features=None, latents=None):
        super().__init__("G", None, None, latents, fakes=fakes)
        self.__dict__["real_verdict"] = Verdict(None, real_features)
        self.__dict__["fake_verdict"] = Verdict(None, fake_features)


def random(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape))


def cosine(a, b):
    a, b = a.numpy().ravel(), b.numpy().ravel()
    return (a @ b) / np.sqrt((a @ a) * (b @ b))


@pytest.mark.parametrize("count", [2, 5])
def test_pull_away(count):
    pictures, features, latents = random(count, 1, 2, 2), random(count, 3, seed=1), random(count, 4, seed=2)
    step = Told(pictures, None, features, latents)
    pairs = [(i, j) for i in range(count) for j in range(count) if i != j]
    for penalty, of in [(PullAway(), features), (PullAway(of="pictures"), pictures)]:
        wanted = np.mean([cosine(of[i], of[j]) ** 2 for i, j in pairs])
        assert float(penalty(step)) == pytest.approx(wanted, rel=1e-12)
        penalty = PullAway(of=penalty.of, centred=True)
        wanted = np.mean([(cosine(of[i], of[j]) ** 2 - cosine(latents[i], latents[j]) ** 2) ** 2 for i, j in pairs])
        assert float(penalty(step)) == pytest.approx(wanted, rel=1e-12)


def test_pull_away_of_equal_of_orthogonal_and_of_single_samples():
    assert float(PullAway()(Told(None, None, torch.ones(6, 3).double()))) == pytest.approx(1)
    assert float(PullAway()(Told(None, None, torch.eye(6).double()))) == 0
    assert float(PullAway()(Told(None, None, torch.ones(1, 3).double()))) == 0


def gdpp_by_numpy(real, fake, magnitude):
    def decompose(x):
        x = x.numpy() / np.linalg.norm(x.numpy(), axis=1, keepdims=True)
        return np.linalg.eigh(x @ x.T)

    (values_r, vectors_r), (values_f, vectors_f) = decompose(real), decompose(fake)
    w = (values_r - values_r.min()) / (values_r.max() - values_r.min())
    alike = np.abs((vectors_r * vectors_f).sum(0))
    return magnitude * ((values_f - values_r) ** 2).mean() - (w * alike).sum()


@pytest.mark.parametrize("magnitude", [1.0, 1e-4])
def test_gdpp(magnitude):
    real, fake = random(5, 9), random(5, 9, seed=1)
    value = float(GDPP(magnitude=magnitude)(Told(None, real, fake)))
    assert value == pytest.approx(gdpp_by_numpy(real, fake, magnitude), rel=1e-10)
    same = float(GDPP()(Told(None, real, real)))
    values = np.linalg.eigvalsh(_kernel(real))
    assert same == pytest.approx(-((values - values[0]) / (values[-1] - values[0])).sum(), rel=1e-10)


def _kernel(x):
    x = x.numpy() / np.linalg.norm(x.numpy(), axis=1, keepdims=True)
    return x @ x.T


def test_gdpp_gradient_equals_that_of_eigh_and_finite_differences():
    real, fake = random(5, 9), random(5, 9, seed=1).requires_grad_()
    (got,) = torch.autograd.grad(GDPP()(Told(None, real, fake)), fake)
    unit = torch.nn.functional.normalize(fake, dim=1)
    values, vectors = torch.linalg.eigh(unit @ unit.T)
    values_r, vectors_r = torch.linalg.eigh(torch.from_numpy(_kernel(real)))
    w = (values_r - values_r[0]) / (values_r[-1] - values_r[0])
    wanted = (values - values_r).square().mean() - (w * (vectors * vectors_r).sum(0).abs()).sum()
    torch.testing.assert_close(got, torch.autograd.grad(wanted, fake)[0], rtol=1e-8, atol=1e-10)
    shift = torch.zeros(5, 9).double()
    shift[2, 3] = 1e-5
    ends = [gdpp_by_numpy(real, fake.detach() + s * shift, 1.0) for s in (1, -1)]
    assert float(got[2, 3]) == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=1e-5)


def test_gdpp_does_not_know_the_sign_of_an_eigenvector(monkeypatch):
    real, fake = random(6, 8), random(6, 8, seed=1).requires_grad_()
    eigh = torch.linalg.eigh
    seen = []
    for signs in ([1, 1, 1, 1, 1, 1], [1, -1, 1, -1, -1, 1]):
        turn = torch.tensor(signs, dtype=torch.float64)
        turns = iter([torch.ones(6).double(), turn])  # of the reals not, of the fakes
        monkeypatch.setattr(torch.linalg, "eigh", lambda k, turns=turns: (eigh(k)[0], eigh(k)[1] * next(turns)))
        value = GDPP()(Told(None, real, fake))
        seen.append((value.detach(), torch.autograd.grad(value, fake)[0]))
    torch.testing.assert_close(seen[0], seen[1])


@settings(max_examples=25, deadline=None)
@given(count=st.integers(1, 9), width=st.integers(1, 6), seed=st.integers(0, 99), rank=st.integers(0, 6))
def test_gdpp_is_finite_however_degenerate(count, width, seed, rank):
    torch.manual_seed(seed)
    real, fake = torch.randn(count, width), torch.randn(count, width)
    fake[:, rank:] = 0
    fake.requires_grad_()
    value = GDPP()(Told(None, real, fake))
    (gradient,) = torch.autograd.grad(value, fake)
    assert torch.isfinite(value) and torch.isfinite(gradient).all()


@pytest.mark.parametrize(
    "penalty",
    [PullAway(), PullAway(centred=True), PullAway(of="pictures"), PullAway(of="pictures", centred=True), GDPP()],
)
def test_the_gradient_reaches_all_of_G(penalty):
    torch.manual_seed(1)
    G, D = Generator([1, 8, 8], 32, fmap_max=4, latent_size=3), Discriminator([1, 8, 8], 32, fmap_max=4)
    penalty(StepContext("G", G, D, torch.randn(4, 3), torch.randn(4, 1, 8, 8))).backward()
    assert all(p.grad is not None and p.grad.any() for p in G.blocks.parameters())
