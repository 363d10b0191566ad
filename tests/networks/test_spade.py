"""SPADE's generator and the discriminator that sees the map."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from maps import random_maps, space_of
from torch import Tensor

from pggan_framework import UserError
from pggan_framework.labels.attributes import collect
from pggan_framework.labels.maps import MapResize, MapSpace
from pggan_framework.losses import WGANGP
from pggan_framework.losses.context import StepContext
from pggan_framework.networks import Discriminator, MapDiscriminator, SPADEGenerator, describe
from pggan_framework.networks.spade import SPADE, PlainNorm, shrink_maps
from pggan_framework.schedules.growth import Growth

GROWTH = Growth.of((3, 16, 16))
SMALL: dict[str, Any] = {"fmap_base": 64, "fmap_max": 8}
RESIZES: list[MapResize] = ["nearest", "shares"]


def space(resize: MapResize = "nearest", growth: Growth = GROWTH) -> MapSpace:
    return space_of(random_maps(4, *growth.shape[1:]), resize=resize)


def maps_at(of: MapSpace, size: tuple[int, int], first: int = 0) -> Tensor:
    rows = (np.arange(4)[:, None] + first) % 4
    return torch.from_numpy(of.condition(rows, size)).double()


def generator(resize: MapResize = "nearest", growth: Growth = GROWTH, **more: Any) -> SPADEGenerator:
    torch.manual_seed(0)
    options = {"latent_size": 5, "hidden": 6, **SMALL, **more}
    return SPADEGenerator(growth, label_space=space(resize, growth), **options).double()


def discriminator(resize: MapResize = "nearest", growth: Growth = GROWTH, **more: Any) -> MapDiscriminator:
    torch.manual_seed(1)
    return MapDiscriminator(growth, label_space=space(resize, growth), **{**SMALL, **more}).double()


def pictures(growth: Growth = GROWTH, depth: int = 2) -> Tensor:
    torch.manual_seed(2)
    return torch.randn(4, *growth.shape_at(depth), dtype=torch.float64)


def convolved(x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """A 3x3 convolution with zeros around, pixel by pixel."""
    padded = np.pad(x, [(0, 0), (0, 0), (1, 1), (1, 1)])
    out = np.empty((len(x), len(weight), *x.shape[2:]))
    for row in range(x.shape[2]):
        for column in range(x.shape[3]):
            box = padded[:, :, row : row + 3, column : column + 3]
            out[:, :, row, column] = np.einsum("ncij,ocij->no", box, weight) + bias
    return out


@pytest.mark.parametrize("norm", ["batch", "instance"])
@pytest.mark.parametrize("wscale", [True, False])
def test_the_normalisation_is_that_of_the_paper(norm: PlainNorm, wscale: bool) -> None:
    torch.manual_seed(3)
    layer = SPADE(4, 3, 5, norm, wscale).double()
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter)
    x, maps = torch.randn(2, 4, 6, 8, dtype=torch.float64) * 3 + 1, maps_at(space(), (8, 8))[:2, :, :6]
    weights = [(c.weight.detach().numpy() * c.scale, c.bias) for c in (layer.shared, layer.modulation)]
    hidden = np.maximum(convolved(maps.numpy(), weights[0][0], weights[0][1].detach().numpy()), 0)
    both = convolved(hidden, weights[1][0], weights[1][1].detach().numpy())
    axes = (0, 2, 3) if norm == "batch" else (2, 3)
    values = x.numpy()
    normed = values - values.mean(axes, keepdims=True)
    normed /= np.sqrt(values.var(axes, keepdims=True) + 1e-5)
    np.testing.assert_allclose(layer(x, maps).detach(), normed * (1 + both[:, :4]) + both[:, 4:], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("resize", RESIZES)
def test_a_map_shrunk_by_a_network_is_that_of_the_depth_before(resize: MapResize) -> None:
    of = space(resize)
    for size in ((16, 16), (8, 8)):
        half = (size[0] // 2, size[1] // 2)
        torch.testing.assert_close(shrink_maps(maps_at(of, size), (2, 2), resize), maps_at(of, half))


@pytest.mark.parametrize("resize", RESIZES)
@pytest.mark.parametrize("growth", [GROWTH, Growth.of((1, 24, 64), seed=(6, 8))], ids=["square", "rectangle"])
@pytest.mark.parametrize("norm", ["batch", "instance"])
def test_growing_is_continuous_at_both_ends(resize: MapResize, growth: Growth, norm: str) -> None:
    G, D = generator(resize, growth, norm=norm, tanh_at_end=False).eval(), discriminator(resize, growth)
    of, latents = space(resize, growth), torch.randn(4, 5, dtype=torch.float64)
    for depth in range(1, growth.max_depth + 1):
        made, scores = {}, {}
        sizes = {d: growth.shape_at(d)[1:] for d in (depth - 1, depth)}
        for at, alpha in ((depth - 1, 1.0), (depth, 0.0), (depth, 1e-9), (depth, 1 - 1e-9), (depth, 1.0)):
            for network in (G, D):
                network.depth, network.alpha = at, alpha
            maps = maps_at(of, sizes[at])
            made[at, alpha] = G(latents, maps).detach()
            large = pictures(growth, depth)
            seen = large if at == depth else torch.nn.functional.avg_pool2d(large, growth.factor(depth))
            scores[at, alpha] = D(seen, maps).detach()
        before = torch.nn.functional.interpolate(made[depth - 1, 1.0], size=sizes[depth])
        torch.testing.assert_close(made[depth, 0.0], before)
        torch.testing.assert_close(scores[depth, 0.0], scores[depth - 1, 1.0])
        for found in (made, scores):
            torch.testing.assert_close(found[depth, 1e-9], found[depth, 0.0], rtol=1e-5, atol=1e-6)
            torch.testing.assert_close(found[depth, 1 - 1e-9], found[depth, 1.0], rtol=1e-5, atol=1e-6)
            assert not torch.allclose(found[depth, 0.0], found[depth, 1.0])


def test_a_picture_follows_its_map_and_its_latent() -> None:
    G, of = generator().eval(), space()
    latents, maps = torch.randn(4, 5, dtype=torch.float64), maps_at(of, (16, 16)).requires_grad_()
    made = G(latents, maps)
    assert made.shape == (4, 3, 16, 16) and made.abs().max() <= 1
    (gradient,) = torch.autograd.grad(made[0].sum(), maps)
    assert gradient[0].abs().sum() > 0 and gradient[1:].abs().sum() == 0
    other = maps.detach().clone()
    other[:, :, 8:, 8:] = other[:, :, 8:, 8:].roll(1, 1)
    assert not torch.allclose(G(latents, other), made) and not torch.allclose(G(latents + 1, maps), made)


def test_without_a_latent_a_map_gives_one_picture() -> None:
    G = generator(latent_size=0).eval()
    nothing, maps = torch.randn(4, 0, dtype=torch.float64), maps_at(space(), (16, 16))
    torch.testing.assert_close(G(nothing, maps), G(nothing, maps))
    assert not torch.allclose(G(nothing, maps)[0], G(nothing, maps)[1])
    assert G.noise is None and sum(row[2] for row in describe(G)) == sum(p.numel() for p in G.parameters())


def test_samples_do_not_depend_on_their_neighbours() -> None:
    for norm in ("batch", "instance"):
        G, latents = generator(norm=norm), torch.randn(4, 5, dtype=torch.float64)
        maps = maps_at(space(), (16, 16))
        G(latents, maps)  # the running averages are those of one step now
        torch.testing.assert_close(G.eval()(latents, maps)[:1], G(latents[:1], maps[:1]))


def test_spectral_norm_is_that_of_the_residual_convolutions() -> None:
    count = {
        wanted: sum("direction" in name for name, _ in generator(spectral_norm=wanted).named_buffers())
        for wanted in (True, False)
    }
    changing = sum(block.short is not None for block in generator().blocks)
    assert count == {True: 2 * 3 + changing, False: 0}
    layer, x = generator().blocks[0].first, torch.zeros(1, 8, 4, 4, dtype=torch.float64)
    for _ in range(200):
        layer(x)
    assert layer.spectral is not None
    weight = layer.eval().spectral(layer.weight * layer.scale).detach().flatten(1)
    assert np.linalg.svd(weight.numpy(), compute_uv=False)[0] == pytest.approx(1, rel=1e-3)


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_a_score_depends_on_the_map(depth: int) -> None:
    D = discriminator()
    D.depth, D.alpha = depth, 0.4
    size = D.size
    first, second = (D(pictures(depth=depth), maps_at(space(), size, start)) for start in (0, 1))
    assert not torch.isclose(first, second).any()
    verdict = D.judge(pictures(depth=depth), maps_at(space(), size))
    assert verdict.logits is None and verdict.features.shape[0] == 4


def test_it_is_the_plain_discriminator_of_joined_channels() -> None:
    D = discriminator()
    plain = Discriminator(Growth.of((6, 16, 16)), **SMALL).double()
    plain.load_state_dict(D.state_dict())
    maps = maps_at(space(), (16, 16))
    torch.testing.assert_close(D(pictures(), maps), plain(torch.cat([pictures(), maps], 1)))
    assert D.growth == GROWTH and sum(row[2] for row in describe(D)) == sum(p.numel() for p in D.parameters())


def test_the_penalty_is_taken_of_the_picture_given_its_map() -> None:
    G, D = generator(), discriminator(mbstd="none")
    reals, latents, mixing = pictures(), torch.randn(4, 5).double(), torch.rand(4, 1, 1, 1).double()
    maps = maps_at(space(), (16, 16))
    context = StepContext("D", G, D, latents, reals, maps, mixing)
    WGANGP(iwass_epsilon=0).total(context).backward()
    points, step = context.interpolates.detach(), 1e-6
    direction = torch.nn.functional.normalize(context.interpolate_gradients.detach().flatten(1)).view_as(points)
    slopes = (D(points + step * direction, maps) - D(points - step * direction, maps)) / (2 * step)
    torch.testing.assert_close(
        context.stats["gradient_penalty"], (slopes - 1).square().mean().detach(), rtol=1e-4, atol=1e-6
    )
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in (D.from_rgb[2].weight, D.score.weight))


def test_what_is_frozen_is_what_earlier_depths_trained() -> None:
    G = generator()
    G.depth = 0
    assert not G.earlier()
    G.depth = 2
    frozen = {id(module) for module in G.earlier()}
    assert frozen == {id(m) for m in (G.seed, G.noise, G.blocks[0], G.blocks[1], G.to_rgb[0], G.to_rgb[1])}


def test_what_cannot_be_is_refused() -> None:
    pitched, _ = collect({"pitch": [60, 61]})
    for cls in (SPADEGenerator, MapDiscriminator):
        with pytest.raises(UserError, match=f"{cls.__name__} is for label maps, but the data have no labels"):
            cls(GROWTH)
        with pytest.raises(UserError, match="the labels pitch; allowed: dataset_class LabelMapDataset"):
            cls(GROWTH, label_space=pitched)
    for name, value in (("latent_size", -1), ("hidden", 0)):
        with pytest.raises(UserError, match=f"SPADEGenerator.{name} {value} is not allowed"):
            generator(**{name: value})
    with pytest.raises(ValueError, match=r"labels of shape None; due are \(4, 3, 16, 16\)"):
        discriminator()(pictures())
    with pytest.raises(ValueError, match=r"labels of shape \(4, 3, 8, 8\); due are"):
        generator()(torch.zeros(4, 5).double(), maps_at(space(), (8, 8)))
    with pytest.raises(ValueError, match="images of shape"):
        discriminator()(pictures(depth=1), maps_at(space(), (16, 16)))
