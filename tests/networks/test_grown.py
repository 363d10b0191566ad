"""What all networks that grow by blocks have in common, for those newer than PGGAN and for PGGAN's switches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from resampling import boxed, repeated, shrunk
from torch import Tensor

from pggan_framework.labels.attributes import Attribute, LabelSpace
from pggan_framework.losses import R1, R2, PathLength, RelativisticGAN
from pggan_framework.losses.context import Side, StepContext
from pggan_framework.networks import (
    Discriminator,
    Generator,
    R3GANDiscriminator,
    R3GANGenerator,
    StyleGAN2Discriminator,
    StyleGAN2Generator,
    describe,
)
from pggan_framework.networks.base import DiscriminatorBase, GeneratorBase
from pggan_framework.networks.execution import Execution
from pggan_framework.networks.functional import blur, downsample
from pggan_framework.schedules.growth import Growth
from pggan_framework.training.step import backward

SPACE = LabelSpace((Attribute("kind", ("a", "b", "c")),))
GROWTH = Growth.of((2, 8, 16), seed=(4, 4))
SMALL: dict[str, Any] = {"fmap_base": 16, "fmap_max": 4}
Pair = tuple[GeneratorBase, DiscriminatorBase]


def switched(**labels: Any) -> Pair:
    G = Generator(GROWTH, latent_size=5, upsampling="filtered", excitation=1, norm="layer", **SMALL, **labels)
    return G, Discriminator(GROWTH, residual=True, filtered_downscale=True, fused_downscale=False, **SMALL, **labels)


def r3gan(**labels: Any) -> Pair:
    more = {"group_size": 4, **SMALL, **labels}
    return R3GANGenerator(GROWTH, latent_size=5, **more), R3GANDiscriminator(GROWTH, **more)


def stylegan2(**labels: Any) -> Pair:
    more = {**SMALL, **labels}
    G = StyleGAN2Generator(GROWTH, latent_size=5, mapping_layers=2, style_mixing=0.5, **more)
    return G, StyleGAN2Discriminator(GROWTH, **more)


PAIRS = pytest.mark.parametrize("make", [switched, r3gan, stylegan2])


def drawn(make: Callable[..., Pair], **labels: Any) -> Pair:
    torch.manual_seed(0)
    G, D = make(**labels)
    for network in (G, D):
        network.double()
        for parameter in network.parameters():
            if not parameter.any():
                torch.nn.init.normal_(parameter, std=0.2)
    return G, D


def place(networks: Pair, depth: int, alpha: float) -> None:
    for network in networks:
        network.depth, network.alpha = depth, alpha


@PAIRS
@pytest.mark.parametrize("labels", [{}, {"label_space": SPACE}])
def test_growing_is_continuous_at_both_ends(make: Callable[..., Pair], labels: dict[str, Any]) -> None:
    G, D = drawn(make, **labels)
    G.eval()
    latents, given = torch.randn(3, 5, dtype=torch.float64), torch.eye(3, dtype=torch.float64) if labels else None
    for depth in (1, 2):
        factor = GROWTH.factor(depth)
        large = torch.randn(3, *GROWTH.shape_at(depth), dtype=torch.float64)
        place((G, D), depth - 1, 1.0)
        image, score = repeated(G(latents, given), factor), D(boxed(large, factor), given)
        found = []
        for alpha in (0.0, 1e-9, 1 - 1e-9, 1.0):
            place((G, D), depth, alpha)
            found.append((G(latents, given), D(large, given)))
        for mine, theirs in zip(found[0], (image, score), strict=True):
            torch.testing.assert_close(mine, theirs)
        for first, second in ((0, 1), (2, 3)):
            for mine, theirs in zip(found[first], found[second], strict=True):
                torch.testing.assert_close(mine, theirs, rtol=1e-6, atol=1e-7)
        assert not torch.allclose(found[0][0], found[3][0]) and not torch.allclose(found[0][1], found[3][1])


def gradients(networks: Pair, side: Side, labels: Tensor | None) -> dict[str, Tensor]:
    G, D = networks
    own = G if side == "G" else D
    for network in networks:
        network.zero_grad(set_to_none=True)
        network.requires_grad_(network is own)
    torch.manual_seed(3)
    reals = torch.randn(3, *GROWTH.shape_at(G.depth), dtype=torch.float64)
    loss = RelativisticGAN() + (R1().terms[0], R2().terms[0], PathLength().terms[0])
    backward(loss, StepContext(side, G, D, torch.randn(3, 5, dtype=torch.float64), reals, labels))
    return {name: p.grad.clone() for name, p in own.named_parameters() if p.grad is not None}


@PAIRS
@pytest.mark.parametrize(("depth", "alpha"), [(0, 1.0), (2, 0.4)])
@pytest.mark.parametrize("side", ["D", "G"])
def test_every_derivative_is_that_of_pytorchs_own_operations(
    make: Callable[..., Pair], depth: int, alpha: float, side: Side
) -> None:
    """Those of second order are in the penalties; recomputing feature maps changes none."""
    networks = drawn(make, label_space=SPACE)
    labels = torch.eye(3, dtype=torch.float64)
    place(networks, depth, alpha)
    found = []
    for execution in (Execution(), Execution(reference=True), Execution(recompute_from=0)):
        for network in networks:
            network.execute(execution)
        found.append(gradients(networks, side, labels))
    assert found[0]
    for other in found[1:]:
        assert other.keys() == found[0].keys()
        for name, value in other.items():
            torch.testing.assert_close(found[0][name], value, rtol=1e-9, atol=1e-11, msg=name)


@PAIRS
def test_all_in_use_is_trained_and_listed(make: Callable[..., Pair]) -> None:
    networks = drawn(make)
    place(networks, 2, 0.5)
    for side, network in zip("GD", networks, strict=True):
        reached = gradients(networks, side, None).keys()  # type: ignore[arg-type]
        used = {id(p) for module in network.used() for p in module.parameters(recurse=False)}
        assert {name for name, p in network.named_parameters() if id(p) in used} == reached
        unused = {name for name, _ in network.named_parameters()} - reached
        assert all(name.startswith(("to_rgb.0", "from_rgb.0")) for name in unused), unused
        assert sum(row[2] for row in describe(network)) == sum(p.numel() for p in network.parameters())
        assert network.earlier()


@pytest.mark.parametrize("factor", [(2, 2), (1, 2), (2, 1)])
def test_a_blur_and_a_mean_are_the_filter(factor: tuple[int, int]) -> None:
    x = torch.randn(2, 3, 6, 8, dtype=torch.float64)
    torch.testing.assert_close(downsample(blur(x, factor), factor), shrunk(x, factor))
