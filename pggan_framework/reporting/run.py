"""A run's folder as an object: configuration, metrics, samples and sounds, for notebooks and the report."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from html import escape
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pggan_framework.errors import UserError
from pggan_framework.postprocessors.moving import sheets_in
from pggan_framework.postprocessors.picture import Tile, tiles_of
from pggan_framework.postprocessors.soundfiles import Sound
from pggan_framework.runs.best_checkpoint import QUALITY, is_measurement, read_best
from pggan_framework.runs.folders import STATE, checkpoint_folder, find_folder, read_json, stored_config
from pggan_framework.storage.limits import parse_json
from pggan_framework.storage.numbers import NUMBER, kimg_of

if TYPE_CHECKING:
    from PIL.Image import Image

_SOUND = re.compile(rf"(?:reals_sound|fakes_sound_({NUMBER}))_(\d+)\.(?:wav|flac|ogg|opus|mp3)")
REPORT = "report.html"
"""The report page, in the run's folder."""
SAMPLES = "samples.json"
"""The labels of the samples, in a run's folder; written by OutputGenerator."""
DRAWN = ("gradients.png", "weights.png")
"""Images that plugins draw, if they are enabled."""


@dataclass(frozen=True)
class Step:
    """The samples that a run wrote at one time.

    Args:
        kimg: number of real images shown, in thousands; -1 for the reals.
        grid: file of the sample grid; None without ImageSaver.
        sounds: sound file of each sample by index; empty without SoundSaver.
    """

    kimg: float
    sheet: Path | None = None
    sounds: Mapping[int, Path] = field(default_factory=dict)

    @property
    def tiles(self) -> list[Tile]:
        """(left, top, width, height) of each sample in the grid; the complete grid if the file does not record them."""
        return [] if self.sheet is None else tiles_of(self.sheet)


class Run:
    """A run's folder, read lazily; it can be read at any time during training.

    ``Run("results/003-piano").metrics`` is a table for ``pandas.DataFrame``; a notebook displays ``.samples``,
    ``.sounds`` and the run itself.

    Args:
        path: folder of the run, or ``latest``.
        result_dir: folder that ``latest`` searches.

    Raises:
        UserError: if `path` is not the folder of a run.
    """

    def __init__(self, path: str | Path = "latest", result_dir: str | Path = "results") -> None:
        self.path = find_folder(str(path), Path(result_dir))
        try:
            self.config: dict[str, Any] = stored_config(self.path)
        except UserError as error:
            raise UserError(f"{self.path} is not a run's folder: it has no readable config.yaml") from error

    @property
    def name(self) -> str:
        """Name of the folder, such as ``007-piano``."""
        return self.path.resolve().name

    @cached_property
    def state(self) -> dict[str, Any]:
        """The contents of run.json: status, data, parameters, length; {} for runs of earlier versions."""
        return read_json(self.path / STATE)

    @property
    def status(self) -> str:
        """``running``, ``finished``, ``interrupted`` or ``failed``; empty if unknown."""
        return str(self.state.get("status", ""))

    @cached_property
    def environment(self) -> dict[str, str]:
        """Versions, machine and date of the last start."""
        return {name: str(value) for name, value in read_json(self.path / "environment.json").items()}

    @cached_property
    def ticks(self) -> list[dict[str, Any]]:
        """The values of each tick, in order, without ticks that were undone by a rollback."""
        lines = _lines(self.path / self._parameter("JSONLLogger", "filename", "stats.jsonl"))
        return _ascending([_numbers(line) for line in lines])

    @property
    def metrics(self) -> dict[str, list[Any]]:
        """The ticks as columns of equal length, None for missing values: ``pandas.DataFrame(run.metrics)``."""
        names = dict.fromkeys(name for tick in self.ticks for name in tick)
        return {name: [tick.get(name) for tick in self.ticks] for name in names}

    @cached_property
    def evaluations(self) -> list[dict[str, Any]]:
        """The values of each measurement of samples, in order."""
        lines = _lines(self.path / "metrics.jsonl")
        return [line for line in lines if line.get("by") != QUALITY or is_measurement(line, "n")]

    @cached_property
    def best(self) -> dict[str, Any] | None:
        """The measurement of the best checkpoint; None if there is none."""
        return read_best(checkpoint_folder(self.path, self.config.get("checkpoints_dir") or ""))

    @cached_property
    def labels(self) -> list[str]:
        """The label of each sample, as text; [] for unlabelled data."""
        found = read_json(self.path / SAMPLES).get("labels")
        return [str(label) for label in found] if isinstance(found, list) else []

    @cached_property
    def steps(self) -> list[Step]:
        """The samples of each time, in order."""
        images = self.path / self._parameter("ImageSaver", "samples_path", "images")
        sheets = dict(sheets_in(images)) if images.is_dir() else {}
        sounds = self._sounds
        return [
            Step(kimg, sheets.get(kimg), sounds.get(kimg, {}))
            for kimg in sorted({*sheets, *(kimg for kimg in sounds if kimg >= 0)})
        ]

    @cached_property
    def real(self) -> Step | None:
        """The reals shown with the samples, each with the label of its sample; None if they were not written."""
        sheet = self.path / "reals.png"
        found = Step(-1, sheet if sheet.is_file() else None, self._sounds.get(-1, {}))
        return found if found.sheet or found.sounds else None

    @property
    def samples(self) -> list[Image]:
        """The images of the last samples, as spectrograms for sounds; [] if there are none yet."""
        from PIL import Image

        step = next((step for step in reversed(self.steps) if step.sheet), None)
        if step is None or step.sheet is None:
            return []
        with Image.open(step.sheet, formats=["PNG"]) as sheet:
            return [sheet.crop((x, y, x + w, y + h)) for x, y, w, h in step.tiles]

    @property
    def sounds(self) -> list[Sound]:
        """The last samples as sounds; [] if there are none."""
        step = next((step for step in reversed(self.steps) if step.sounds), None)
        return [] if step is None else [Sound.read(step.sounds[number]) for number in sorted(step.sounds)]

    def __repr__(self) -> str:
        last = self.ticks[-1] if self.ticks else {}
        return f"Run({str(self.path)!r}: {self.status or 'status unknown'}, {last.get('kimg', 0):g} kimg)"

    def _repr_html_(self) -> str:
        """Return the notebook output: the folder, and the last samples."""
        import base64

        from pggan_framework.reporting.head import facts_of

        rows = "".join(f"<tr><th>{escape(name)}</th><td>{escape(text)}</td></tr>" for name, text in facts_of(self))
        step = next((step for step in reversed(self.steps) if step.sheet), None)
        image = ""
        if step is not None and step.sheet is not None:
            data = base64.b64encode(step.sheet.read_bytes()).decode("ascii")
            image = f'<img alt="samples at {step.kimg} kimg" src="data:image/png;base64,{data}">'
        return f"<b>{escape(self.name)}</b><table>{rows}</table>{image}"

    @cached_property
    def _sounds(self) -> dict[float, dict[int, Path]]:
        """Sound files by kimg (-1 for reals) and sample index."""
        found: dict[float, dict[int, Path]] = {}
        for path in sorted((self.path / self._parameter("SoundSaver", "samples_path", "sound")).glob("*_sound_*")):
            match = _SOUND.fullmatch(path.name)
            if match:
                found.setdefault(-1.0 if match[1] is None else kimg_of(match[1]), {})[int(match[2])] = path
        return found

    def _parameter(self, component: str, parameter: str, default: str) -> str:
        """Return a component's parameter that is a path."""
        given = self.config.get(component)
        return str(given.get(parameter, default)) if isinstance(given, Mapping) else default


def _lines(path: Path) -> list[dict[str, Any]]:
    """Read the objects of a JSON lines file; incomplete lines are skipped."""
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
    """Remove non-finite values from a tick."""
    return {name: value for name, value in tick.items() if isinstance(value, (int, float)) and abs(value) < inf}


def _ascending(ticks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the ticks, except ticks that were undone by a rollback."""
    kept: list[dict[str, Any]] = []
    for tick in ticks:
        if not isinstance(tick.get("kimg"), (int, float)):
            continue
        while kept and kept[-1]["kimg"] >= tick["kimg"]:
            kept.pop()
        kept.append(tick)
    return kept
