"""Our networks with the weights of `contestants/plain.py`, and the gradients of both for the same random numbers."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from benchmarks.contestants import plain
from pggan_framework.losses import WGANGP
from pggan_framework.losses.context import Side, StepContext
from pggan_framework.networks import Discriminator, Generator
from pggan_framework.networks.execution import Execution
from pggan_framework.training.step import backward

NAMES = {"blocks.0.conv": "first", "blocks.0.dense": "dense"}
"""Ours of G's seed block -> plain's; the others are called alike, but for D's end."""
Drawn = tuple[Tensor, Tensor, Tensor]
"""Reals, latents, and the interpolates' weights."""


def renamed(name: str, network: str) -> str:
    """Convert our name of a weight to its name in the plain networks."""
    place, _, kind = name.rpartition(".")
    if place.startswith("blocks.0."):
        place = "last" if network == "D" and place.endswith("conv") else NAMES[place]
    elif place.startswith("blocks."):
        _, depth, layer = place.split(".")
        place = f"blocks.{int(depth) - 1}.{layer}"
    return f"{place}.{kind}"


def pairs(ours: nn.Module, theirs: nn.Module, network: str) -> list[tuple[nn.Parameter, nn.Parameter]]:
    """Return each of our weights with the corresponding plain weight."""
    known = dict(theirs.named_parameters())
    assert {renamed(name, network) for name, _ in ours.named_parameters()} == known.keys()
    return [(parameter, known[renamed(name, network)]) for name, parameter in ours.named_parameters()]


def plain_loss(side: Side, G: nn.Module, D: nn.Module, drawn: Drawn, alpha: float, depth: int) -> Tensor:
    """Compute the two losses of `plain.Training.step` for given random numbers."""
    reals, latents, mixing = drawn
    fakes: Tensor = G(latents, alpha, depth)
    loss: Tensor
    if side == "G":
        loss = -D(fakes, alpha, depth).mean()
        return loss
    fakes = fakes.detach()
    scores, points = D(reals, alpha, depth), (reals + mixing * (fakes - reals)).requires_grad_()
    (slopes,) = torch.autograd.grad(D(points, alpha, depth).sum(), points, create_graph=True)
    penalty = ((slopes.flatten(1).norm(dim=1) - 1) ** 2).mean()
    loss = D(fakes, alpha, depth).mean() - scores.mean() + 10 * penalty + 0.001 * (scores**2).mean()
    return loss


class Both:
    """The plain networks and ours with the same weights, in float64.

    Args:
        resolution: side of the largest images.
        widths: fmap_base and fmap_max.
        latents: latent size.
        device: device of the networks.
    """

    def __init__(self, resolution: int, widths: tuple[int, int], latents: int, device: str = "cpu") -> None:
        base, most = widths
        training = plain.Training(resolution, base, most, latents, 1e-3, 0.999, device)
        self.theirs = training.G.double(), training.D.double()
        sizes = {"fmap_base": base, "fmap_max": most}
        shape = [3, resolution, resolution]
        G = Generator(shape, latent_size=latents, position_bias=True, **sizes)  # type: ignore[arg-type]
        D = Discriminator(shape, fused_downscale=False, **sizes)  # type: ignore[arg-type]
        self.ours = G.double().to(device), D.double().to(device)
        self.pairs = [pairs(mine, other, name) for mine, other, name in zip(self.ours, self.theirs, "GD", strict=True)]
        for _, other in [pair for network in self.pairs for pair in network]:
            if other.dim() == 1:
                nn.init.normal_(other, std=0.1)

    def gradients(
        self, side: Side, drawn: Drawn, alpha: float, depth: int, execution: Execution | None = None
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Return our and the plain gradients of one update, by weight; ours are in float32 if `execution` is given."""
        own = 1 if side == "D" else 0
        reals, latents, mixing = drawn
        for network in (*self.ours, *self.theirs):
            network.zero_grad(set_to_none=True)
        for network in self.ours:
            network.depth, network.alpha = depth, alpha
        for mine, other in [pair for network in self.pairs for pair in network]:
            mine.data.copy_(other.data)  # anew each time: float32 has rounded them
        plain_loss(side, *self.theirs, drawn, alpha, depth).backward()  # type: ignore[no-untyped-call]
        ours = self.ours
        if execution is not None:
            for network in ours:
                network.float().execute(execution)
            reals, latents, mixing = reals.float(), latents.float(), mixing.float()
        ours[1 - own].requires_grad_(False)
        seen = (reals, None, mixing) if side == "D" else ()
        backward(WGANGP(), StepContext(side, *ours, latents, *seen))
        ours[1 - own].requires_grad_(True)
        found = [(m.grad, o.grad) for m, o in self.pairs[own] if m.grad is not None and o.grad is not None]
        result = [mine.clone() for mine, _ in found], [other.clone() for _, other in found]
        if execution is not None:
            for network in ours:
                network.double().execute(Execution())
        return result
