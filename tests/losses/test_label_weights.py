"""The auxiliary classifier with numbers among the labels, and with weights of labels and of their values."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from pggan_framework import UserError
from pggan_framework.labels.attributes import collect
from pggan_framework.losses.auxiliary import AuxiliaryClassifier, balanced
from pggan_framework.losses.context import StepContext
from pggan_framework.networks import Discriminator, Generator, ProjectionDiscriminator

ROWS = {"kind": ["a", "b", "a", "a", "c", "a"], "angle": [0, 90, 45, 90, 10, 60]}
SPACE, LABELS = collect(ROWS, ["angle"])
SIZES = {"fmap_base": 32, "fmap_max": 4}


@pytest.fixture
def networks() -> tuple[Generator, Discriminator]:
    torch.manual_seed(3)
    generator = Generator([1, 8, 8], latent_size=3, label_space=SPACE, **SIZES).double()
    return generator, Discriminator([1, 8, 8], label_space=SPACE, **SIZES).double()


def context(networks: tuple[Generator, Discriminator]) -> StepContext:
    reals = torch.randn(6, 1, 8, 8, dtype=torch.float64)
    labels = torch.from_numpy(SPACE.one_hot(LABELS)).double()
    return StepContext("D", *networks, torch.randn(6, 3, dtype=torch.float64), reals, labels)


def by_hand(logits: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """For each image -log softmax at its kind, and the difference of its angle in a range of -1 to 1."""
    kinds = LABELS[:, 0].astype(int)
    odds = np.exp(logits[:, :3])
    return -np.log(odds[np.arange(6), kinds] / odds.sum(1)), logits[:, 3] - (LABELS[:, 1] / 45 - 1)


def test_a_number_has_a_squared_error(networks: tuple[Generator, Discriminator]) -> None:
    step = context(networks)
    value = float(AuxiliaryClassifier().terms[0](step).detach())
    logits = step.real_verdict.logits
    assert logits is not None and logits.shape == (6, 4)
    entropies, differences = by_hand(logits.detach().numpy())
    # Labels reach networks as float32.
    assert value == pytest.approx(entropies.mean() + (differences**2).mean(), rel=1e-6)
    assert float(step.stats["D_label_off"]) == pytest.approx(np.abs(differences).mean() / 2, rel=1e-6)
    right = logits[:, :3].argmax(1).numpy() == LABELS[:, 0]
    assert float(step.stats["D_label_right"]) == pytest.approx(right.mean())


def test_weights_of_labels_and_of_values(networks: tuple[Generator, Discriminator]) -> None:
    step = context(networks)
    classifier = AuxiliaryClassifier(
        attribute_weights={"angle": 3, "kind": 0.5}, class_weights="balanced", label_counts=SPACE.counts(LABELS)
    )
    value = float(classifier.terms[0](step).detach())
    assert step.real_verdict.logits is not None
    entropies, differences = by_hand(step.real_verdict.logits.detach().numpy())
    # Four times a, once b, once c: 6 / (3 * 4) and 6 / (3 * 1).
    weights = np.array([0.5, 2, 0.5, 0.5, 2, 0.5])
    assert weights.mean() == 1
    assert value == pytest.approx(0.5 * (weights * entropies).mean() + 3 * (differences**2).mean(), rel=1e-6)


def test_a_label_of_weight_0_is_left_out(networks: tuple[Generator, Discriminator]) -> None:
    step = context(networks)
    term = AuxiliaryClassifier(attribute_weights={"angle": 0}).terms[0]
    term.check(*networks)
    value = term(step)
    value.backward()  # type: ignore[no-untyped-call]
    classify = networks[1].classify
    assert classify is not None and classify.weight.grad is not None
    reached = classify.weight.grad.abs().sum(1) > 0
    assert reached.tolist() == [True, True, True, False]


def test_g_learns_numbers_too(networks: tuple[Generator, Discriminator]) -> None:
    labels = torch.from_numpy(SPACE.one_hot(LABELS)).double()
    step = StepContext("G", *networks, torch.randn(6, 3, dtype=torch.float64), labels=labels)
    AuxiliaryClassifier(attribute_weights={"kind": 0}).terms[1](step).backward()  # type: ignore[no-untyped-call]
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in networks[0].blocks.parameters())


def test_the_projection_of_a_number_is_linear() -> None:
    torch.manual_seed(0)
    space, labels = collect({"angle": [0, 90, 45]}, ["angle"])
    D = ProjectionDiscriminator([1, 8, 8], label_space=space, **SIZES).double()
    images = torch.randn(1, 1, 8, 8, dtype=torch.float64).expand(3, -1, -1, -1)
    low, high, middle = D.judge(images, torch.from_numpy(space.one_hot(labels)).double(), parts=3).scores.tolist()
    assert middle == pytest.approx((low + high) / 2, rel=1e-9) and low != high


def test_balance_has_a_mean_of_1_over_the_data() -> None:
    counts = np.array([1, 0, 7, 2])
    weights = balanced(counts).numpy()
    assert (weights * counts).sum() / counts.sum() == pytest.approx(1, rel=1e-12)
    np.testing.assert_allclose(weights[[0, 2, 3]] * [1, 7, 2], weights[0])  # each value counts as much as any other
    assert weights[1] == weights[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"attribute_weights": {"angel": 1}}, "no label 'angel' (did you mean 'angle'?); allowed: kind, angle"),
        ({"attribute_weights": {"angle": 0, "kind": 0}}, "are all 0"),
        ({"attribute_weights": {"angle": -1}}, "angle: -1 is not allowed; allowed: 0 and up"),
        ({"weight": float("nan")}, "AuxiliaryClassifier.weight nan is not allowed"),
    ],
)
def test_what_is_refused(networks: tuple[Generator, Discriminator], options: dict[str, object], message: str) -> None:
    with pytest.raises(UserError) as caught:
        AuxiliaryClassifier(**options).terms[0].check(*networks)  # type: ignore[arg-type]
    assert message in str(caught.value)


def test_there_must_be_classes_to_balance() -> None:
    space, labels = collect({"angle": [0, 90]}, ["angle"])
    networks = (
        Generator([1, 8, 8], latent_size=3, label_space=space, **SIZES),
        Discriminator([1, 8, 8], label_space=space, **SIZES),
    )
    classifier = AuxiliaryClassifier(class_weights="balanced", label_counts=space.counts(labels))
    with pytest.raises(UserError, match="but angle are continuous"):
        classifier.terms[0].check(*networks)
