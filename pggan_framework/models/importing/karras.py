"""Pickles of the original PGGAN, tkarras/progressive_growing_of_gans, in its TensorFlow and Theano versions.

Both contain a tuple of G, D and the EMA generator Gs, each an object of a class Network. The state of a Network
contains its variables and the arguments of the function that builds it. In the TensorFlow version, variables have
names; in the Theano version, they are in the order of the layers. The state also contains the source code of the
networks, which is neither executed nor read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from io import BytesIO
from math import isclose, log2, sqrt
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pggan_framework.errors import UserError
from pggan_framework.labels.attributes import Attribute, LabelSpace
from pggan_framework.models.importing import theano
from pggan_framework.models.importing.foreign import Foreign, Layer, Layers, position
from pggan_framework.models.importing.theano import LINEAR, RELU
from pggan_framework.storage import arrays
from pggan_framework.storage.pickles import Made, Name, damaged, mapping, read_pickle

_NETWORKS = (Name("tfutil", "Network"), Name("network", "Network"))
_RECONSTRUCT = (Name("copy_reg", "_reconstructor"), Name("copyreg", "_reconstructor"))
_NAMES = arrays.NAMES | {
    *((name.module, name.attribute) for name in (*_NETWORKS, *_RECONSTRUCT)),
    ("__builtin__", "object"),
    ("builtins", "object"),
    ("collections", "OrderedDict"),
}
_KNOWN = {
    "num_channels", "resolution", "label_size", "fmap_base", "fmap_decay", "fmap_max", "latent_size",
    "normalize_latents", "use_wscale", "use_pixelnorm", "pixelnorm_epsilon", "use_leakyrelu", "fused_scale",
    "mbstd_group_size", "dtype", "structure", "is_template_graph", "use_gdrop", "progressive",
}  # fmt: skip
"""Arguments that are supported, and arguments that do not change the output in eval mode."""
_THEANO = {"G_paper", "G_progressive_8", "D_paper", "D_progressive_8"}
_DEFAULTS: dict[str, Any] = {
    "num_channels": 1, "resolution": 32, "label_size": 0, "fmap_base": 8192, "fmap_decay": 1.0, "fmap_max": 512,
    "use_wscale": True,
}  # fmt: skip
_THEANO_DEFAULTS = {"fmap_base": 4096, "fmap_max": 256}
Variables = dict[str, NDArray[Any]]


def read(path: Path) -> Foreign:
    """Read a pickle of G, D and the EMA generator Gs.

    Raises:
        UserError: if the file is another pickle, would run code, is truncated, or has an unsupported feature.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    found = read_pickle(BytesIO(data), path, lambda module, attribute: (module, attribute) in _NAMES)
    networks = list(found) if isinstance(found, tuple | list) else [found]
    if len(networks) != 3 or not all(map(_is_network, networks)):
        raise UserError(
            f"{path} is a pickle, but not the original PGGAN's; allowed: its network-*.pkl, which hold G, D and Gs"
        )
    try:
        G, D, averaged = (
            _Network(path, name, made.state) for name, made in zip(["G", "D", "Gs"], networks, strict=True)
        )
        return _foreign(path, G, D, averaged)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        raise damaged(path, error) from error


def _is_network(made: Any) -> bool:
    if not isinstance(made, Made):
        return False
    return made.by in _NETWORKS or (made.by in _RECONSTRUCT and made.args[0] in _NETWORKS)


class _Network:
    """A network in the pickle: its arguments, and its variables by their TensorFlow names.

    Args:
        path: path of the file.
        name: name of the network: G, D or Gs.
        state: state of the object.
    """

    def __init__(self, path: Path, name: str, state: Any) -> None:
        self.path, self.name = path, name
        state = mapping(state)
        self.theano = "version" not in state
        spec = mapping(state["build_func_spec"] if self.theano else state["static_kwargs"])
        arguments = {key: arrays.plain(value) for key, value in spec.items()}
        build = str(arguments.pop("func") if self.theano else state["build_func_name"])
        if build.split("_")[0] != name[0] or build not in (_THEANO if self.theano else {"G_paper", "D_paper"}):
            raise UserError(f"{path} has {name} built by {build}, which is unknown here; allowed: {name[0]}_paper")
        if not self.theano and arrays.plain(state["version"]) != 2:
            raise UserError(f"{path} is of pickle version {state['version']}; allowed: 2")
        defaults = _DEFAULTS | (_THEANO_DEFAULTS if self.theano else {})
        self.arguments: dict[str, Any] = {**defaults, **arguments}
        self._check()
        named = _by_name(state)
        if self.theano:
            named = theano.variables(name, self.resolution_log2, bool(self["use_wscale"]), state)
        self.variables: Variables = dict(named)

    def __getitem__(self, argument: str) -> Any:
        return self.arguments[argument]

    def get(self, argument: str, default: Any) -> Any:
        return self.arguments.get(argument, default)

    @property
    def resolution_log2(self) -> int:
        resolution = int(self["resolution"])
        found = int(log2(resolution)) if resolution > 0 else 0
        if found < 2 or 1 << found != resolution:
            raise ValueError(f"a resolution of {resolution}")
        return found

    def maps(self, stage: int) -> int:
        """The number of feature maps of a stage; stage 1 has 4x4 pixels."""
        return min(int(self["fmap_base"] / 2.0 ** (stage * self["fmap_decay"])), int(self["fmap_max"]))

    def _check(self) -> None:
        """Check that our networks support all arguments."""
        expected: dict[str, Any] = {"pixelnorm_epsilon": 1e-8}
        of_theano: dict[str, Any] = {
            "mbstat_func": "Tstdeps", "mbstat_avg": "all", "mbdisc_kernels": None, "use_layernorm": False,
            "use_batchnorm": False, "tanh_at_end": None, "label_size": 0,
        }  # fmt: skip
        if self.theano:
            expected |= of_theano
        for key, value in self.arguments.items():
            right = expected.get(key, value if key in _KNOWN else None)
            same = isclose(value, right) if isinstance(value, float) and isinstance(right, float) else value == right
            # An unknown argument that is disabled changes nothing.
            if not same and not (key not in expected and not value):
                raise UserError(
                    f"{self.path} has {self.name} with {key}={value}, which is not supported"
                    + (f"; allowed: {right}" if key in expected else "")
                )


def _by_name(state: Mapping[Any, Any]) -> Iterator[tuple[str, NDArray[Any]]]:
    """The variables of the TensorFlow version."""
    for pair in state["variables"]:
        yield str(pair[0]), arrays.as_array(pair[1])


class _Layers:
    """A network's variables, read layer by layer."""

    def __init__(self, network: _Network) -> None:
        self.network = network
        self.left = dict(network.variables)

    def take(self, name: str, gain: float, kind: str = "conv") -> Layer:
        """Remove a layer from the variables and return it in our layout, with its scale applied.

        Raises:
            UserError: if the layer is missing.
        """
        for part in ("weight", "bias"):
            if f"{name}/{part}" not in self.left:
                raise UserError(f"{self.network.path} lacks {name}/{part} of {self.network.name}")
        weight, bias = (
            torch.from_numpy(np.array(self.left.pop(f"{name}/{part}"), np.float64, order="C"))
            for part in ("weight", "bias")
        )
        if kind == "up":
            # The layout is [k, k, C', C], for a transposed convolution, which flips the kernel.
            weight = weight.permute(2, 3, 0, 1).flip(2, 3)
        elif weight.dim() == 4:
            weight = weight.permute(3, 2, 0, 1)
        else:
            weight = weight.T
        fan_in = weight[0].numel()
        if self.network["use_wscale"]:
            weight = weight * (gain / sqrt(fan_in))
        return Layer(weight, bias)

    def end(self) -> float:
        """Return the level of detail; checks that no other variable is left.

        Raises:
            UserError: if another variable is left.
        """
        lod = float(self.left.pop("lod", np.zeros(())).item())
        if self.left:
            raise UserError(
                f"{self.network.path} has {sorted(self.left)[0]} in {self.network.name}, which is unknown here"
            )
        return lod


def _generator(network: _Network) -> tuple[Layers, float]:
    """The layers of a generator, and its level of detail."""
    found, top = _Layers(network), network.resolution_log2
    fused = any(name.endswith("Conv0_up/weight") for name in network.variables)
    layers = {
        "blocks.0.dense": found.take("4x4/Dense", RELU / 4),
        "blocks.0.conv": found.take("4x4/Conv", RELU),
    }
    for depth in range(1, top - 1):
        size = f"{4 << depth}x{4 << depth}"
        up = found.take(f"{size}/Conv0_up", RELU, "up") if fused else found.take(f"{size}/Conv0", RELU)
        layers[f"blocks.{depth}.first"] = up
        layers[f"blocks.{depth}.second"] = found.take(f"{size}/Conv1", RELU)
    for depth in range(top - 1):
        layers[f"to_rgb.{depth}"] = found.take(f"ToRGB_lod{top - 2 - depth}", LINEAR)
    return layers, found.end()


def _discriminator(network: _Network, labels: int) -> tuple[Layers, bool]:
    """The layers of a discriminator, and whether it takes the mean before the second activation."""
    found, top = _Layers(network), network.resolution_log2
    fused = any(name.endswith("Conv1_down/weight") for name in network.variables)
    layers = {
        "blocks.0.conv": found.take("4x4/Conv", RELU),
        "blocks.0.dense": found.take("4x4/Dense0", RELU),
    }
    for depth in range(1, top - 1):
        size = f"{4 << depth}x{4 << depth}"
        layers[f"blocks.{depth}.first"] = found.take(f"{size}/Conv0", RELU)
        layers[f"blocks.{depth}.second"] = found.take(f"{size}/Conv1_down" if fused else f"{size}/Conv1", RELU)
    for depth in range(top - 1):
        layers[f"from_rgb.{depth}"] = found.take(f"FromRGB_lod{top - 2 - depth}", RELU)
    last = found.take("4x4/Dense1", LINEAR)
    layers["score"] = Layer(last.weight[:1], last.bias[:1])
    if labels:
        layers["classify"] = Layer(last.weight[1:], last.bias[1:])
    found.end()
    return layers, fused or top == 2


def _foreign(path: Path, G: _Network, D: _Network, averaged: _Network) -> Foreign:
    for key in ("num_channels", "resolution", "label_size"):
        if not G[key] == D[key] == averaged[key]:
            raise UserError(
                f"{path} has networks that do not fit each other: {key} {G[key]}, {D[key]}, {averaged[key]}"
            )
    raw, _ = _generator(G)
    smooth, lod = _generator(averaged)
    labels, group = int(G["label_size"]), int(D.get("mbstd_group_size", 4))
    judge, fused = _discriminator(D, labels)
    latent = G.get("latent_size", None)
    generator = {
        "latent_size": int(G.maps(0) if latent is None else latent),
        "normalize_latents": bool(G.get("normalize_latents", True)),
        "wscale": bool(G["use_wscale"]),
        "pixelnorm": bool(G.get("use_pixelnorm", True)),
        "leakyrelu": bool(G.get("use_leakyrelu", True)),
    }
    discriminator: dict[str, Any] = {"wscale": bool(D["use_wscale"]), "fused_downscale": fused}
    if D.theano:
        discriminator["mbstd"] = "batch"  # over the whole batch, as in this version
    elif group > 1:
        discriminator["mbstd_group"] = group
    else:
        discriminator["mbstd"] = "none"
    top = G.resolution_log2
    depth, alpha = position(lod, top - 2)
    kimg = re.search(r"network-snapshot-(\d+)", path.name)
    return Foreign(
        system="the original PGGAN" + (", Theano version" if G.theano else ", TensorFlow version"),
        shape=(int(G["num_channels"]), 1 << top, 1 << top),
        generator=_maps(G) | generator,
        G=raw,
        averaged=smooth,
        discriminator=_maps(D) | discriminator,
        D=judge,
        depth=depth,
        alpha=alpha,
        nimg=None if kimg is None else int(kimg[1]) * 1000,
        labels=LabelSpace((Attribute("label", tuple(map(str, range(labels)))),)) if labels else None,
    )


def _maps(network: _Network) -> dict[str, Any]:
    return {
        "fmap_base": int(network["fmap_base"]),
        "fmap_decay": float(network["fmap_decay"]),
        "fmap_max": int(network["fmap_max"]),
    }
