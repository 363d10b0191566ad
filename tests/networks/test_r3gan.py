"""R3GAN's networks against a forward written from the paper's definition, in float64."""

from __future__ import annotations

from math import sqrt
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from resampling import boxed, enlarged, repeated, shrunk
from torch import Tensor

from pggan_framework.errors import UserError
from pggan_framework.labels.attributes import Attribute, LabelSpace
from pggan_framework.networks import R3GANDiscriminator, R3GANGenerator
from pggan_framework.schedules.growth import Growth

SPACE = LabelSpace((Attribute("kind", ("a", "b", "c")),))
SQUARE, WIDE = Growth.of((3, 8, 8)), Growth.of((2, 8, 32), seed=(4, 4))
SMALL: dict[str, Any] = {"fmap_base": 24, "fmap_max": 6, "group_size": 3}
OPTIONS = pytest.mark.parametrize(("growth", "space"), [(SQUARE, None), (WIDE, SPACE)], ids=["square", "labelled"])
PLACES = pytest.mark.parametrize(("depth", "alpha"), [(0, 1.0), (1, 0.3), (-1, 1.0), (-1, 0.6)])


def networks(growth: Growth, space: LabelSpace | None = None, **more: Any) -> tuple[R3GANGenerator, R3GANDiscriminator]:
    torch.manual_seed(0)
    G = R3GANGenerator(growth, latent_size=5, label_embedding=4, label_space=space, **{**SMALL, **more}).double()
    D = R3GANDiscriminator(growth, label_space=space, **{**SMALL, **more}).double()
    for network in (G, D):
        for parameter in network.parameters():
            if not parameter.any():  # biases and last kernels begin as zeros
                torch.nn.init.normal_(parameter, std=0.3)
    return G, D


def labels_of(space: LabelSpace | None) -> Tensor | None:
    return None if space is None else torch.eye(3, dtype=torch.float64)


def residuals(weights: dict[str, Tensor], prefix: str, x: Tensor) -> Tensor:
    for number in range(2):
        at = f"{prefix}.residuals.{number}"
        inner = F.conv2d(x, weights[f"{at}.expand.weight"]) + weights[f"{at}.expand.bias"][:, None, None]
        inner = torch.where(inner > 0, inner, inner / 5)
        kernel, out = weights[f"{at}.mix.weight"], []
        for row, part in zip(kernel.split(3), inner.split(3, 1), strict=True):  # groups of three feature maps
            out.append(F.conv2d(part, row, padding=1))
        inner = torch.cat(out, 1) + weights[f"{at}.mix.bias"][:, None, None]
        x = x + F.conv2d(torch.where(inner > 0, inner, inner / 5), weights[f"{at}.reduce.weight"])
    return x


def changed(weights: dict[str, Tensor], prefix: str, x: Tensor) -> Tensor:
    name = f"{prefix}.change.weight"
    return F.conv2d(x, weights[name]) if name in weights else x


@OPTIONS
@PLACES
def test_the_generator_is_the_papers(growth: Growth, space: LabelSpace | None, depth: int, alpha: float) -> None:
    G, _ = networks(growth, space)
    G.depth = depth = depth % (growth.max_depth + 1)
    G.alpha = alpha
    latents, labels = torch.randn(3, 5, dtype=torch.float64), labels_of(space)
    weights = {name: value.detach() for name, value in G.named_parameters()}
    inputs = latents if labels is None else torch.cat([latents, labels @ weights["embed.weight"].T], 1)
    scales = inputs @ weights["blocks.0.scales.weight"].T
    x = residuals(weights, "blocks.0", weights["blocks.0.images"] * scales[:, :, None, None])
    images = [F.conv2d(x, weights["to_rgb.0.weight"])]
    for d in range(1, depth + 1):
        x = enlarged(changed(weights, f"blocks.{d}", x), growth.factor(d))
        x = residuals(weights, f"blocks.{d}", x)
        images.append(F.conv2d(x, weights[f"to_rgb.{d}.weight"]))
    expected = images[-1]
    if depth:
        expected = alpha * expected + (1 - alpha) * repeated(images[-2], growth.factor(depth))
    torch.testing.assert_close(G(latents, labels).detach(), expected, rtol=1e-10, atol=1e-10)


@OPTIONS
@PLACES
def test_the_discriminator_is_the_papers(growth: Growth, space: LabelSpace | None, depth: int, alpha: float) -> None:
    _, D = networks(growth, space)
    D.depth = depth = depth % (growth.max_depth + 1)
    D.alpha = alpha
    images = torch.randn(3, *growth.shape_at(depth), dtype=torch.float64)
    labels = labels_of(space)
    weights = {name: value.detach() for name, value in D.named_parameters()}
    x = F.conv2d(images, weights[f"from_rgb.{depth}.weight"])
    for d in range(depth, 0, -1):
        x = changed(weights, f"blocks.{d}", shrunk(residuals(weights, f"blocks.{d}", x), growth.factor(d)))
        if d == depth:
            old = F.conv2d(boxed(images, growth.factor(d)), weights[f"from_rgb.{d - 1}.weight"])
            x = alpha * x + (1 - alpha) * old
    features = (residuals(weights, "blocks.0", x) * weights["blocks.0.images"]).sum((2, 3))
    scores = features @ weights["score.weight"].T
    if labels is not None:
        scores = (scores * (labels @ weights["embed.weight"].T)).sum(1, keepdim=True)
    verdict = D.judge(images, labels)
    torch.testing.assert_close(verdict.scores.detach(), scores[:, 0], rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(verdict.features.detach(), features, rtol=1e-10, atol=1e-10)


def test_the_start_is_fixed_up() -> None:
    """Each residual block is the identity; the other kernels have the papers' deviations for so many blocks."""
    torch.manual_seed(1)
    G = R3GANGenerator(Growth.of((3, 16, 16)), fmap_base=256, fmap_max=64)
    kernels = dict(G.named_parameters())
    reduce = [value for name, value in kernels.items() if name.endswith("reduce.weight")]
    assert len(reduce) == 6 and not any(value.any() for value in reduce)
    gain = sqrt(2 / 1.04) * 6**-0.25
    for name, fan_in in (("expand", 64), ("mix", 16 * 9)):
        values = torch.cat([v.flatten() for n, v in kernels.items() if n.endswith(f".0.{name}.weight")][:2])
        assert values.std().item() == pytest.approx(gain / sqrt(fan_in), rel=0.05), name
    assert kernels["blocks.0.residuals.0.mix.weight"].shape == (128, 16, 3, 3)


@pytest.mark.parametrize("name", ["blocks_per_depth", "expansion", "group_size"])
def test_a_number_out_of_its_limits_is_refused(name: str) -> None:
    for network in (R3GANGenerator, R3GANDiscriminator):
        with pytest.raises(UserError, match=rf"{network.__name__}\.{name} 0 is not allowed; allowed: 1 and up"):
            network(SQUARE, **{name: 0})  # type: ignore[arg-type]
