"""Read checkpoints of deepsound-project/pggan-pytorch, which contain complete modules, one file per network.

Each layer multiplies its input by a constant ``c``, which was measured when the layer was created. It is a field of the
module and not part of the state dict. The flags of a module (pixel norm, activation) are fields too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pggan_framework.errors import UserError
from pggan_framework.models.importing.foreign import Foreign, Layer, Layers, fit_maps
from pggan_framework.models.importing.torch_files import as_number, as_tensor, fields_of, read_torch_file
from pggan_framework.storage.pickles import Made, damaged, mapping

_OWN = frozenset(
    ["Generator", "Discriminator", "GFirstBlock", "GBlock", "DBlock", "DLastBlock", "PGConv2d", "MinibatchStddev"]
)
_TORCH = frozenset(
    {
        ("torch.nn.modules.conv", "Conv2d"),
        ("torch.nn.modules.linear", "Linear"),
        ("torch.nn.modules.container", "ModuleList"),
        ("torch.nn.modules.activation", "LeakyReLU"),
        ("torch.nn.modules.activation", "ReLU"),
    }
)
Fields = Mapping[Any, Any]


def allowed(module: str, attribute: str) -> bool:
    """True if deepsound's files contain this class."""
    return (module in ("network", "__main__") and attribute in _OWN) or (module, attribute) in _TORCH


def is_network(found: Any) -> bool:
    """True if the contents of a torch file are a network from deepsound's repository."""
    return isinstance(found, Made) and found.by.attribute in ("Generator", "Discriminator")


def partner(path: Path) -> Path | None:
    """The discriminator's file next to a generator's file, found by its name; None if there is none."""
    beside = path.with_name(path.name.replace("generator", "discriminator"))
    return beside if beside != path and beside.is_file() else None


def read(path: Path, found: Any, discriminator: Path | None) -> Foreign:
    """Read a generator file.

    Args:
        path: path of the file.
        found: contents of the file.
        discriminator: path of the discriminator's file; None if there is none.

    Raises:
        UserError: if the file is a discriminator, or has a feature that our networks lack.
    """
    if found.by.attribute == "Discriminator":
        raise UserError(f"{path} contains a discriminator; give the generator's file, which may be next to it")
    try:
        reader = _Reader(path)
        G = reader.generator(fields_of(found, "Generator"))
    except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        raise damaged(path, error) from error
    kimg = re.search(r"-(\d{6,})\.\w+$", path.name)
    notes = ["it says nothing of sound: there is no codec, so that its spectrograms are images only"]
    D: Layers | None = None
    parameters: dict[str, Any] = {name: G.parameters[name] for name in ("fmap_base", "fmap_decay", "fmap_max")}
    parameters |= {"mbstd": "flat", "fused_downscale": False}
    if discriminator is not None:
        D, parameters = _discriminator(discriminator, G)
    return Foreign(
        system="deepsound-project/pggan-pytorch",
        shape=(G.channels, 4 << G.max_depth, 4 << G.max_depth),
        generator=G.parameters,
        G=G.layers,
        averaged=None,
        discriminator=parameters,
        D=D,
        depth=G.depth,
        alpha=G.alpha,
        nimg=None if kimg is None else int(kimg[1]) * 1000,
        notes=notes,
    )


def _discriminator(path: Path, G: _Network) -> tuple[Layers, dict[str, Any]]:
    found = read_torch_file(path, allowed)
    if not isinstance(found, Made) or found.by.attribute != "Discriminator":
        raise UserError(f"{path} holds no discriminator of deepsound's trainer")
    try:
        D = _Reader(path).discriminator(fields_of(found, "Discriminator"))
    except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        raise damaged(path, error) from error
    if (D.channels, D.max_depth) != (G.channels, G.max_depth):
        raise UserError(f"{path} has another shape than the generator: {D.max_depth} and {G.max_depth} depths")
    return D.layers, D.parameters


class _Network:
    """A network from a file, described by our parameters and layers."""

    def __init__(
        self, fields: Fields, layers: Layers, channels: int, max_depth: int, parameters: dict[str, Any]
    ) -> None:
        self.layers, self.channels, self.max_depth, self.parameters = layers, channels, max_depth, parameters
        self.depth, self.alpha = int(as_number(fields["depth"])), float(as_number(fields["alpha"]))
        if not 0 <= self.depth <= max_depth or not 0 <= self.alpha <= 1:
            raise ValueError(f"depth {self.depth} and alpha {self.alpha}")


class _Reader:
    """Reads modules, and checks that all layers of a network are of the same kind.

    Args:
        path: path of the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.kinds: dict[str, list[Any]] = {"pixelnorm": [], "slope": [], "c": []}

    def layer(self, module: Any, pad: int, inner: bool = True) -> tuple[Layer, float | None]:
        """A convolution with its constant applied, and the slope of its activation.

        Args:
            module: module of the class PGConv2d.
            pad: number of zeros that the layer must add around its input.
            inner: whether the layer is one of the inner layers, which share the network's settings.
        """
        fields = fields_of(module, "PGConv2d")
        conv = fields_of(fields["conv"], "Conv2d")
        constant = as_number(fields["c"])
        for name, value, due in (
            ("stride", [int(step) for step in conv["stride"]], [1, 1]),
            ("padding", [int(zeros) for zeros in conv["padding"]], [pad, pad]),
            ("eps", as_number(fields["eps"]), 1e-8),
        ):
            if value != due:
                raise UserError(f"{self.path} has a layer with {name} {value}, which is not supported; expected: {due}")
        slope = self.slope(fields["act"])
        if inner:
            self.kinds["pixelnorm"].append(bool(fields["pixelnorm"]))
            self.kinds["slope"].append(slope)
            self.kinds["c"].append(constant)
        elif fields["pixelnorm"]:
            raise UserError(f"{self.path} normalizes images by pixel, which is not supported")
        return Layer(as_tensor(conv["weight"]) * constant, as_tensor(conv["bias"])), slope

    def slope(self, module: Any) -> float | None:
        """The slope of an activation below zero; None if there is no activation."""
        if module is None:
            return None
        fields = fields_of(module, "LeakyReLU", "ReLU")
        slope = as_number(fields["negative_slope"]) if module.by.attribute == "LeakyReLU" else 0.0
        if slope not in (0.0, 0.2):
            raise UserError(f"{self.path} has leaky ReLU with slope {slope:g}; allowed: 0.2, or 0")
        return slope

    def settings(self, fields: Fields) -> dict[str, Any]:
        """The settings that all inner layers share, as our parameters."""
        if as_number(fields["eps"]) != 1e-8:
            raise UserError(f"{self.path} normalizes with eps {as_number(fields['eps'])}; allowed: 1e-8")
        for name, values in self.kinds.items():
            if name != "c" and len(set(values)) != 1:
                raise UserError(f"{self.path} has layers of several kinds ({name}), which is not supported")
        if self.kinds["slope"][0] is None:
            raise UserError(f"{self.path} has layers without activation, which is not supported")
        return {
            "wscale": any(constant != 1 for constant in self.kinds["c"]),
            "leakyrelu": self.kinds["slope"][0] > 0,
            "pixelnorm": self.kinds["pixelnorm"][0],
        }

    def generator(self, fields: Fields) -> _Network:
        blocks = [fields_of(fields["block0"], "GFirstBlock"), *_blocks(fields["blocks"], "GBlock")]
        layers: Layers = {}
        for depth, block in enumerate(blocks):
            if depth == 0:
                seed, _ = self.layer(block["c1"], 3)
                # A full convolution of a single pixel outputs the flipped kernel.
                spread = seed.weight.flip(2, 3).permute(0, 2, 3, 1).flatten(0, 2)
                layers["blocks.0.dense"] = Layer(spread, seed.bias)
                layers["blocks.0.conv"], _ = self.layer(block["c2"], 1)
            else:
                layers[f"blocks.{depth}.first"], _ = self.layer(block["c1"], 1)
                layers[f"blocks.{depth}.second"], _ = self.layer(block["c2"], 1)
            layers[f"to_rgb.{depth}"], slope = self.layer(block["toRGB"], 0, inner=False)
            if slope is not None:
                raise UserError(f"{self.path} has an activation at toRGB, which is not supported")
        maps = [layers[f"to_rgb.{depth}"].weight.shape[1] for depth in range(len(blocks))]
        parameters = fit_maps(maps, 0) | self.settings(fields)
        parameters["latent_size"] = layers["blocks.0.dense"].weight.shape[1]
        parameters["normalize_latents"] = bool(fields["normalize_latents"])
        return _Network(fields, layers, layers["to_rgb.0"].weight.shape[0], len(blocks) - 1, parameters)

    def discriminator(self, fields: Fields) -> _Network:
        # Their blocks are ordered from the largest images to the smallest.
        *blocks, last = _blocks(fields["blocks"], "DBlock", "DLastBlock")
        layers: Layers = {}
        slopes = set()
        layers["blocks.0.conv"], _ = self.layer(last["c1"], 1)
        gather, _ = self.layer(last["c2"], 0)
        layers["blocks.0.dense"] = Layer(gather.weight.flatten(1), gather.bias)
        for depth, block in enumerate([last, *reversed(blocks)]):
            layers[f"from_rgb.{depth}"], slope = self.layer(block["fromRGB"], 0, inner=False)
            slopes.add(slope)
            if depth:
                layers[f"blocks.{depth}.first"], _ = self.layer(block["c1"], 1)
                layers[f"blocks.{depth}.second"], _ = self.layer(block["c2"], 1)
        linear = fields_of(fields["linear"], "Linear")
        layers["score"] = Layer(as_tensor(linear["weight"]), as_tensor(linear["bias"]))
        settings = self.settings(fields)
        if settings.pop("pixelnorm"):
            raise UserError(f"{self.path} has pixel norm in the discriminator, which is not supported")
        if slopes != set(self.kinds["slope"]):
            raise UserError(f"{self.path} has another activation at fromRGB than elsewhere, which is not supported")
        maps = [layers["blocks.0.dense"].weight.shape[0]]
        maps += [layers[f"from_rgb.{depth}"].weight.shape[0] for depth in range(len(blocks) + 1)]
        parameters = fit_maps(maps, -1) | settings | {"mbstd": "flat", "fused_downscale": False}
        return _Network(fields, layers, layers["from_rgb.0"].weight.shape[1], len(blocks), parameters)


def _blocks(modules: Any, *names: str) -> Sequence[Fields]:
    """The modules of a list, in order."""
    listed = mapping(fields_of(modules, "ModuleList")["_modules"])
    return [fields_of(listed[str(index)], *names) for index in range(len(listed))]
