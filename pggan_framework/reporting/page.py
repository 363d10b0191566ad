"""One page of a run, or of several: samples, sounds, curves, measurements, configuration; everything is in the file."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from pggan_framework.loggers.terminal import duration
from pggan_framework.metrics.verdict import SHOWN, judge
from pggan_framework.reporting.panels import panels_of
from pggan_framework.reporting.record import Record
from pggan_framework.reporting.svg import colour_of, svg_chart
from pggan_framework.runs.best_checkpoint import BEST, QUALITY, described, much_worse

_TYPES = {
    ".png": "image/png", ".wav": "audio/wav", ".flac": "audio/flac", ".ogg": "audio/ogg", ".opus": "audio/ogg",
    ".mp3": "audio/mpeg",
}  # fmt: skip
_NO_FIGURES = frozenset({"date", "version", "checkpoint", "nimg", "depth", "data", "n", "seed", "extractor"})


def render(runs: Sequence[Record], sheets: int = 12, sounds: int = 8) -> str:
    """The page as HTML; it needs no other file and no network.

    Args:
        runs: what is shown, one or more; several stand side by side.
        sheets: most sheets of samples of a run, spread evenly over it, the last among them.
        sounds: most sounds of a run.
    """
    from jinja2 import Environment, StrictUndefined

    text = files(__package__).joinpath("report.html.jinja").read_text(encoding="utf-8")
    template = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    names = _distinct(runs)
    return template.from_string(text).render(
        title=" and ".join(names) if len(runs) < 4 else f"{len(runs)} runs",
        runs=[_run(record, name, sheets, sounds) for record, name in zip(runs, names, strict=True)],
        charts=_charts(dict(zip(names, runs, strict=True))),
        differences=_differences(runs),
    )


def _distinct(runs: Sequence[Record]) -> list[str]:
    """A name of each run; its whole path where two have the same."""
    names = [record.name for record in runs]
    return [name if names.count(name) == 1 else str(run.folder) for name, run in zip(names, runs, strict=True)]


def _run(record: Record, name: str, sheets: int, sounds: int) -> dict[str, Any]:
    chosen = _spread(record.sheets, sheets)
    return {
        "name": name,
        "state": _state(record),
        "facts": record.facts,
        "sheets": [{"kimg": kimg, "data": _embedded(path)} for kimg, path in chosen],
        "reals": _embedded(record.reals) if record.reals else None,
        "sounds": [_embedded(path) for path in record.sounds[1][:sounds]] if record.sounds else [],
        "sounds_kimg": record.sounds[0] if record.sounds else None,
        "pictures": [{"name": path.stem, "data": _embedded(path)} for path in record.pictures],
        "quality": _quality(record),
        "evaluations": [
            _evaluation(figures) for figures in reversed(record.evaluations) if figures.get("by") != QUALITY
        ],
        "config": yaml.safe_dump(dict(record.config), sort_keys=False, default_flow_style=None, width=100),
    }


def _state(record: Record) -> str:
    """Where a run is, in a line."""
    total = record.config.get("total_kimg")
    if not record.ticks:
        return "no tick so far"
    last = record.ticks[-1]
    parts = [f"{last['kimg']:g}" + (f" of {total:g}" if isinstance(total, (int, float)) else "") + " kimg"]
    if "depth" in last:
        fading = last.get("alpha", 1)
        parts.append(f"depth {last['depth']}" + (f", fading in at alpha {fading:.2f}" if fading < 1 else ""))
    if isinstance(last.get("time"), (int, float)):
        parts.append(duration(last["time"]))
    return ", ".join(parts)


def _quality(record: Record) -> list[str]:
    """What the last measurement of the samples means, and which checkpoint is the best; empty if none was measured."""
    measured = [each for each in record.evaluations if each.get("by") == QUALITY]
    if not measured:
        return []
    last, best = measured[-1], record.best
    verdict = judge(last)
    lines = [f"at {last['nimg'] / 1000:.1f} kimg: {verdict.line}", *verdict.problems[SHOWN:]]
    if best is not None and best["nimg"] != last["nimg"]:
        worse = ", much worse" if much_worse(best, last) else ""
        lines.append(
            f"best checkpoint: {BEST}, from {best['nimg'] / 1000:.1f} kimg: {described(best)};"
            f" the last one has {described(last)}{worse}"
        )
    elif best is not None:
        lines.append("the last checkpoint is the best")
    return lines


def _charts(runs: Mapping[str, Record]) -> list[dict[str, Any]]:
    marks: dict[float, str] = {}
    if len(runs) == 1:
        ticks = next(iter(runs.values())).ticks
        for before, after in zip(ticks, ticks[1:], strict=False):
            if before.get("depth") != after.get("depth"):
                marks[before["kimg"]] = f"depth {after.get('depth')}"
    return [
        {
            "title": panel.title,
            "svg": svg_chart(panel, marks),
            "legend": [(name, colour_of(number)) for number, name in enumerate(panel.lines)],
        }
        for panel in panels_of({name: record.ticks for name, record in runs.items()})
    ]


def _evaluation(figures: Mapping[str, Any]) -> dict[str, Any]:
    """A measurement as rows of name, value and what real data give."""
    names = [name for name in figures if name not in _NO_FIGURES and not name.endswith(".floor")]
    about = [f"{name} {figures[name]}" for name in ("checkpoint", "n", "seed", "extractor", "date") if name in figures]
    rows = [(name, _number(figures[name]), _number(figures.get(f"{name}.floor"))) for name in names]
    return {"about": ", ".join(about), "rows": rows}


def _differences(runs: Sequence[Record]) -> list[tuple[str, list[str]]]:
    """The settings that are not the same in all runs; nothing where there is but one run."""
    flat = [dict(_flat(record.config)) for record in runs]
    names = {name: None for settings in flat for name in settings}
    rows = [(name, [settings.get(name, "") for settings in flat]) for name in names]
    return [(name, values) for name, values in rows if len(set(values)) > 1]


def _flat(config: Mapping[str, Any], before: str = "") -> Iterable[tuple[str, str]]:
    for name, value in config.items():
        if isinstance(value, Mapping) and not before:
            yield from _flat(value, f"{name}.")
        else:
            yield before + name, str(value)


def _spread(sheets: Sequence[tuple[float, Path]], most: int) -> list[tuple[float, Path]]:
    """At most `most` of them, evenly, with the last one."""
    if len(sheets) <= most:
        return list(sheets)
    if most == 1:
        return [sheets[-1]]
    return [sheets[round(number * (len(sheets) - 1) / (most - 1))] for number in range(most)]


def _number(value: object) -> str:
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def _embedded(path: Path) -> str:
    """A file as the address of itself."""
    return f"data:{_TYPES[path.suffix.lower()]};base64,{base64.b64encode(path.read_bytes()).decode('ascii')}"
