"""FastGAN's skip-layer excitation and self-supervision against formulas written out in float64."""

from __future__ import annotations

from math import sqrt
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from resampling import boxed, repeated
from torch import Tensor

from pggan_framework.errors import UserError
from pggan_framework.losses import SelfSupervision
from pggan_framework.losses.context import StepContext
from pggan_framework.networks import AutoencoderDiscriminator, Discriminator, Generator
from pggan_framework.schedules.growth import Growth

SMALL: dict[str, Any] = {"fmap_base": 64, "fmap_max": 6}
WIDE = Growth.of((2, 16, 32), seed=(2, 4))


def scaled(layer: Any, gain: float) -> Tensor:
    weight: Tensor = layer.weight.detach()
    return weight * gain / sqrt(weight[0].numel())


def test_a_block_is_multiplied_by_gates_from_an_earlier_one() -> None:
    torch.manual_seed(0)
    G = Generator(WIDE, latent_size=5, excitation=2, **SMALL).double()
    assert [block.excitation is not None for block in list(G.blocks)[1:]] == [False, True, True]  # type: ignore[union-attr]
    outputs: list[Tensor] = []
    hooks = [block.register_forward_hook(lambda *call: outputs.append(call[2].detach())) for block in G.blocks]
    G(torch.randn(3, 5, dtype=torch.float64))
    for hook in hooks:
        hook.remove()
    for depth in (2, 3):
        block: Any = G.blocks[depth]
        source = outputs[depth - 2]
        pooled = source if depth == 2 else boxed(source, (2, 2))
        inner = pooled.flatten(1) @ scaled(block.excitation.first, sqrt(2)).T
        gates = torch.sigmoid(torch.where(inner > 0, inner, inner / 10) @ scaled(block.excitation.second, 1.0).T)
        plain = block(outputs[depth - 1])
        torch.testing.assert_close(outputs[depth], plain.detach() * gates[:, :, None, None])


def decoded(decoder: Any, x: Tensor, factors: list[tuple[int, int]]) -> Tensor:
    for block, factor in zip(decoder.blocks, factors, strict=False):
        y = F.conv2d(repeated(x, factor), scaled(block, sqrt(2)), padding=1)
        y = (y - y.mean((0, 2, 3), keepdim=True)) / (y.var((0, 2, 3), unbiased=False, keepdim=True) + 1e-5).sqrt()
        half = y.shape[1] // 2
        x = y[:, :half] / (1 + torch.exp(-y[:, half:]))
    return torch.tanh(F.conv2d(x, scaled(decoder.to_rgb, 1.0), padding=1))


@pytest.mark.parametrize("growth", [Growth.of((3, 32, 32)), Growth.of((2, 16, 32), seed=(2, 2))])
def test_images_are_made_of_feature_maps(growth: Growth) -> None:
    torch.manual_seed(0)
    D: Any = Discriminator(growth, decoders=True, **SMALL).double()
    images = torch.rand(3, *growth.shape, dtype=torch.float64) * 2 - 1
    outputs: dict[int, Tensor] = {}
    for depth in (2, 3):
        D.blocks[depth].register_forward_hook(
            lambda block, given, out, depth=depth: outputs.__setitem__(depth - 1, out.detach())
        )
    factors = [growth.factor(depth) for depth in range(1, growth.max_depth + 1)]
    torch.manual_seed(5)
    sides = [int(torch.randint(2, (1,))) for _ in range(2)]
    small = decoded(D.decoders.parts["1"], outputs_of(D, images, outputs)[1], factors[1:])
    x, target = outputs[2], images
    for axis, side in zip((2, 3), sides, strict=True):
        x, target = x.chunk(2, axis)[side], target.chunk(2, axis)[side]
    large = decoded(D.decoders.parts["2"], x, factors[2:])
    if growth.max_depth == 3:
        expected = (small - images).abs().mean() + (large - target).abs().mean()
        context = StepContext("D", Generator(growth, latent_size=3, **SMALL), D, torch.zeros(3, 3), images)
        torch.manual_seed(5)
        value = SelfSupervision()(context)
        torch.testing.assert_close(value.detach(), expected)
        value.backward()
        assert D.from_rgb[3].weight.grad.any() and D.score.weight.grad is None
        D.depth = 1
        assert SelfSupervision()(StepContext("D", context.G, D, torch.zeros(3, 3), boxed(images, (4, 4)))) == 0
    else:
        assert len(D.reconstructions(images)) == 2


def outputs_of(D: Any, images: Tensor, outputs: dict[int, Tensor]) -> dict[int, Tensor]:
    D(images)
    return outputs


def test_a_discriminator_without_decoders_is_refused() -> None:
    growth = Growth.of((3, 16, 16))
    G = Generator(growth, latent_size=3, **SMALL)
    for D in (Discriminator(growth, **SMALL), AutoencoderDiscriminator(growth, **SMALL)):
        with pytest.raises(UserError, match="needs a discriminator with decoders"):
            SelfSupervision().check(G, D)
    with pytest.raises(UserError, match="excitation -1 is not allowed"):
        Generator(growth, excitation=-1)
