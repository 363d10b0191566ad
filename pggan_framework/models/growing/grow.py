"""Initialise a model from a trained one: weights, EMA, optimizers, and a report of each layer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pggan_framework.audio.base import Codec
from pggan_framework.errors import UserError
from pggan_framework.models.growing.ends import between
from pggan_framework.models.growing.layers import Row, State, Transfer
from pggan_framework.models.growing.networks import transfer
from pggan_framework.models.growing.source import Source
from pggan_framework.networks.base import DiscriminatorBase, GeneratorBase

CHANGES_OUTPUT = (
    "normalize_latents", "pixelnorm", "leakyrelu", "tanh_at_end", "upsampling", "norm", "spectral_norm",
    "fused_downscale", "mbstd",
)  # fmt: skip
"""Parameters of our networks that change what the same weights compute."""


@dataclass(frozen=True)
class Grown:
    """What was taken from a model.

    Args:
        generator: the raw generator's tensors, by name; those that are missing are new.
        ema: the EMA generator's, likewise.
        discriminator: the discriminator's.
        births: images that each parameter of the EMA generator had been trained for, by name.
        moments: Adam's state of each parameter that is unchanged, by side and name.
        rows: of the table.
        notes: what else changes, in words.
    """

    generator: dict[str, Tensor]
    ema: dict[str, Tensor]
    discriminator: dict[str, Tensor]
    births: dict[str, float]
    moments: dict[str, dict[str, Any]]
    rows: Sequence[Row]
    notes: Sequence[str] = ()

    @property
    def summary(self) -> str:
        """``kept 12, mapped 1, added 4``: layers of both networks."""
        counts = Counter(row.what for row in self.rows)
        return ", ".join(f"{what} {count}" for what, count in counts.most_common())

    @property
    def all_kept(self) -> bool:
        """Whether no layer is another one than in the model."""
        return all(row.what == "kept" for row in self.rows)

    def facts(self, source: Source) -> dict[str, Any]:
        """What the new run's checkpoints say of where their weights come from, as plain values."""
        counts = Counter(row.what for row in self.rows)
        shape, nimg = "x".join(map(str, source.generator.growth.shape)), int(source.state["nimg"])
        return {"nimg": nimg, "shape": shape, "layers": dict(counts)}

    def table(self) -> list[str]:
        """A line for each layer, and its head."""
        cells = [("layer", "weights", "weight"), *((row.layer, row.what, row.detail) for row in self.rows)]
        widths = [max(len(line[column]) for line in cells) for column in range(2)]
        return [f"{layer:<{widths[0]}}  {what:<{widths[1]}}  {detail}" for layer, what, detail in cells]


def grow(
    source: Source,
    G: GeneratorBase,
    D: DiscriminatorBase,
    codec: Codec | None,
    range_out: tuple[float, float] = (-1.0, 1.0),
    config: Mapping[str, Any] | None = None,
) -> Grown:
    """What `G` and `D`, which are new, can take from a model.

    Args:
        source: the model.
        G: the new generator.
        D: the new discriminator.
        codec: of the new data.
        range_out: the value range of the new images.
        config: of the new run, for notes on what it changes.

    Raises:
        UserError: if there is no mapping, with what would have to be retrained.
    """
    try:
        if tuple(range_out) != source.range_out:
            raise UserError(
                f"its images are {source.range_out[0]:g} to {source.range_out[1]:g}, and {range_out[0]:g} to"
                f" {range_out[1]:g} are requested: the layers to the image would have to be retrained;"
                " allowed: the same range_out"
            )
        codecs = source.codec, codec
        sides = {
            "G": transfer("G", source.generator, G, between(source.generator, G, codecs)),
            "D": transfer("D", source.discriminator, D, between(source.discriminator, D, codecs)),
        }
    except UserError as error:
        raise UserError(f"resume_network: {source.path} does not fit these networks: {error}") from error
    state = source.state
    networks = state["networks"]
    return Grown(
        _applied(sides["G"], networks["G"]),
        _applied(sides["G"], state["ema"]),
        _applied(sides["D"], networks["D"]),
        _births(source, sides["G"], G),
        {
            "G": _moments(source.generator, state["optimizers"].get("G"), sides["G"]),
            "D": _moments(source.discriminator, state["optimizers"].get("D"), sides["D"]),
        },
        [*sides["G"].rows, *sides["D"].rows],
        _notes(state["config"], config or state["config"]),
    )


def _applied(side: Transfer, state: State) -> dict[str, Tensor]:
    with torch.no_grad():
        return {name: recipe(state).contiguous() for name, recipe in side.recipes.items()}


def _births(source: Source, side: Transfer, G: GeneratorBase) -> dict[str, float]:
    """Birth of each parameter that was trained, in images before the new run's first."""
    nimg, own = float(source.state["nimg"]), source.state.get("trainer", {})
    names = dict(source.generator.named_parameters())
    births = own.get("ema_births", dict.fromkeys(names, 0.0))
    # A model whose images were not counted has an average worth keeping all the same.
    return {
        name: births[name] - nimg if nimg > 0 else -1e6
        for name, _ in G.named_parameters()
        if name in births and name in side.recipes
    }


def _moments(network: torch.nn.Module, optimizer: dict[str, Any] | None, side: Transfer) -> dict[str, Any]:
    """Adam's state by the parameters' names, of those that are unchanged."""
    stored = (optimizer or {}).get("state", {})
    names = [name for name, _ in network.named_parameters()]
    return {names[index]: moments for index, moments in stored.items() if names[index] in side.kept}


def _notes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Settings that change what the same weights compute."""
    notes = []
    for side in ("generator", "discriminator"):
        name = new[side]
        before, after = old.get(old[side], {}), new.get(name, {})
        notes += [
            f"{name}.{key} is {after[key]} and was {before[key]}: the same weights compute something else"
            for key in CHANGES_OUTPUT
            if key in before and key in after and before[key] != after[key]
        ]
    return notes
