"""What a run's folder holds of it: its figures, sheets, sounds, configuration."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any

from pggan_framework.errors import UserError
from pggan_framework.postprocessors.moving import sheets_in
from pggan_framework.runs.best_checkpoint import QUALITY, is_measurement, read_best
from pggan_framework.runs.folders import checkpoint_folder, stored_config
from pggan_framework.storage.limits import parse_json
from pggan_framework.storage.numbers import NUMBER, kimg_of

_SOUND = re.compile(rf"fakes_sound_({NUMBER})_(\d+|all)\.(wav|flac|ogg|opus|mp3)")
REPORT = "report.html"
"""The page of a run, in its folder."""
PICTURES = ("curves.png", "gradients.png", "weights.png")
"""What plugins draw, where they were on."""


@dataclass(frozen=True)
class Record:
    """What there is of a run. Whatever the run has not written is empty.

    Args:
        folder: the run's.
        config: the resolved configuration.
        facts: versions, machine and date of the last start.
        ticks: the figures of each tick, in their order.
        evaluations: the figures of each measurement, in their order.
        sheets: kimg and file of each sheet of samples, in their order.
        reals: the sheet of real ones.
        sounds: the last samples' sounds, and the kimg they are of.
        pictures: further ones, drawn by plugins.
        best: the measurement of the best checkpoint.
    """

    folder: Path
    config: Mapping[str, Any]
    facts: Mapping[str, str]
    ticks: list[dict[str, Any]]
    evaluations: list[dict[str, Any]]
    sheets: list[tuple[float, Path]]
    reals: Path | None
    sounds: tuple[float, list[Path]] | None
    pictures: list[Path]
    best: dict[str, Any] | None = None

    @property
    def name(self) -> str:
        """The folder's name, ``007-piano``."""
        return self.folder.resolve().name


def read_run(folder: Path) -> Record:
    """Read what a run has written so far; the run may still go on, or have been killed in the middle of a line.

    Raises:
        UserError: if it is no run's folder.
    """
    try:
        config = stored_config(folder)
    except UserError as error:
        raise UserError(f"{folder} is no run's folder: it has no config.yaml that can be read") from error
    facts = _json(folder / "environment.json")
    images = folder / _path(config, "ImageSaver", "images")
    reals = folder / "reals.png"
    return Record(
        folder,
        config,
        {name: str(value) for name, value in facts.items()},
        _ascending(
            [_numbers(line) for line in _lines(folder / _path(config, "JSONLLogger", "stats.jsonl", "filename"))]
        ),
        [line for line in _lines(folder / "metrics.jsonl") if line.get("by") != QUALITY or is_measurement(line, "n")],
        sheets_in(images) if images.is_dir() else [],
        reals if reals.is_file() else None,
        _last_sounds(folder / _path(config, "SoundSaver", "sound")),
        [path for name in PICTURES if (path := folder / name).is_file()],
        read_best(checkpoint_folder(folder, config.get("checkpoints_dir") or "")),
    )


def _path(config: Mapping[str, Any], component: str, default: str, parameter: str = "samples_path") -> str:
    """A path that a component of the run was given."""
    given = config.get(component)
    return str(given.get(parameter, default)) if isinstance(given, Mapping) else default


def _json(path: Path) -> dict[str, Any]:
    try:
        found = parse_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _lines(path: Path) -> list[dict[str, Any]]:
    """The objects of a file of JSON lines; a line that is not whole is left out."""
    found = []
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    for line in text.splitlines():
        try:
            record = parse_json(line)
        except ValueError:
            continue
        if isinstance(record, dict):
            found.append(record)
    return found


def _numbers(tick: dict[str, Any]) -> dict[str, Any]:
    """A tick without what is no number."""
    return {name: value for name, value in tick.items() if isinstance(value, (int, float)) and abs(value) < inf}


def _ascending(ticks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The ticks without those that a rollback has undone."""
    kept: list[dict[str, Any]] = []
    for tick in ticks:
        if not isinstance(tick.get("kimg"), (int, float)):
            continue
        while kept and kept[-1]["kimg"] >= tick["kimg"]:
            kept.pop()
        kept.append(tick)
    return kept


def _last_sounds(folder: Path) -> tuple[float, list[Path]] | None:
    found: dict[float, list[Path]] = {}
    for path in sorted(folder.glob("fakes_sound_*")):
        match = _SOUND.fullmatch(path.name)
        if match and match[2] != "all":  # the strip of all of them says nothing more
            found.setdefault(kimg_of(match[1]), []).append(path)
    return (max(found), found[max(found)]) if found else None
