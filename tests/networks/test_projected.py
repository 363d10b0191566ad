"""The projected discriminator against a forward written from the paper's definition, in float64."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from resampling import boxed
from torch import Tensor

from pggan_framework import run
from pggan_framework.errors import UserError
from pggan_framework.labels.attributes import Attribute, LabelSpace
from pggan_framework.metrics.extractors import Lite0, build_extractor
from pggan_framework.networks import ProjectedDiscriminator
from pggan_framework.runs.folders import snapshots
from pggan_framework.schedules.growth import Growth

SPACE = LabelSpace((Attribute("kind", ("a", "b", "c")),))
SQUARE, WIDE = Growth.of((3, 8, 8)), Growth.of((1, 8, 32), seed=(4, 4))
SMALL: dict[str, Any] = {"extractor": "random", "size": 32, "fmap_base": 2, "fmap_max": 6}


def discriminator(growth: Growth, space: LabelSpace | None = None, **more: Any) -> ProjectedDiscriminator:
    torch.manual_seed(0)
    D = ProjectedDiscriminator(growth, label_space=space, **{**SMALL, **more}).double()
    for parameter in D.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.3)
    return D


def settled(D: ProjectedDiscriminator, images: Tensor) -> ProjectedDiscriminator:
    """The discriminator after so many passes that every largest singular value has converged."""
    with torch.no_grad():
        for _ in range(300):
            D.judge(images)
    return D


def normalized(state: dict[str, Tensor], name: str) -> Tensor:
    weight = state[f"{name}.weight"]
    return weight / torch.linalg.matrix_norm(weight.flatten(1), 2)


def expected(D: ProjectedDiscriminator, images: Tensor) -> tuple[Tensor, Tensor]:
    """Scores and features of images that were enlarged already."""
    state = D.state_dict()
    maps, above = build_extractor("random").double().maps(images), None
    scores, features = [], []
    for scale in (3, 2, 1, 0):
        x = torch.einsum("oi,nihw->nohw", state[f"mixer.channels_{scale}"][:, :, 0, 0], maps[scale])
        if above is not None:
            x = x + F.interpolate(above, x.shape[2:], mode="bilinear")
        x = above = F.conv2d(x, state[f"mixer.scales_{scale}"], padding=1)
        for layer in range(len(D.scales[scale].halve)):  # type: ignore[arg-type]
            at = f"scales.{scale}.halve.{layer}"
            x = F.conv2d(x, normalized(state, at), state[f"{at}.bias"], stride=2, padding=1)
            x = torch.where(x > 0, x, x / 5)
        at = f"scales.{scale}.score"
        scores.append(F.conv2d(x, normalized(state, at), state[f"{at}.bias"], padding=1).mean((1, 2, 3)))
        features.append(x.mean((2, 3)))
    return sum(scores) / 4, torch.cat(features[::-1], 1)  # type: ignore[return-value]


@pytest.mark.parametrize(("growth", "sides"), [(SQUARE, (32, 32)), (WIDE, (32, 64))], ids=["square", "wide"])
@pytest.mark.parametrize("alpha", [1.0, 0.3])
def test_scores_and_features_are_the_papers(growth: Growth, sides: tuple[int, int], alpha: float) -> None:
    D = discriminator(growth)
    D.alpha = alpha
    images = torch.randn(3, *growth.shape, dtype=torch.float64)
    large = F.interpolate(images, sides, mode="bilinear")
    low = F.interpolate(boxed(images, growth.factor(growth.max_depth)), sides, mode="bilinear")
    verdict = settled(D, images).judge(images)
    scores, features = expected(D, alpha * large + (1 - alpha) * low)
    torch.testing.assert_close(verdict.scores, scores, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(verdict.features, features, rtol=1e-9, atol=1e-9)
    assert [len(scale.halve) for scale in D.scales] == [4, 3, 2, 1]  # type: ignore[arg-type]


def test_at_alpha_zero_images_are_judged_as_at_the_depth_before() -> None:
    D = discriminator(SQUARE).eval()
    images = torch.randn(2, 3, 8, 8, dtype=torch.float64)
    D.alpha = 0
    late = D.judge(images).scores
    D.depth, D.alpha = 0, 1
    torch.testing.assert_close(D.judge(boxed(images, (2, 2))).scores, late, rtol=1e-12, atol=1e-12)


def test_labels_are_predicted_from_the_features() -> None:
    D = discriminator(SQUARE, SPACE)
    verdict = D.judge(torch.randn(2, 3, 8, 8, dtype=torch.float64))
    assert verdict.logits is not None and D.classify is not None
    torch.testing.assert_close(verdict.logits, verdict.features @ D.classify.weight.T + D.classify.bias)


@pytest.mark.parametrize("extractor", ["random", "lite0"])
def test_the_pretrained_network_is_neither_trained_nor_stored(extractor: str) -> None:
    if extractor == "lite0" and not Lite0.available():
        pytest.skip(Lite0.missing())
    D = discriminator(SQUARE, extractor=extractor)
    assert not any("extractor" in name for name in [*D.state_dict(), *dict(D.named_parameters())])
    before = {name: value.clone() for name, value in D.extractor.named_buffers()}
    images = torch.randn(2, 3, 8, 8, dtype=torch.float64, requires_grad=True)
    D.requires_grad_(True).train()
    D.judge(images).scores.sum().backward()
    assert before and images.grad is not None and images.grad.abs().min() > 0
    assert all(torch.equal(value, before[name]) for name, value in D.extractor.named_buffers())
    assert all(parameter.grad is not None for parameter in D.parameters())


@pytest.mark.skipif(not Lite0.available(), reason=Lite0.missing())
@pytest.mark.parametrize("size", [64, 96])
def test_the_pretrained_network_sees_images_of_the_given_size(size: int) -> None:
    D = discriminator(SQUARE, extractor="lite0", size=size)
    seen: list[tuple[int, ...]] = []
    for module in D.extractor.modules():
        module.register_forward_pre_hook(lambda _, inputs: seen.append(tuple(inputs[0].shape)))
    D.judge(torch.randn(2, 3, 8, 8, dtype=torch.float64))
    assert seen[0] == (2, 3, size, size)
    assert {shape[2:] for shape in seen if len(shape) == 4} >= {(size // 4,) * 2, (size // 32,) * 2}


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"size": 48}, "size 48 is not allowed; allowed: a multiple of 32"),
        ({"fmap_base": 0}, "fmap_base 0 is not allowed; allowed: 1 and up"),
        ({"shape": (2, 8, 8)}, "1, 3 or 4 channels; the data have 2: choose Discriminator"),
        ({"extractor": "lite1"}, "unknown extractor 'lite1'"),
    ],
)
def test_what_it_refuses(more: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match="^[^\n]*$") as caught:
        ProjectedDiscriminator(**{"shape": (3, 8, 8), **SMALL, **more})
    assert said in str(caught.value)


def test_a_run_resumes_exactly(tmp_path: Path) -> None:
    flags = {
        "dataset_class": "TonesDataset",
        "TonesDataset": {"count": 24, "frequency": 8000, "n_fft": 32, "hop_length": 16, "frames": 16},
        "discriminator": "ProjectedDiscriminator",
        "ProjectedDiscriminator": SMALL,
        "Generator.fmap_max": 4,
        "loss": "HingeGAN",
        "DepthManager": {"lod_training_nimg": 8, "lod_transition_nimg": 8},
        "minibatch_size": 4,
        "postprocessors": [],
        "loggers": ["JSONLLogger"],
    }
    whole = run(overrides={**flags, "total_kimg": 0.032, "result_dir": str(tmp_path / "whole")})
    run(overrides={**flags, "total_kimg": 0.016, "result_dir": str(tmp_path / "parts")})
    rest = run(overrides={"total_kimg": 0.032, "result_dir": str(tmp_path / "parts"), "resume": "latest"})
    first, second = (torch.load(snapshots(each.path)[-1], weights_only=True)["networks"]["D"] for each in (whole, rest))
    assert first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)
