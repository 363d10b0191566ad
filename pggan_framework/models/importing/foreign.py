"""Models of other systems in this package's terms, and their conversion to its networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil, inf
from typing import Any

import torch
from torch import Tensor, nn

from pggan_framework.errors import UserError
from pggan_framework.labels.attributes import LabelSpace
from pggan_framework.networks.layers import ScaledConv, ScaledLinear

DECAYS = (1.0, 0.5, 2.0, 1.5, 0.75, 0.25, 0.0)
"""Rates tried for feature maps that fall with the resolution."""


@dataclass(frozen=True)
class Layer:
    """A layer as it computes, all scales applied.

    Args:
        weight: float64, [C', C, k, k] of a convolution that is a correlation, after nearest upsampling and before a
            mean; [F', F] of a dense layer.
        bias: float64, [C'] or [F'].
    """

    weight: Tensor
    bias: Tensor

    def scaled(self, factor: float) -> Layer:
        """The same with weight and bias times a factor."""
        return Layer(self.weight * factor, self.bias * factor)


Layers = dict[str, Layer]
"""By the names that layers have in our networks."""


@dataclass(frozen=True)
class Foreign:
    """A model from elsewhere, in our terms.

    Args:
        system: whose it is, in words.
        shape: [C, H, W] at full depth.
        generator: parameters of our `Generator`.
        G: the generator's layers.
        averaged: those of the EMA generator; None if the file has none.
        discriminator: parameters of our `Discriminator`.
        D: the discriminator's layers; None if there is none.
        depth: the depth it is at.
        alpha: the weight of the newest block.
        nimg: images it was trained on; None if the file does not say.
        labels: what it is conditioned on, if it is.
        loss: the loss it was trained with.
        notes: what the user should know of it.
    """

    system: str
    shape: tuple[int, int, int]
    generator: dict[str, Any]
    G: Layers
    averaged: Layers | None
    discriminator: dict[str, Any]
    D: Layers | None
    depth: int
    alpha: float
    nimg: int | None = None
    labels: LabelSpace | None = None
    loss: str = "WGANGP"
    notes: Sequence[str] = field(default_factory=tuple)


def position(lod: float, max_depth: int) -> tuple[int, float]:
    """Depth and alpha of an old-style level of detail, 0 at full depth.

    Raises:
        ValueError: if it is none of these networks'.
    """
    if not 0 <= lod <= max_depth:
        raise ValueError(f"lod {lod} is outside 0 to {max_depth}")
    whole = int(lod)
    return max_depth - whole, 1 - (lod - whole)


def fit_maps(wanted: Sequence[int], first: int) -> dict[str, Any]:
    """fmap_base, fmap_decay and fmap_max that give these numbers of feature maps.

    Args:
        wanted: feature maps by depth.
        first: the depth of the first of them; -1 is the discriminator's dense layer.

    Raises:
        UserError: if none do.
    """
    most = max(wanted)
    for decay in DECAYS:
        low, high = 1.0, inf
        for depth, maps in enumerate(wanted, first):
            share = 2.0 ** ((depth + 1) * decay)
            low = max(low, maps * share)
            high = high if maps == most else min(high, (maps + 1) * share)
        if ceil(low) < high:
            return {"fmap_base": ceil(low), "fmap_decay": decay, "fmap_max": most}
    raise UserError(
        f"its layers have {', '.join(map(str, wanted))} feature maps; allowed: numbers that fall by one factor from"
        " depth to depth, up to a largest"
    )


def fill(network: nn.Module, layers: Mapping[str, Layer], whose: str, partial: bool = False) -> list[str]:
    """Give a network of ours these layers' weights, divided by the scale that ours apply when they compute.

    Args:
        network: one of our networks.
        layers: by the names that they have in it.
        whose: which network, for messages.
        partial: leave layers that are not given unchanged.

    Returns:
        The names of the parameters that were given.

    Raises:
        UserError: if one is missing, has another shape, or is none of the network's, or a weight is not finite.
    """
    given: list[str] = []
    modules = {name: part for name, part in network.named_modules() if isinstance(part, ScaledConv | ScaledLinear)}
    strange = sorted(set(layers) - set(modules))
    if strange:
        raise UserError(f"{whose} has a layer {strange[0]} that a network of this shape does not have")
    for name, module in modules.items():
        if name not in layers:
            if partial:
                continue
            raise UserError(f"{whose} lacks the layer {name}")
        assert module.bias is not None
        for parameter, value, part in (
            (module.weight, layers[name].weight / module.scale, "weight"),
            (module.bias, layers[name].bias, "bias"),
        ):
            if parameter.shape != value.shape:
                shapes = ["x".join(map(str, shape)) for shape in (value.shape, parameter.shape)]
                raise UserError(f"{whose} has a {part} of {shapes[0]} at {name}; expected {shapes[1]}")
            if not bool(value.isfinite().all()):
                raise UserError(f"{whose} has a {part} at {name} that is not finite: it has diverged")
            with torch.no_grad():
                parameter.copy_(value)
            given.append(f"{name}.{part}")
    return given
