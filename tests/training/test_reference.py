"""The step against ``benchmarks/contestants/plain.py``: PGGAN in ordinary PyTorch, in which nothing is ours."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from benchmarks.contestants import plain
from pggan_framework.losses import WGANGP, StepContext
from pggan_framework.losses.context import Side
from pggan_framework.networks import Discriminator, Generator
from pggan_framework.training.step import backward

MAPS, LATENTS = [8, 8, 4], 6
NAMES = {"blocks.0.conv": "first", "blocks.0.dense": "dense"}
"""Ours of G's seed block -> plain's; the others are called alike, but for D's end."""


def renamed(name: str, network: str) -> str:
    """Our name of a weight -> plain's."""
    place, _, kind = name.rpartition(".")
    if place.startswith("blocks.0."):
        place = "last" if network == "D" and place.endswith("conv") else NAMES[place]
    elif place.startswith("blocks."):
        _, depth, layer = place.split(".")
        place = f"blocks.{int(depth) - 1}.{layer}"
    return f"{place}.{kind}"


def pairs(ours: nn.Module, theirs: nn.Module, network: str) -> list[tuple[nn.Parameter, nn.Parameter]]:
    known = dict(theirs.named_parameters())
    assert {renamed(name, network) for name, _ in ours.named_parameters()} == known.keys()
    return [(parameter, known[renamed(name, network)]) for name, parameter in ours.named_parameters()]


def plain_loss(side: Side, G: nn.Module, D: nn.Module, drawn: tuple[Tensor, ...], alpha: float, depth: int) -> Tensor:
    """`plain.Training.step`'s two losses, on given random numbers."""
    reals, latents, mixing = drawn
    fakes = G(latents, alpha, depth)
    if side == "G":
        return -D(fakes, alpha, depth).mean()
    fakes = fakes.detach()
    scores, points = D(reals, alpha, depth), (reals + mixing * (fakes - reals)).requires_grad_()
    (slopes,) = torch.autograd.grad(D(points, alpha, depth).sum(), points, create_graph=True)
    penalty = ((slopes.flatten(1).norm(dim=1) - 1) ** 2).mean()
    return D(fakes, alpha, depth).mean() - scores.mean() + 10 * penalty + 0.001 * (scores**2).mean()


@pytest.mark.parametrize(("depth", "alpha"), [(0, 1.0), (1, 0.0), (1, 0.3), (1, 1.0), (2, 0.8), (2, 1.0)])
def test_gradients_are_those_of_plain_pytorch(depth: int, alpha: float) -> None:
    torch.manual_seed(0)
    theirs = plain.Generator(MAPS, LATENTS).double(), plain.Discriminator(MAPS, MAPS[0]).double()
    sizes = {"fmap_base": 32, "fmap_max": 8}
    ours = (
        Generator([3, 16, 16], latent_size=LATENTS, position_bias=True, **sizes).double(),
        Discriminator([3, 16, 16], fused_downscale=False, **sizes).double(),
    )
    both = [pairs(mine, other, name) for mine, other, name in zip(ours, theirs, "GD", strict=True)]
    for mine, other in [pair for network in both for pair in network]:
        if other.dim() == 1:
            nn.init.normal_(other, std=0.1)
        mine.data.copy_(other.data)
    for network in ours:
        network.depth, network.alpha = depth, alpha
    side = 4 << depth
    drawn = (
        torch.rand(8, 3, side, side).double() * 2 - 1,
        torch.randn(8, LATENTS).double(),
        torch.rand(8, 1, 1, 1).double(),
    )
    for which, own in (("D", 1), ("G", 0)):
        for network in (*ours, *theirs):
            network.zero_grad(set_to_none=True)
        ours[1 - own].requires_grad_(False)
        backward(WGANGP(), StepContext(which, *ours, drawn[1], *((drawn[0], None, drawn[2]) if own else ())))  # type: ignore[arg-type]
        ours[1 - own].requires_grad_(True)
        plain_loss(which, *theirs, drawn, alpha, depth).backward()  # type: ignore[arg-type, no-untyped-call]
        reached = [(mine.grad, other.grad) for mine, other in both[own] if mine.grad is not None]
        assert len(reached) >= 6
        for found, wanted in reached:
            assert found is not None and wanted is not None
            assert (found - wanted).norm() <= 1e-11 * max(float(wanted.norm()), 1e-3)
