"""Initialize a model from a trained model: weights, EMA, optimizers, and a report of each layer."""

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
"""Parameters of the package's networks that change the output for the same weights."""


@dataclass(frozen=True)
class Grown:
    """The tensors that a new model takes from a source model.

    Args:
        generator: tensors of the raw generator by name; missing tensors are new.
        ema: tensors of the EMA generator by name; missing tensors are new.
        discriminator: tensors of the discriminator by name; missing tensors are new.
        births: training start of each parameter of the EMA generator by name, in images relative to the new run.
        moments: Adam's state of each unchanged parameter, by side and name.
        rows: rows of the table.
        notes: descriptions of other changes.
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
        """The numbers of layers in both networks, such as ``kept 12, mapped 1, added 4``."""
        counts = Counter(row.what for row in self.rows)
        return ", ".join(f"{what} {count}" for what, count in counts.most_common())

    @property
    def all_kept(self) -> bool:
        """True if all layers are the same as in the source."""
        return all(row.what == "kept" for row in self.rows)

    def facts(self, source: Source) -> dict[str, Any]:
        """The origin of the weights, as plain values for the new run's checkpoints."""
        counts = Counter(row.what for row in self.rows)
        shape, nimg = "x".join(map(str, source.generator.growth.shape)), int(source.state["nimg"])
        return {"nimg": nimg, "shape": shape, "layers": dict(counts)}

    def table(self) -> list[str]:
        """A table with a header and a line for each layer."""
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
    """Map the weights of a source model to the new networks `G` and `D`.

    Args:
        source: trained model.
        G: new generator.
        D: new discriminator.
        codec: codec of the new data.
        range_out: value range of the new images.
        config: configuration of the new run, for notes about changes.

    Raises:
        UserError: if no mapping exists; the message names the layers that would have to be retrained.
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
    """The training start of each trained parameter, in images relative to the start of the new run."""
    nimg, own = float(source.state["nimg"]), source.state.get("trainer", {})
    names = dict(source.generator.named_parameters())
    births = own.get("ema_births", dict.fromkeys(names, 0.0))
    # Without an image count, assume long training, so that the EMA is preserved too.
    return {
        name: births[name] - nimg if nimg > 0 else -1e6
        for name, _ in G.named_parameters()
        if name in births and name in side.recipes
    }


def _moments(network: torch.nn.Module, optimizer: dict[str, Any] | None, side: Transfer) -> dict[str, Any]:
    """Adam's state of the unchanged parameters, by name."""
    stored = (optimizer or {}).get("state", {})
    names = [name for name, _ in network.named_parameters()]
    return {names[index]: moments for index, moments in stored.items() if names[index] in side.kept}


def _notes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Notes about settings that change the output for the same weights."""
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
