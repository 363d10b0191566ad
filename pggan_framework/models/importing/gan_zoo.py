"""Checkpoints of facebookresearch/pytorch_GAN_zoo: state dicts of G, D and the EMA generator, and its configuration.

In the GAN zoo, the output of a layer, including the bias, is multiplied by He's constant; alpha is the weight of the
older block.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from math import prod, sqrt
from pathlib import Path
from typing import Any

from pggan_framework.errors import UserError
from pggan_framework.labels.attributes import Attribute, LabelSpace
from pggan_framework.models.importing.foreign import Foreign, Layer, Layers, fit_maps
from pggan_framework.models.importing.torch_files import as_tensor
from pggan_framework.storage import arrays
from pggan_framework.storage.pickles import Made, damaged, mapping

UNBIASED = sqrt(4 / 3)
"""Ratio of minibatch deviations in groups of 4: the GAN zoo divides the sum of squares by 3, and we divide it by 4."""
_LOSSES = {"WGANGP": "WGANGP", "MSE": "LSGAN", "DCGAN": "StandardGAN", "Logistic": "LogisticGAN"}
_TANH = ("MSE", "DCGAN")
"""Losses with which the GAN zoo limits its images by tanh."""
_NEEDED = [
    "depthScale0",
    "depthOtherScales",
    "noiseVectorDim",
    "dimOutput",
    "leakyReluLeak",
    "equalizedlR",
    "perChannelNormalization",
    "miniBatchStdDev",
    "alpha",
]
_SUFFIX = re.compile(r"_s(\d+)_i(?:ter_)?(\d+)(-\w+)?\.(pt|pth)$")


def allowed(module: str, attribute: str) -> bool:
    """True if the GAN zoo's files contain this class."""
    return (module, attribute) == ("models.utils.config", "BaseConfig")


def is_checkpoint(found: Any) -> bool:
    """True if the contents of a torch file are a checkpoint of the GAN zoo."""
    return isinstance(found, dict) and {"netG", "netD", "config"} <= set(found)


def read(path: Path, found: Mapping[str, Any]) -> Foreign:
    """Read a checkpoint.

    If the configuration of the run is next to the file, depths that were not yet trained are read from it.

    Args:
        path: path of the file.
        found: contents of the file.

    Raises:
        UserError: if the model is not a progressive GAN, or has a feature that our networks lack.
    """
    try:
        return _foreign(path, found)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        raise damaged(path, error) from error


class _State:
    """A network's state dict, read layer by layer.

    Args:
        path: path of the file.
        name: name of the network, for messages.
        state: state dict of the network, which may have been trained on several GPUs.
        equalized: whether the outputs of its layers are scaled.
    """

    def __init__(self, path: Path, name: str, state: Any, equalized: bool) -> None:
        self.path, self.name, self.equalized = path, name, equalized
        # In some versions, names contain a layer's inner module; the wrapper for several GPUs adds another module.
        self.left = {
            re.sub(r"(^|\.)module(?=\.)", "", str(key)).lstrip("."): value for key, value in mapping(state).items()
        }

    def take(self, name: str) -> Layer:
        """Remove a layer from the state dict and return it with its scale applied.

        Raises:
            UserError: if the layer is missing.
        """
        for part in ("weight", "bias"):
            if f"{name}.{part}" not in self.left:
                raise UserError(f"{self.path} lacks {name}.{part} in {self.name}")
        weight, bias = (as_tensor(self.left.pop(f"{name}.{part}")) for part in ("weight", "bias"))
        return Layer(weight, bias).scaled(sqrt(2 / prod(weight.shape[1:])) if self.equalized else 1.0)

    def end(self) -> None:
        """Check that no tensors are left.

        Raises:
            UserError: if a tensor is left.
        """
        if self.left:
            raise UserError(f"{self.path} has {sorted(self.left)[0]} in {self.name}, which is unknown here")


def _foreign(path: Path, found: Mapping[str, Any]) -> Foreign:
    config = _config(found["config"])
    if "depthOtherScales" not in config:
        raise UserError(f"{path} is a checkpoint of the GAN zoo, but not of a progressive GAN; allowed: PGAN")
    for key in _NEEDED:
        if key not in config:
            raise UserError(f"{path} has a configuration without {key}: of a version of the GAN zoo unknown here")
    trained = [_whole(config["depthScale0"]), *map(_whole, config["depthOtherScales"])]
    maps = _all_scales(path, trained)
    top, equalized = len(trained) - 1, bool(config["equalizedlR"])
    slope, loss = arrays.as_number(config["leakyReluLeak"]), str(config.get("lossCriterion", "WGANGP"))
    if slope not in (0.0, 0.2):
        raise UserError(f"{path} has leaky ReLU with slope {slope:g}, which is not supported; allowed: 0.2, or 0")
    if loss not in _LOSSES:
        raise UserError(f"{path} was trained with lossMode {loss}; allowed: {', '.join(_LOSSES)}")
    labels = _labels(config.get("attribKeysOrder"))
    deviation = bool(config["miniBatchStdDev"])
    sizes = fit_maps(maps, 0)
    shared: dict[str, Any] = {"wscale": equalized, "leakyrelu": slope > 0}
    generator = {
        "latent_size": _whole(config["noiseVectorDim"]),
        "normalize_latents": bool(config["perChannelNormalization"]),
        "pixelnorm": bool(config["perChannelNormalization"]),
        "tanh_at_end": loss in _TANH,
        "position_bias": True,
    }
    G = _generator(_State(path, "netG", found["netG"], equalized), top)
    averaged = found.get("avgG")
    notes = []
    if maps != trained:
        notes.append(
            f"depths {top + 1} to {len(maps) - 1} of the run's configuration are new: nothing has trained them"
        )
    # In the GAN zoo's later version, the score is output 0 and the classes follow.
    first = 1 if "kInnerD" in config else 0
    return Foreign(
        system="facebookresearch/pytorch_GAN_zoo",
        shape=(_whole(config["dimOutput"]), 4 << (len(maps) - 1), 4 << (len(maps) - 1)),
        generator=sizes | shared | generator,
        G=G,
        averaged=None if averaged is None else _generator(_State(path, "avgG", averaged, equalized), top),
        discriminator=fit_maps([maps[0], *maps], -1)
        | shared
        | {"fused_downscale": False}
        | ({} if deviation else {"mbstd": "none"}),
        D=_discriminator(_State(path, "netD", found["netD"], equalized), top, deviation, labels, first),
        depth=top,
        alpha=1 - arrays.as_number(config["alpha"]) if top else 1.0,
        labels=labels,
        loss=_LOSSES[loss],
        notes=notes,
    )


def _generator(state: _State, top: int) -> Layers:
    layers = {
        "blocks.0.dense": state.take("formatLayer"),
        "blocks.0.conv": state.take("groupScale0.0"),
        "to_rgb.0": state.take("toRGBLayers.0"),
    }
    for depth in range(1, top + 1):
        layers[f"blocks.{depth}.first"] = state.take(f"scaleLayers.{depth - 1}.0")
        layers[f"blocks.{depth}.second"] = state.take(f"scaleLayers.{depth - 1}.1")
        layers[f"to_rgb.{depth}"] = state.take(f"toRGBLayers.{depth}")
    state.end()
    return layers


def _discriminator(state: _State, top: int, deviation: bool, labels: LabelSpace | None, first: int) -> Layers:
    conv = state.take("groupScaleZero.0")
    if deviation:
        conv.weight[:, -1] *= UNBIASED
    decision = state.take("decisionLayer")
    layers = {
        "blocks.0.conv": conv,
        "blocks.0.dense": state.take("groupScaleZero.1"),
        "score": Layer(decision.weight[:1], decision.bias[:1]),
        "from_rgb.0": state.take("fromRGBLayers.0"),
    }
    if labels is not None:
        classes = slice(first, first + labels.width)
        layers["classify"] = Layer(decision.weight[classes], decision.bias[classes])
    for depth in range(1, top + 1):
        layers[f"blocks.{depth}.first"] = state.take(f"scaleLayers.{depth - 1}.0")
        layers[f"blocks.{depth}.second"] = state.take(f"scaleLayers.{depth - 1}.1")
        layers[f"from_rgb.{depth}"] = state.take(f"fromRGBLayers.{depth}")
    state.end()
    return layers


def _config(value: Any) -> dict[str, Any]:
    """The fields of the GAN zoo's configuration, which is an object or a dict."""
    fields = value.state if isinstance(value, Made) and value.by.attribute == "BaseConfig" else value
    return {str(key): entry for key, entry in mapping(fields).items()}


def _whole(value: Any) -> int:
    return int(arrays.as_number(value))


def _labels(order: Any) -> LabelSpace | None:
    """The label space: attributes in the order of the generator's inputs."""
    if order is None or not mapping(order):
        return None
    rows = sorted(
        (_whole(mapping(entry)["order"]), str(name), mapping(entry)) for name, entry in mapping(order).items()
    )
    return LabelSpace(tuple(Attribute(name, tuple(map(str, entry["values"]))) for _, name, entry in rows))


def _all_scales(path: Path, trained: list[int]) -> list[int]:
    """Feature maps of all depths, including depths that only the run's configuration next to the file contains."""
    match = _SUFFIX.search(path.name)
    if match is None:
        return trained
    beside = path.with_name(f"{path.name[: match.start()]}_train_config.json")
    if not beside.is_file():
        return trained
    try:
        stored = json.loads(beside.read_text(encoding="utf-8"))
        scales = [int(maps) for maps in stored["depthScales"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{beside} is not a configuration of the GAN zoo ({error}); fix it, or move it away") from error
    if scales[: len(trained)] != trained:
        raise UserError(f"{beside} is of another run: depthScales {scales}, and {path.name} has {trained}")
    return scales
