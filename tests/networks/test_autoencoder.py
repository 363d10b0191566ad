"""The auto-encoding discriminator: it grows and fades as one network, and its score is its error."""

from __future__ import annotations

import re
from copy import deepcopy
from typing import Any

import pytest
import torch

from pggan_framework.errors import UserError
from pggan_framework.labels.attributes import collect
from pggan_framework.losses import WGANGP
from pggan_framework.losses.context import StepContext
from pggan_framework.networks import AutoencoderDiscriminator, Generator, describe
from pggan_framework.registry import REGISTRY
from pggan_framework.schedules.growth import Growth

SMALL: dict[str, Any] = {"fmap_base": 64, "fmap_max": 8, "hidden_size": 5}
RECTANGLE = Growth(1, (2, 8), ((False, True), (True, True), (True, False)))
SHAPES = [Growth.of([2, 16, 16]), RECTANGLE]


def network(growth: Growth = SHAPES[0], **more: Any) -> AutoencoderDiscriminator:
    torch.manual_seed(0)
    D = AutoencoderDiscriminator(growth, **{**SMALL, **more}).double()
    for name, parameter in D.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(parameter)
    return D


def rebuild(D: AutoencoderDiscriminator, images: torch.Tensor) -> torch.Tensor:
    result = D.judge(images).reconstruction
    assert result is not None
    return result


@pytest.mark.parametrize("growth", SHAPES)
def test_shapes_and_scores_at_every_depth(growth: Growth) -> None:
    D = network(growth)
    for depth in range(growth.max_depth + 1):
        D.depth, D.alpha = depth, 0.4
        images = torch.randn(3, *growth.shape_at(depth), dtype=torch.float64)
        verdict = D.judge(images)
        assert verdict.reconstruction is not None and verdict.reconstruction.shape == images.shape
        assert verdict.features.shape == (3, 5)
        errors = [float((a - b).abs().mean().detach()) for a, b in zip(images, verdict.reconstruction, strict=True)]
        assert verdict.scores.tolist() == pytest.approx([-e for e in errors], rel=1e-12)
        torch.testing.assert_close(D(images), verdict.scores)


@pytest.mark.parametrize("growth", SHAPES)
def test_both_halves_fade_in_together(growth: Growth) -> None:
    D = network(growth)
    for depth in range(1, growth.max_depth + 1):
        down, across = growth.factor(depth)
        small = torch.randn(2, *growth.shape_at(depth - 1), dtype=torch.float64)
        large = small.repeat_interleave(down, 2).repeat_interleave(across, 3)
        D.depth, D.alpha = depth - 1, 1.0
        before = rebuild(D, small).repeat_interleave(down, 2).repeat_interleave(across, 3)
        D.depth, D.alpha = depth, 0.0
        torch.testing.assert_close(rebuild(D, large), before)
        D.alpha = 1.0
        after = rebuild(D, large)
        D.alpha = 1 - 1e-9
        torch.testing.assert_close(rebuild(D, large), after, rtol=1e-6, atol=1e-6)
        assert not torch.allclose(after, before)


def test_a_picture_is_judged_alone() -> None:
    D = network()
    images = torch.randn(6, 2, 16, 16, dtype=torch.float64)
    verdicts = D.judge(images, parts=2).split(2)
    for part, verdict in zip(images.chunk(2), verdicts, strict=True):
        assert verdict.reconstruction is not None
        torch.testing.assert_close(verdict.reconstruction, rebuild(D, part))
        torch.testing.assert_close(verdict.scores[:1], D(part[:1]))


def test_everything_in_use_takes_a_gradient_and_nothing_else() -> None:
    D = network()
    for depth in range(3):
        D.depth, D.alpha = depth, 0.5
        D.zero_grad()
        D(torch.randn(3, *D.growth.shape_at(depth), dtype=torch.float64)).sum().backward()
        used = {name for name, p in D.named_parameters() if p.grad is not None and p.grad.any()}
        expected = set()
        for name, _ in D.named_parameters():
            block, layer = re.search(r"blocks\.(\d)", name), re.search(r"rgb\.(\d)", name)
            in_use = block and int(block[1]) <= depth or layer and int(layer[1]) in {depth, max(depth - 1, 0)}
            if in_use or name.startswith("code."):
                expected.add(name)
        assert used == expected


def test_two_passes_mid_fade_can_both_be_differentiated() -> None:
    # A pass that wrote alpha into the decoder again would break the backward of the one before.
    D = network()
    G = Generator(D.growth, latent_size=3, fmap_base=64, fmap_max=8).double()
    for each in (G, D):
        each.depth, each.alpha = 1, 0.3
    reals = torch.randn(4, 2, 8, 8, dtype=torch.float64)
    step = StepContext("D", G, D, torch.randn(4, 3, dtype=torch.float64), reals)
    WGANGP().total(step).backward()
    assert D.decoder.to_rgb[1].weight.grad.any()  # type: ignore[union-attr,operator]


def test_its_gradients_are_right_at_both_orders() -> None:
    D = network(Growth.of([1, 4, 4], seed=[2, 2]), fmap_base=4, fmap_max=2, hidden_size=2)
    D.alpha = 0.3
    images = torch.randn(1, 1, 4, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(D, images)
    assert torch.autograd.gradgradcheck(D, images, fast_mode=True)


def test_it_learns_to_rebuild() -> None:
    torch.manual_seed(0)
    D = AutoencoderDiscriminator([1, 8, 8], fmap_base=64, fmap_max=8, hidden_size=4)
    images = torch.randn(4, 1, 8, 8)
    optimizer = torch.optim.Adam(D.parameters(), 0.01)
    first = D(images).mean().item()
    for _ in range(150):
        optimizer.zero_grad()
        (-D(images).mean()).backward()
        optimizer.step()
    assert D(images).mean().item() > 0.4 * first


def test_copies_and_tables() -> None:
    D = network()
    rows = describe(D)
    assert sum(row[2] for row in rows) == sum(p.numel() for p in D.parameters())
    assert all(row[1] != "unused" for row in rows)
    D.depth, D.alpha = 1, 0.25
    copy = deepcopy(D)
    images = torch.randn(2, 2, 8, 8, dtype=torch.float64)
    torch.testing.assert_close(copy(images), D(images))
    copy.alpha = 0.75
    assert float(D.alpha) == 0.25 and not torch.allclose(copy(images), D(images))


def test_labels_are_found_in_the_picture() -> None:
    space, labels = collect({"pitch": [60, 61, 62]})
    D = network(label_space=space)
    images = torch.randn(3, 2, 16, 16, dtype=torch.float64)
    verdict = D.judge(images, torch.from_numpy(space.one_hot(labels)).double())
    assert verdict.logits is not None and verdict.logits.shape == (3, 3)
    torch.testing.assert_close(verdict.logits, D.judge(images).logits)


def test_what_makes_no_sense_is_told() -> None:
    assert REGISTRY.get("AutoencoderDiscriminator", "discriminator").cls is AutoencoderDiscriminator
    with pytest.raises(UserError, match="hidden_size 0"):
        network(hidden_size=0)
    with pytest.raises(UserError, match="kernel_size 2"):
        network(kernel_size=2)
    with pytest.raises(ValueError, match="depth 2"):
        network().judge(torch.randn(2, 2, 8, 8, dtype=torch.float64))
