"""StyleGAN2's networks and path lengths against what its paper defines, written out in float64."""

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
from pggan_framework.losses import LogisticGAN, PathLength
from pggan_framework.losses.context import StepContext
from pggan_framework.models.pretrained import Pretrained
from pggan_framework.networks import Generator, StyleGAN2Discriminator, StyleGAN2Generator
from pggan_framework.schedules.growth import Growth

SPACE = LabelSpace((Attribute("kind", ("a", "b", "c")),))
SQUARE, WIDE = Growth.of((3, 8, 8)), Growth.of((2, 8, 32), seed=(4, 4))
SMALL: dict[str, Any] = {"fmap_base": 24, "fmap_max": 6}
OPTIONS = pytest.mark.parametrize(("growth", "space"), [(SQUARE, None), (WIDE, SPACE)], ids=["square", "labelled"])
PLACES = pytest.mark.parametrize(("depth", "alpha"), [(0, 1.0), (1, 0.3), (-1, 1.0)])


def generator(growth: Growth = SQUARE, space: LabelSpace | None = None, **more: Any) -> StyleGAN2Generator:
    torch.manual_seed(0)
    options = {"latent_size": 5, "style_size": 4, "mapping_layers": 2, **SMALL, **more}
    G = StyleGAN2Generator(growth, label_space=space, **options).double()
    for name, parameter in G.named_parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=20.0 if "mapping" in name else 0.3)
    return G


def leaky(x: Tensor) -> Tensor:
    return torch.where(x > 0, x, x / 5)


def modulated(weights: dict[str, Tensor], at: str, x: Tensor, style: Tensor, factor: Any = (1, 1)) -> Tensor:
    """One sample after the other, each with its own kernel."""
    kernel = weights[f"{at}.conv.weight"]
    kernel = kernel / sqrt(kernel[0].numel())
    scales = style @ weights[f"{at}.style.weight"].T / sqrt(style.shape[1]) + weights[f"{at}.style.bias"]
    image, out = ".to_rgb" in f".{at}", []
    for row, scale in zip(x, scales, strict=True):
        own = kernel * scale[:, None, None]
        if not image:
            own = own / (own.square().sum((1, 2, 3), keepdim=True) + 1e-8).sqrt()
        if factor == (1, 1):
            out.append(F.conv2d(row[None], own, padding=kernel.shape[-1] // 2))
            continue
        # Nearest, convolution, then [1, 2, 1] / 4: together the filter [1, 3, 3, 1].
        y = F.conv2d(repeated(row[None], factor), own, padding=1)
        for axis, step in zip((2, 3), factor, strict=True):
            n = y.shape[axis]
            index = torch.arange(n)
            before, after = (
                y.index_select(axis, (index - 1).clamp(0)),
                y.index_select(axis, (index + 1).clamp(max=n - 1)),
            )
            y = (before + 2 * y + after) / 4 if step == 2 else y
        out.append(y)
    y = torch.cat(out)
    if f"{at}.strength" in weights:
        y = y + weights[f"{at}.fixed_noise"] * weights[f"{at}.strength"]
    y = y + weights[f"{at}.bias"]
    return y if image else leaky(y) * sqrt(2)


@OPTIONS
@PLACES
@pytest.mark.parametrize("noise", [True, False])
def test_the_generator_is_the_papers(
    growth: Growth, space: LabelSpace | None, depth: int, alpha: float, noise: bool
) -> None:
    G = generator(growth, space, noise=noise).eval()
    G.depth = depth = depth % (growth.max_depth + 1)
    G.alpha, G.truncation = alpha, 0.7
    G.average.normal_()
    latents, labels = torch.randn(3, 5, dtype=torch.float64), torch.eye(3, dtype=torch.float64) if space else None
    weights = {name: value.detach() for name, value in G.state_dict().items()}
    x = latents / (latents.square().mean(1, keepdim=True) + 1e-8).sqrt()
    if labels is not None:
        e = labels @ weights["mapping.embed.weight"].T / sqrt(3) + weights["mapping.embed.bias"]
        x = torch.cat([x, e / (e.square().mean(1, keepdim=True) + 1e-8).sqrt()], 1)
    for layer in range(2):
        weight, bias = weights[f"mapping.layers.{layer}.weight"], weights[f"mapping.layers.{layer}.bias"]
        assert 30 < weight.std() < 300  # a hundredth of the learning rate
        x = sqrt(2) * leaky(0.01 * (x @ weight.T / sqrt(weight.shape[1]) + bias))
    style = G.average + 0.7 * (x - G.average)
    x = modulated(weights, "blocks.0.conv", weights["blocks.0.constant"].expand(3, -1, -1, -1), style)
    image = modulated(weights, "to_rgb.0", x, style)
    for d in range(1, depth + 1):
        x = modulated(weights, f"blocks.{d}.first", x, style, growth.factor(d))
        x = modulated(weights, f"blocks.{d}.second", x, style)
        new = enlarged(image, growth.factor(d)) + modulated(weights, f"to_rgb.{d}", x, style)
        share = alpha if d == depth else 1.0
        image = share * new + (1 - share) * repeated(image, growth.factor(d))
    torch.testing.assert_close(G(latents, labels).detach(), image, rtol=1e-10, atol=1e-10)


def test_a_models_styles_are_truncated_and_not_its_latents() -> None:
    G = generator().eval()
    model = Pretrained(G, None, 0, {})
    latents = torch.randn(2, 5, dtype=torch.float64)
    own = G.styles(latents)
    assert model.truncate(None) is None and torch.equal(G.styles(latents), own)
    assert model.truncate(0.5) is None
    torch.testing.assert_close(G.styles(latents), 0.5 * own + 0.5 * G.average)
    assert Pretrained(Generator(SQUARE, latent_size=5, **SMALL), None, 0, {}).truncate(0.5) == 0.5


def test_training_mixes_styles_and_follows_their_average() -> None:
    G = generator(style_mixing=1.0, noise=False)
    latents = torch.randn(64, 5, dtype=torch.float64)
    own = G.mapping(latents, None)
    styles = G.styles(latents)
    assert styles.shape == (64, 3, 4)
    torch.testing.assert_close(G.average, 0.005 * own.mean(0))
    mine = (styles == own[:, None]).all(2)
    assert mine[:, 0].all() and not mine[:, 2].any()  # another latent's from layer 1 or 2 on
    assert 10 < mine[:, 1].sum() < 54
    assert torch.equal(generator(style_mixing=0.0, noise=False).styles(latents)[:, 2], own)
    noisy = generator(noise=True)
    for parameter in noisy.modules():
        if getattr(parameter, "strength", None) is not None:
            torch.nn.init.ones_(parameter.strength)  # type: ignore[arg-type]
    assert not torch.equal(noisy(latents), noisy(latents))
    noisy.eval()
    assert torch.equal(noisy(latents), noisy(latents))


@OPTIONS
@PLACES
def test_the_discriminator_is_the_papers(growth: Growth, space: LabelSpace | None, depth: int, alpha: float) -> None:
    torch.manual_seed(0)
    D = StyleGAN2Discriminator(growth, label_space=space, **SMALL).double()
    D.depth = depth = depth % (growth.max_depth + 1)
    D.alpha = alpha
    for parameter in D.parameters():
        torch.nn.init.normal_(parameter)
    w = {name: value.detach() for name, value in D.named_parameters()}

    def conv(at: str, x: Tensor, gain: float = sqrt(2)) -> Tensor:
        kernel = w[f"{at}.weight"] * gain / sqrt(w[f"{at}.weight"][0].numel())
        return F.conv2d(x, kernel, w.get(f"{at}.bias"), padding=kernel.shape[-1] // 2)

    images = torch.randn(4, *growth.shape_at(depth), dtype=torch.float64)
    x = leaky(conv(f"from_rgb.{depth}", images))
    for d in range(depth, 0, -1):
        factor = growth.factor(d)
        inner = leaky(conv(f"blocks.{d}.first", x))
        # The filter [1, 3, 3, 1] is [1, 2, 1] on what the convolution sees, then the mean of what it gives.
        smooth = inner
        for axis, step in zip((2, 3), factor, strict=True):
            n, index = smooth.shape[axis], torch.arange(smooth.shape[axis])
            before = smooth.index_select(axis, (index - 1).clamp(0))
            after = smooth.index_select(axis, (index + 1).clamp(max=n - 1))
            smooth = (before + 2 * smooth + after) / 4 if step == 2 else smooth
        inner = leaky(boxed(conv(f"blocks.{d}.second", smooth), factor))
        x = (inner + conv(f"blocks.{d}.skip", shrunk(x, factor), 1.0)) / sqrt(2)
        if d == depth:
            x = alpha * x + (1 - alpha) * leaky(conv(f"from_rgb.{d - 1}", boxed(images, factor)))
    deviation = (x.var(0, unbiased=False) + 1e-8).sqrt().mean()
    x = torch.cat([x, deviation.expand(4, 1, *x.shape[2:])], 1)
    x = leaky(conv("blocks.0.conv", x)).flatten(1)
    x = leaky(x @ w["blocks.0.dense.weight"].T * sqrt(2 / x.shape[1]) + w["blocks.0.dense.bias"])
    scores = x @ w["score.weight"].T / sqrt(x.shape[1]) + w["score.bias"]
    verdict = D.judge(images)
    torch.testing.assert_close(verdict.scores.detach(), scores[:, 0], rtol=1e-10, atol=1e-10)
    assert (verdict.logits is None) == (space is None)


def path_lengths(G: Any, latents: Tensor, mean: float) -> tuple[Tensor, Tensor]:
    """The penalty and the mean norm, a Jacobian of each sample by itself."""
    torch.manual_seed(7)
    styled = isinstance(G, StyleGAN2Generator)
    points = G.styles(latents).detach() if styled else latents
    draw = G.synthesize if styled else G
    noise = torch.randn_like(draw(points)) / sqrt(64)
    norms = []
    for point, y in zip(points, noise, strict=True):
        J = torch.autograd.functional.jacobian(lambda p: draw(p[None])[0], point)  # [C, h, w, ...]
        product = torch.tensordot(y, J, 3)
        norms.append((product.square().sum(-1).mean() if styled else product.square().sum()).sqrt())
    found = torch.stack(norms)
    target = mean + 0.01 * (found.mean() - mean)
    return (found - target).square().mean(), found.mean()


@pytest.mark.parametrize("styled", [True, False])
def test_path_lengths_are_those_of_the_jacobian(styled: bool) -> None:
    G: Any = generator(style_mixing=0.0, noise=False) if styled else Generator(SQUARE, latent_size=5, **SMALL).double()
    D = StyleGAN2Discriminator(SQUARE, **SMALL).double()
    term = PathLength()
    term.mean = torch.tensor(0.5, dtype=torch.float64)
    context = StepContext("G", G, D, torch.randn(5, 5, dtype=torch.float64))
    expected, norm = path_lengths(G, context.latents[:3], 0.5)
    torch.manual_seed(7)
    if styled:
        torch.testing.assert_close(term(context).detach(), expected)
        term.after_update(context)
        torch.testing.assert_close(term.mean, 0.5 + 0.01 * (norm - 0.5))
        fresh = PathLength()
        fresh.load_state_dict(term.state_dict())
        assert torch.equal(fresh.mean, term.mean)
    value = term(context)
    value.backward()
    assert any(p.grad is not None and p.grad.any() for p in G.parameters())
    loss = LogisticGAN() + term.terms
    assert not loss.needs_reals_for_G


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"latent_size": 0}, "latent_size 0"),
        ({"mapping_layers": 0}, "mapping_layers 0"),
        ({"style_mixing": 2}, "0 to 1"),
    ],
)
def test_a_number_out_of_its_limits_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        generator(**given)
    with pytest.raises(UserError, match="above 0 to 1"):
        PathLength(decay=0)
