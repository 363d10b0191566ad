"""A trained model as a folder in the layout of the Hugging Face Hub; `Pretrained.from_folder` loads it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pggan_framework.config.discovery import USER_PACKAGE
from pggan_framework.errors import UserError
from pggan_framework.generate.player import Player
from pggan_framework.generate.samples import draw
from pggan_framework.models.card import read_figures, write_card
from pggan_framework.models.details import describe_file
from pggan_framework.models.exported import CONFIG, WEIGHTS
from pggan_framework.models.exporting import export
from pggan_framework.postprocessors.soundfiles import write_sound
from pggan_framework.registry import REGISTRY
from pggan_framework.storage.names import write_text

if TYPE_CHECKING:
    from pggan_framework.models.pretrained import Pretrained

SAMPLES = 16
MOST_COLUMNS = 12
"""Most columns of a sample grid, one per value of the first label; it has `ROWS` rows."""
ROWS = 4
SOUNDS = 4
"""Number of sounds written for a sound model."""
_LICENSE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]*")


def check_license(license: str | None) -> None:
    """Reject an invalid licence name.

    Raises:
        UserError: if the name is invalid.
    """
    if license is not None and not _LICENSE.fullmatch(license):
        raise UserError(f"--license '{license}' is given; allowed: a short name of the Hub, such as mit or cc-by-4.0")


def write_model_folder(
    model: Pretrained, checkpoint: Path, folder: Path, name: str | None = None, license: str | None = None
) -> list[str]:
    """Write ``model.safetensors``, ``config.json``, ``README.md`` and ``samples.png``, and wav files for a sound model.

    The card is generated from the checkpoint, and from metrics.jsonl next to it.

    Args:
        model: the generator, at the depth to export.
        checkpoint: file of the model.
        folder: output folder.
        name: title of the model card; by default the run's name.
        license: short name of the licence, if known.

    Returns:
        The names of the written files.

    Raises:
        UserError: if a package is missing, or the file is not a checkpoint.
    """
    check_license(license)
    details = describe_file(checkpoint)
    if details["kind"] != "checkpoint":
        raise UserError(f"{checkpoint} is not a checkpoint; a model folder is made from one")
    depth = model.generator.depth
    measured = model.weights == "ema" and depth == details["depth"]  # metrics of pggan evaluate
    if depth != details["depth"]:
        details |= {"depth": depth, "alpha": 1.0, "shape_at_depth": list(model.growth.shape_at(depth))}
    export(model, folder / WEIGHTS, folder / CONFIG, "safetensors")
    player = _player(model)
    seeds = list(range(SAMPLES if player.every is None else ROWS))
    _draw(player, seeds, folder / "samples.png")
    sounds = []
    if model.codec is not None:
        for seed in range(SOUNDS):
            sounds.append(f"{player.stem(seed, player.label(seed))}.wav")
            write_sound(folder / sounds[-1], player.finished(player.clip(seed)), model.codec.sample_rate)
    figures, settings = read_figures(checkpoint.parent / "metrics.jsonl", checkpoint.name, model.nimg)
    figures = figures if measured else {}
    builtin = not REGISTRY.get(details["generator"], "generator").module.startswith(USER_PACKAGE)
    title = name or details["run"] or "model"
    card = write_card(details, title, license, figures, settings, sounds, builtin)
    write_text(folder / "README.md", card)
    about = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    about["training"] = {key: details[key] for key in ("kimg", "loss", "penalties", "dataset", "data_fingerprint")}
    about["figures"] = {key: {"model": value, "floor": floor} for key, (value, floor) in figures.items()}
    (folder / CONFIG).write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    return [WEIGHTS, CONFIG, "README.md", "samples.png", *sounds]


def _player(model: Pretrained) -> Player:
    """Create a player that generates each seed with every value of the first label, if there are few values."""
    attributes = () if model.label_space is None else model.label_space.attributes
    few = bool(attributes) and 2 <= len(attributes[0].values) <= MOST_COLUMNS
    return Player(model, every=attributes[0].name if few else None)


def _draw(player: Player, seeds: list[int], path: Path) -> None:
    pictures = [player.picture(player.latent(seed), label) for seed, label in player.asked(seeds)]
    draw(player, np.stack(pictures), path, columns=player.variants if player.every is not None else None)
