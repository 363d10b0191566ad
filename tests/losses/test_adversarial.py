"""Every adversarial loss against its formula in numpy: values, gradients, and what they do at extreme scores."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scored import context, total

from pggan_framework.errors import UserError
from pggan_framework.labels.attributes import collect
from pggan_framework.losses import (
    BEGAN,
    LSGAN,
    HingeGAN,
    LogisticGAN,
    RelativisticAverageGAN,
    RelativisticGAN,
    StandardGAN,
)
from pggan_framework.losses.auxiliary import AuxiliaryClassifier
from pggan_framework.losses.context import StepContext
from pggan_framework.networks import AutoencoderDiscriminator, Discriminator, Generator
from pggan_framework.networks.functional import fade
from pggan_framework.registry import REGISTRY
from pggan_framework.schedules.growth import Growth
from pggan_framework.training.optimizers import Adam
from pggan_framework.training.step import TrainingStep


def bce(score: Any, target: Any) -> Any:
    """Mean of -t log s(x) - (1 - t) log(1 - s(x))."""
    chance = 1 / (1 + np.exp(-score))
    return np.mean(-target * np.log(chance) - (1 - target) * np.log(1 - chance))


def average(a: Any, b: Any, ls: float = 0.0) -> Any:
    return 0.5 * (bce(a - np.mean(b), 1 - ls) + bce(b - np.mean(a), ls))


FORMULAS: list[tuple[Any, Any, Any]] = [
    (StandardGAN(), lambda r, f: bce(r, 1) + bce(f, 0), lambda r, f: bce(f, 1)),
    (StandardGAN(label_smoothing=0.1), lambda r, f: bce(r, 0.9) + bce(f, 0.1), lambda r, f: bce(f, 1)),
    (LSGAN(), lambda r, f: np.mean((r - 1) ** 2) + np.mean(f**2), lambda r, f: np.mean((f - 1) ** 2)),
    (
        LogisticGAN(),
        lambda r, f: np.mean(np.log(1 + np.exp(-r))) + np.mean(np.log(1 + np.exp(f))),
        lambda r, f: np.mean(np.log(1 + np.exp(-f))),
    ),
    (
        HingeGAN(),
        lambda r, f: np.mean(np.maximum(0, 1 - r)) + np.mean(np.maximum(0, 1 + f)),
        lambda r, f: -np.mean(f),
    ),
    (RelativisticGAN(), lambda r, f: bce(r - f, 1), lambda r, f: bce(f - r, 1)),
    (RelativisticGAN(label_smoothing=0.2), lambda r, f: bce(r - f, 0.8), lambda r, f: bce(f - r, 1)),
    (RelativisticAverageGAN(), average, lambda r, f: average(f, r)),
    (RelativisticAverageGAN(label_smoothing=0.3), lambda r, f: average(r, f, 0.3), lambda r, f: average(f, r)),
]
KINDS = [StandardGAN, LSGAN, LogisticGAN, HingeGAN, RelativisticGAN, RelativisticAverageGAN]
TRICKY = [StandardGAN, RelativisticGAN, RelativisticAverageGAN]
REAL = np.array([1.3, -0.4, 0.2, 2.5, 0.9])
FAKE = np.array([-0.7, 0.1, -2.2, 0.6, 1.4])


@pytest.mark.parametrize("loss,of_D,of_G", FORMULAS, ids=lambda x: type(x).__name__)
def test_values_and_gradients_equal_the_formula(loss: Any, of_D: Any, of_G: Any) -> None:
    h = 1e-6
    for side, formula in (("D", of_D), ("G", of_G)):
        step = context(side, REAL, FAKE)
        value = loss.total(step)
        assert value.item() == pytest.approx(formula(REAL, FAKE), rel=1e-12)
        assert float(step.stats[f"{side}_loss"]) == value.item()
        torch.autograd.backward(value)
        if side == "D":
            # Scores are images times the weight of D, which is 1.
            slope = (formula(REAL * (1 + h), FAKE * (1 + h)) - formula(REAL * (1 - h), FAKE * (1 - h))) / (2 * h)
            assert step.D.weight.grad.item() == pytest.approx(slope, rel=1e-7, abs=1e-9)
            assert step.G.weight.grad is None
            assert float(step.stats["D_real"]) == pytest.approx(REAL.mean())
            assert float(step.stats["D_fake"]) == pytest.approx(FAKE.mean())
        else:
            slope = (formula(REAL, FAKE * (1 + h)) - formula(REAL, FAKE * (1 - h))) / (2 * h)
            assert step.G.weight.grad.item() == pytest.approx(slope, rel=1e-7, abs=1e-9)
            assert not {"D_real", "D_fake"} & set(step.stats)  # those are D's update's


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("real,fake", [(1e4, -1e4), (-1e4, 1e4), (1e4, 1e4)])
def test_extreme_scores_stay_finite(kind: Any, real: float, fake: float) -> None:
    for side in ("D", "G"):
        step = context(side, np.full(4, real), np.full(4, fake), torch.float32)
        value = kind().total(step)
        torch.autograd.backward(value)
        assert torch.isfinite(value) and torch.isfinite(getattr(step, side).weight.grad)


@pytest.mark.parametrize("kind", KINDS)
def test_the_loss_of_g_falls_as_fakes_score_higher(kind: Any) -> None:
    assert total(kind(), "G", REAL, FAKE + 0.1) < total(kind(), "G", REAL, FAKE)
    # and D wants the opposite, which BEGAN on bare scores got wrong
    assert total(kind(), "D", REAL, FAKE + 0.5) > total(kind(), "D", REAL, FAKE)


vectors = arrays(np.float64, 4, elements=st.floats(-20, 20))


@given(vectors, vectors, st.floats(-50, 50))
@settings(deadline=None, max_examples=20)
def test_relativistic_losses_know_differences_only(real: Any, fake: Any, shift: float) -> None:
    for loss in (RelativisticGAN(), RelativisticAverageGAN()):
        for side, other in (("D", "G"), ("G", "D")):
            value = total(loss, side, real, fake)
            assert value == pytest.approx(total(loss, side, real + shift, fake + shift), abs=1e-9)
            assert value == pytest.approx(total(loss, other, fake, real), abs=1e-12)  # G's is D's, roles swapped


def test_the_average_loss_of_g_has_the_reals_term_too() -> None:
    # Fakes all score the same: were only the fakes' term there, the spread of the reals would not count.
    flat, fake = np.zeros(4), np.full(4, 0.5)
    spread = np.array([-3.0, 3.0, -3.0, 3.0])
    assert total(RelativisticAverageGAN(), "G", spread, fake) > total(RelativisticAverageGAN(), "G", flat, fake) + 0.1


def test_tricks_draw_for_each_sample_and_for_reals_and_fakes_apart() -> None:
    torch.manual_seed(0)
    tricks = StandardGAN(label_smoothing=0.1, label_noise=0.2, label_swap=0.03).tricks
    scores = torch.zeros(200_000, dtype=torch.float64)
    real, fake = tricks.real(scores).numpy(), tricks.fake(scores).numpy()
    for targets, sure in ((real, 0.9), (fake, 0.1)):
        near = np.abs(targets - sure) <= 0.1 + 1e-12
        swapped = np.abs(targets - (1 - sure)) <= 0.1 + 1e-12
        assert np.all(near | swapped)
        assert swapped.mean() == pytest.approx(0.03, abs=0.002)
        assert targets[near].mean() == pytest.approx(sure, abs=0.001)
        assert targets[near].std() == pytest.approx(0.2 / 12**0.5, rel=0.01)
    both = np.mean((real < 0.5) & (fake > 0.5))
    assert both == pytest.approx(0.03**2, abs=0.0004)
    assert abs(np.corrcoef(real, fake)[0, 1]) < 0.01


@pytest.mark.parametrize("kind", TRICKY)
def test_tricks_reach_d_alone_and_follow_the_seed(kind: Any) -> None:
    tricky = kind(label_noise=0.5, label_swap=0.3)
    torch.manual_seed(7)
    value = total(tricky, "D", REAL, FAKE)
    torch.manual_seed(7)
    scores = torch.zeros(5, dtype=torch.float64)
    t_real, t_fake = tricky.tricks.real(scores).numpy(), tricky.tricks.fake(scores).numpy()
    expected = {
        "StandardGAN": lambda: bce(REAL, t_real) + bce(FAKE, t_fake),
        "RelativisticGAN": lambda: bce(REAL - FAKE, t_real),
        "RelativisticAverageGAN": lambda: 0.5 * (bce(REAL - FAKE.mean(), t_real) + bce(FAKE - REAL.mean(), t_fake)),
    }[kind.__name__]()
    assert value == pytest.approx(expected, rel=1e-12)
    assert value != pytest.approx(total(kind(), "D", REAL, FAKE), rel=1e-3)
    assert total(tricky, "G", REAL, FAKE) == total(kind(), "G", REAL, FAKE)


def test_without_tricks_nothing_is_drawn() -> None:
    before = torch.get_rng_state()
    for kind in KINDS:
        total(kind(), "D", REAL, FAKE)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("kind", TRICKY)
@pytest.mark.parametrize(
    "flag,value,words",
    [
        ("label_smoothing", 0.5, "below 0.5"),
        ("label_smoothing", -0.1, "below 0.5"),
        ("label_swap", 0.5, "below 0.5"),
        ("label_noise", 1.5, "to 1"),
        ("label_noise", float("nan"), "to 1"),
    ],
)
def test_limits(kind: Any, flag: str, value: float, words: str) -> None:
    with pytest.raises(UserError, match=rf"{kind.__name__}\.{flag} {value} is not allowed; allowed: .*{words}"):
        kind(**{flag: value})


SPACE, LABELS = collect({"pitch": [60, 61, 62, 60]})
SMALL: dict[str, Any] = {"fmap_base": 32, "fmap_max": 4}


@pytest.mark.parametrize("kind", [*KINDS, BEGAN])
def test_each_update_trains_one_network_and_adds_up_with_the_classifier(kind: Any) -> None:
    torch.manual_seed(0)
    G = Generator([1, 8, 8], latent_size=3, label_space=SPACE, **SMALL).double()
    D_kind = AutoencoderDiscriminator if kind is BEGAN else Discriminator
    D = D_kind([1, 8, 8], label_space=SPACE, **SMALL).double()
    labels = torch.from_numpy(SPACE.one_hot(LABELS)).double()
    loss = kind() + AuxiliaryClassifier(10).terms
    assert loss.needs_reals_for_G == kind().needs_reals_for_G
    alone = kind()
    loss.check(G, D)
    for side in ("D", "G"):
        reals, latents = torch.randn(4, 1, 8, 8, dtype=torch.float64), torch.randn(4, 3, dtype=torch.float64)
        step = StepContext(side, G, D, latents, reals, labels)  # type: ignore[arg-type]
        value = loss.total(step)
        expected = alone.total(step).item() + 10 * float(step.stats[f"{side}_label"])
        assert value.item() == pytest.approx(expected, rel=1e-12)
        trained, other = (D, G) if side == "D" else (G, D)
        got = torch.autograd.grad(value, list(trained.parameters()), allow_unused=True, retain_graph=True)
        names = (name.split(".")[0] for name, _ in trained.named_parameters())
        moved = {name for name, gradient in zip(names, got, strict=True) if gradient is not None and gradient.any()}
        assert {"blocks", "from_rgb" if side == "D" else "to_rgb"} <= moved
        assert ("decoder" in moved) == (kind is BEGAN and side == "D")
        if side == "D":
            through = torch.autograd.grad(value, list(other.parameters()), allow_unused=True)
            assert all(gradient is None for gradient in through)


@pytest.mark.parametrize("kind", [RelativisticGAN, RelativisticAverageGAN])
def test_g_is_shown_the_reals_d_saw_last_faded_and_with_their_labels(kind: Any) -> None:
    torch.manual_seed(0)
    G = Generator([1, 8, 8], latent_size=3, label_space=SPACE, **SMALL)
    D = Discriminator([1, 8, 8], label_space=SPACE, **SMALL)
    for network in (G, D):
        network.depth, network.alpha = 1, 0.3
    adam = Adam()
    optimizers = adam.build(G.parameters(), 1e-3), adam.build(D.parameters(), 1e-3)
    step = TrainingStep(G, D, kind(), *optimizers, lambda n: torch.randn(n, 3), labels=lambda n: pytest.fail("drawn"))
    with pytest.raises(RuntimeError, match="needs 4 reals for G"):
        step.generator_update(4)
    labels = torch.from_numpy(SPACE.one_hot(LABELS))
    first, reals = torch.randn(4, 1, 8, 8), torch.randn(4, 1, 8, 8)
    step.discriminator_update(first, labels)
    step.discriminator_update(reals, labels.flip(0))
    shown: list[Any] = []
    judge, make = D.judge, G.forward
    D.judge = lambda images, *a, **k: shown.append((images, a)) or judge(images, *a, **k)  # type: ignore[func-returns-value]
    G.forward = lambda latents, given=None: shown.append((latents, given)) or make(latents, given)  # type: ignore[func-returns-value]
    weights = [p.clone() for p in D.parameters()]
    step.generator_update(4)
    faded = fade(reals, partial(torch.lerp, weight=0.3), (2, 2))
    assert any(images.shape == faded.shape and torch.equal(images, faded) for images, _ in shown)
    assert all(torch.equal(given[0] if isinstance(given, tuple) else given, labels.flip(0)) for _, given in shown)
    assert all(torch.equal(a, b) for a, b in zip(weights, D.parameters(), strict=True))
    with pytest.raises(RuntimeError, match="needs 6 reals"):
        step.generator_update(6)


def test_g_sees_no_reals_where_the_loss_does_not_ask() -> None:
    assert [kind.__name__ for kind in [*KINDS, BEGAN] if kind().needs_reals_for_G] == [
        "RelativisticGAN",
        "RelativisticAverageGAN",
    ]


def test_all_are_registered() -> None:
    for kind in [*KINDS, BEGAN]:
        assert REGISTRY.get(kind.__name__, "loss").cls is kind


@pytest.mark.parametrize("kind", KINDS)
def test_each_tells_two_constants_apart(kind: Any) -> None:
    torch.manual_seed(0)
    growth = Growth.of([1, 4, 4])
    G, D = Generator(growth, latent_size=3, **SMALL), Discriminator(growth, **SMALL)
    adam = Adam()
    optimizers = adam.build(G.parameters(), 1e-3), adam.build(D.parameters(), 1e-2)
    step = TrainingStep(G, D, kind(), *optimizers, lambda n: torch.randn(n, 3))
    for _ in range(60):
        stats = step.discriminator_update(torch.full((8, 1, 4, 4), 2.0))
    assert stats["D_real"] > stats["D_fake"] + 0.5
    before = stats["D_fake"]
    for _ in range(60):
        step.generator_update(8)
    assert D(G(torch.randn(64, 3))).mean() > before
