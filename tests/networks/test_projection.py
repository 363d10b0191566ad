"""The projection discriminator: what it adds to the score, and that it receives the labels wherever it scores."""

from __future__ import annotations

from math import isfinite, sqrt
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import TONES
from torch import Tensor

from pggan_framework import UserError, run
from pggan_framework.labels.attributes import LabelSpace, collect
from pggan_framework.losses import WGANGP
from pggan_framework.losses.context import StepContext
from pggan_framework.networks import Discriminator, Generator, ProjectionDiscriminator, describe
from pggan_framework.runs.folders import snapshots
from pggan_framework.schedules.growth import Growth
from pggan_framework.training.checkpoint import load_checkpoint

SPACE, LABELS = collect({"pitch": [60, 61, 62, 60], "kind": ["a", "b", "b", "a"]})
SMALL: dict[str, Any] = {"fmap_base": 64, "fmap_max": 8}
SHORT: dict[str, Any] = {
    **{name.replace("Discriminator", "ProjectionDiscriminator"): value for name, value in TONES.items()},
    "discriminator": "ProjectionDiscriminator",
    "TonesDataset.labels": ["pitch"],
    "TonesDataset.n_fft": 32,
    "TonesDataset.hop_length": 16,
    "DepthManager.tick_kimg_default": 0.02,
    "DepthManager.tick_kimg_overrides": {},
    "DepthManager.lod_training_nimg": 20,
    "DepthManager.lod_transition_nimg": 20,
    "exp_name": "projected",
}


def one_hot(space: LabelSpace = SPACE) -> Tensor:
    return torch.from_numpy(space.one_hot(LABELS)).double()


def network(**more: Any) -> ProjectionDiscriminator:
    torch.manual_seed(0)
    return ProjectionDiscriminator([1, 16, 16], label_space=SPACE, **{**SMALL, **more}).double()


def pictures(depth: int = 2, count: int = 4) -> Tensor:
    return torch.randn(count, 1, 4 << depth, 4 << depth, dtype=torch.float64)


@pytest.mark.parametrize("wscale", [True, False])
@pytest.mark.parametrize("depth", [0, 1, 2])
def test_the_score_is_the_plain_one_plus_a_product_for_each_attribute(wscale: bool, depth: int) -> None:
    D = network(wscale=wscale)
    D.depth, D.alpha = depth, 0.3
    verdict = D.judge(pictures(depth), one_hot())
    h, w = verdict.features.detach(), D.embed.weight.detach()
    scale = 1 / sqrt(8) if wscale else 1.0
    plain = D.score(verdict.features).detach()[:, 0]
    for row, (pitch, kind) in enumerate(LABELS.tolist()):
        expected = plain[row] + scale * (h[row] @ w[pitch] + h[row] @ w[3 + kind])
        torch.testing.assert_close(verdict.scores.detach()[row], expected)
    assert verdict.logits is None


def test_its_size_is_that_of_the_plain_one_and_a_vector_for_each_value() -> None:
    D, plain = network(), Discriminator([1, 16, 16], **SMALL)
    count = sum(p.numel() for p in D.parameters())
    assert count == sum(p.numel() for p in plain.parameters()) + 5 * 8
    assert sum(row[2] for row in describe(D)) == count
    assert ("embed", "8", 40) in describe(D)


def test_another_label_is_another_score_and_the_gradient_reaches_all_in_use() -> None:
    D, x = network(), pictures()
    assert not torch.isclose(D(x, one_hot()), D(x, one_hot().roll(2, 0))).any()
    D(x, one_hot()).sum().backward()
    gradient = D.embed.weight.grad
    assert gradient is not None and (gradient.abs().sum(1) > 0).all()


def test_its_gradients_are_right_at_both_orders() -> None:
    D = ProjectionDiscriminator(Growth.of([1, 4, 4], seed=[2, 2]), label_space=SPACE, fmap_base=4, fmap_max=2).double()
    x = torch.randn(1, 1, 4, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: D(x, one_hot()[:1]), x)
    assert torch.autograd.gradgradcheck(lambda x: D(x, one_hot()[:1]), x, fast_mode=True)


def test_parts_judged_together_are_judged_as_if_alone() -> None:
    D, x, labels = network(), pictures(count=8), torch.cat([one_hot(), one_hot().roll(2, 0)])
    together = D.judge(x, labels, parts=2).scores
    alone = torch.cat([D(x[:4], labels[:4]), D(x[4:], labels[4:])])
    torch.testing.assert_close(together, alone)


def test_the_penalty_is_taken_with_the_labels() -> None:
    D = network()
    G = Generator(D.growth, latent_size=3, label_space=SPACE, **SMALL).double()
    reals, latents, mixing = pictures(), torch.randn(4, 3).double(), torch.rand(4, 1, 1, 1).double()
    context = StepContext("D", G, D, latents, reals, one_hot(), mixing)
    WGANGP(iwass_epsilon=0).total(context).backward()
    points = torch.lerp(reals, G(latents, one_hot()).detach(), mixing).requires_grad_()

    def penalty(labels: Tensor) -> Tensor:
        (slope,) = torch.autograd.grad(D(points, labels).sum(), points)
        return (slope.flatten(1).norm(dim=1) - 1).square().mean()

    torch.testing.assert_close(context.stats["gradient_penalty"], penalty(one_hot()))
    assert not torch.isclose(penalty(one_hot()), penalty(one_hot().roll(2, 0)))


def test_labels_are_due() -> None:
    D = network()
    with pytest.raises(ValueError, match="ProjectionDiscriminator is given labels of shape None; due are \\(4, 5\\)"):
        D.judge(pictures())
    with pytest.raises(UserError, match="ProjectionDiscriminator is for labelled data, but the data have no labels"):
        ProjectionDiscriminator(Growth.of([1, 8, 8]))
    with pytest.raises(UserError, match="^ProjectionDiscriminator.kernel_size 2"):
        network(kernel_size=2)


def test_a_growing_run_and_its_resumption(tmp_path: Path) -> None:
    whole = run(overrides={**SHORT, "total_kimg": 0.08, "result_dir": str(tmp_path / "a")})
    assert whole.stats["depth"] == 2 and all(isfinite(value) for value in whole.stats.values())
    assert not {"D_label", "G_label"} & set(whole.stats)
    part = run(overrides={**SHORT, "total_kimg": 0.04, "result_dir": str(tmp_path / "b")})
    run(overrides={"resume": str(part.path), "total_kimg": 0.08})
    first, second = (load_checkpoint(snapshots(path)[-1])["networks"] for path in (whole.path, part.path))
    for name in ("G", "D"):
        assert all(torch.equal(first[name][key], second[name][key]) for key in first[name])


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (
            {"AuxiliaryClassifier.weight": 10},
            "weight is given, but ProjectionDiscriminator receives the labels and has no classifier",
        ),
        ({"TonesDataset.labels": None}, "ProjectionDiscriminator is for labelled data"),
    ],
)
def test_what_does_not_go_together_is_refused(tmp_path: Path, flags: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said) as error:
        run(overrides={**SHORT, **flags, "total_kimg": 0.02, "result_dir": str(tmp_path)})
    assert "\n" not in str(error.value) and not list(tmp_path.iterdir())
