"""Load models that ``pggan export`` wrote as safetensors, without executing anything in the files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pggan_framework.errors import UserError, require
from pggan_framework.runs.folders import EXPORTED
from pggan_framework.storage.limits import MOST_JSON, parse_json, read_text

FORMAT, VERSION = "pggan_framework generator", 1
WEIGHTS, CONFIG = EXPORTED, "config.json"
"""Names of the files in a model's folder."""
ENDING = ".safetensors"


def read_exported(path: Path, weights: str | None = None) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read the description of a generator and its weights by name: ``piano.safetensors`` and the JSON next to it.

    Args:
        path: path of the weights file.
        weights: ``ema`` or ``raw``; by default, either.

    Raises:
        UserError: if a file is missing, damaged or of another kind, or contains the other generator.
    """
    about = read_about(about_path(path))
    held = about.get("weights")
    if weights not in (None, held):
        raise UserError(f"{path} holds the {held} weights; --weights {weights} needs the original checkpoint")
    return about, _tensors(path)


def about_path(path: Path) -> Path:
    """The JSON file that describes a weights file: a file of the same name, or the JSON of the folder."""
    own = path.with_name(f"{path.name}.json")
    return own if own.is_file() else path.with_name(CONFIG)


def read_about(path: Path) -> dict[str, Any]:
    """The JSON next to exported weights.

    Raises:
        UserError: if the JSON is missing, damaged or of another kind.
    """
    try:
        about = parse_json(read_text(path, MOST_JSON))
    except OSError as error:
        raise UserError(
            f"{path} cannot be read: {error.strerror}; an exported model consists of its weights and this file"
        ) from error
    except ValueError as error:
        raise UserError(f"{path} is not JSON: {error}") from error
    if not isinstance(about, dict) or about.get("format") != FORMAT or about.get("file") != "safetensors":
        raise UserError(f"{path} was not written by pggan export (--format safetensors or huggingface)")
    if about.get("version") != VERSION:
        raise UserError(f"{path} is of version {about.get('version')}; this release reads version {VERSION}")
    return about


def _tensors(path: Path) -> dict[str, Any]:
    require("safetensors", str(path))
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors: dict[str, Any] = load_file(path)
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path} cannot be read as safetensors: {error}") from error
    return tensors
