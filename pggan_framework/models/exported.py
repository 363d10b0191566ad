"""Models that ``pggan export`` has written as safetensors, read again. Nothing in the files is run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pggan_framework.config.discovery import DEFAULT_PLUGIN_DIRS, load_all
from pggan_framework.errors import UserError, require
from pggan_framework.labels.maps import MapSpace, space_from_state
from pggan_framework.models.fitting import build_generator
from pggan_framework.registry import REGISTRY
from pggan_framework.runs.folders import EXPORTED
from pggan_framework.schedules.growth import Growth
from pggan_framework.storage.limits import MOST_JSON, parse_json, read_text

if TYPE_CHECKING:
    from pggan_framework.labels.attributes import Labels
    from pggan_framework.models.pretrained import Pretrained, Weights

FORMAT, VERSION = "pggan_framework generator", 1
WEIGHTS, CONFIG = EXPORTED, "config.json"
"""The files of a model's folder."""
ENDING = ".safetensors"


def read_exported(path: Path, weights: Weights | None = None) -> Pretrained:
    """Read a generator from ``model.safetensors`` and ``config.json``, or ``piano.safetensors`` and its ``.json``.

    Args:
        path: the file of weights.
        weights: which generator it must be; by default whichever it is.

    Raises:
        UserError: if a file is missing, damaged or of another kind, or holds the other generator.
    """
    beside = about_path(path)
    about = read_about(beside)
    held = about.get("weights")
    if weights not in (None, held):
        raise UserError(f"{path} holds the {held} weights; --weights {weights} needs the checkpoint it is from")
    try:
        return _build(path, about, _tensors(path))
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, RuntimeError) as error:
        raise UserError(f"{beside} does not describe the generator in {path} ({error})") from error


def about_path(path: Path) -> Path:
    """The JSON that belongs to a file of weights: one of its own, or that of the folder."""
    own = path.with_name(f"{path.name}.json")
    return own if own.is_file() else path.with_name(CONFIG)


def read_about(path: Path) -> dict[str, Any]:
    """The JSON beside exported weights.

    Raises:
        UserError: if it is missing, damaged or of another kind.
    """
    try:
        about = parse_json(read_text(path, MOST_JSON))
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}; an exported model is its weights and it") from error
    except ValueError as error:
        raise UserError(f"{path} is no JSON: {error}") from error
    if not isinstance(about, dict) or about.get("format") != FORMAT or about.get("file") != "safetensors":
        raise UserError(f"{path} is not what pggan export writes beside weights (--format safetensors or huggingface)")
    if about.get("version") != VERSION:
        raise UserError(f"{path} is of version {about.get('version')}; this release reads version {VERSION}")
    return about


def _build(path: Path, about: Mapping[str, Any], tensors: dict[str, Any]) -> Pretrained:
    from pggan_framework.models.pretrained import Pretrained

    load_all(DEFAULT_PLUGIN_DIRS)
    component = REGISTRY.get(about["generator"], "generator")
    labels = about["labels"]
    space = None if labels is None else space_from_state(labels["space"])
    extra = {} if space is None else {"label_space": space}
    growth = Growth.from_state(about["growth"], str(path))
    generator = build_generator(path, component.cls, {"shape": growth, **about["parameters"], **extra}, tensors)
    generator.depth, generator.alpha = about["depth"], about["alpha"]
    rows: Labels | None = None
    counts: NDArray[np.int64] | None = None
    if isinstance(space, MapSpace):
        rows, counts = np.arange(len(space), dtype=np.int64)[:, None], np.ones(len(space), np.int64)
    elif space is not None and labels is not None:
        rows, counts = space.typed(np.array(labels["rows"])), np.array(labels["counts"], np.int64)
    codec = None
    if about["codec"] is not None:
        from pggan_framework.audio import codec_from_state

        codec = codec_from_state(about["codec"])
    low, high = about["range_out"]
    config = {"generator": component.name, component.name: about["parameters"]}
    scale = (float(low), float(high))
    return Pretrained(generator.eval(), codec, about["nimg"], config, scale, rows, counts, about["weights"])


def _tensors(path: Path) -> dict[str, Any]:
    require("safetensors", "export", str(path))
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors: dict[str, Any] = load_file(path)
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path} cannot be read as safetensors: {error}") from error
    return tensors
