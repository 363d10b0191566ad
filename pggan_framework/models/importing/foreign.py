"""Models of other systems, described in this package's terms, and their conversion to its networks."""

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
"""Values of fmap_decay that are tried, for numbers of feature maps that fall with the resolution."""


@dataclass(frozen=True)
class Layer:
    """The weights of a layer after all scales are applied.

    Args:
        weight: weight in float64: [C', C, k, k] for a convolution (a correlation, after nearest upsampling and before a
            mean), [F', F] for a dense layer.
        bias: bias in float64, [C'] or [F'].
    """

    weight: Tensor
    bias: Tensor

    def scaled(self, factor: float) -> Layer:
        """Multiply weight and bias by a factor."""
        return Layer(self.weight * factor, self.bias * factor)


Layers = dict[str, Layer]
"""Layers by their names in our networks."""


@dataclass(frozen=True)
class Foreign:
    """A model of another system, described by our parameters and layers.

    Args:
        system: name of the system.
        shape: [C, H, W] at full depth.
        generator: parameters of our `Generator`.
        G: layers of the generator.
        averaged: layers of the EMA generator; None if the file has none.
        discriminator: parameters of our `Discriminator`.
        D: layers of the discriminator; None if the file has none.
        depth: current depth.
        alpha: weight of the newest block.
        nimg: number of images that the model was trained on; None if unknown.
        labels: label space, if the model is conditioned.
        loss: loss that the model was trained with.
        notes: remarks for the user.
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
    """Convert the original tool's level of detail, 0 at full depth, to depth and alpha.

    Raises:
        ValueError: if the level of detail is not valid.
    """
    if not 0 <= lod <= max_depth:
        raise ValueError(f"lod {lod} is outside 0 to {max_depth}")
    whole = int(lod)
    return max_depth - whole, 1 - (lod - whole)


def fit_maps(wanted: Sequence[int], first: int) -> dict[str, Any]:
    """Find the fmap_base, fmap_decay and fmap_max that give these numbers of feature maps.

    Args:
        wanted: numbers of feature maps by depth.
        first: depth of the first number; -1 is the discriminator's dense layer.

    Raises:
        UserError: if no values fit.
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
    """Copy the weights of layers to one of our networks, divided by the scale that our layers apply.

    Args:
        network: network to fill.
        layers: layers by their names in the network.
        whose: description of the network, for messages.
        partial: whether layers may be missing; they are then left unchanged.

    Returns:
        The names of the parameters that were filled.

    Raises:
        UserError: if a layer is missing, unexpected or of the wrong shape, or a weight is not finite.
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
