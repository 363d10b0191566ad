"""The metrics of a run that are drawn, each with its section, chart, unit and better direction."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, NamedTuple

import numpy as np

from pggan_framework.postprocessors.axes import Floats
from pggan_framework.postprocessors.curves import Chart, Curve

NOT_DRAWN = frozenset(
    "tick nimg kimg time sec.tick sec.left ms.data ms.saving depth alpha lod minibatch".split()  # noqa: SIM905
)
"""Values that describe the position of a tick and are not metrics."""
BASELINE = ".floor"
"""Suffix of a metric's real-vs-real baseline."""
_LOSSES, _QUALITY, _SPEED = "Losses and scores", "Quality", "Speed and optimization"
SECTIONS = (_LOSSES, _QUALITY, _SPEED, "Other")

_LOWER, _HIGHER, _REALS = "lower is better", "higher is better", "near the baseline is better"


class _Kind(NamedTuple):
    """Properties of the metrics whose name matches `pattern`."""

    pattern: str
    section: str
    title: str
    unit: str = ""
    note: str = ""
    log: bool = False


_KINDS = (
    _Kind(r"[GD]_loss", _LOSSES, "Loss"),
    _Kind(r"D_(real|fake)", _LOSSES, "Mean D output"),
    _Kind(r"quality", _QUALITY, "Distance to the data", "times the baseline", _LOWER, log=True),
    _Kind(r"sound\.frechet", _QUALITY, "Fréchet distance", "", _LOWER),
    _Kind(r"sound\.consistency", _QUALITY, "Spectral consistency", "dB", _LOWER),
    _Kind(r"sound\.silence", _QUALITY, "Silent samples", "fraction", _REALS),
    _Kind(r"sound\.clipping", _QUALITY, "Clipped sample values", "fraction", _LOWER),
    _Kind(r"sound\.loudness\..*", _QUALITY, "Loudness", "dB", _REALS),
    _Kind(r"sound\.centroid\..*", _QUALITY, "Spectral centroid", "Hz", _REALS),
    _Kind(r"sound\.edges\..*", _QUALITY, "Level of start and end", "dB", _REALS),
    _Kind(r"sound\.pitch\..*|pitch\..*", _QUALITY, "Pitch", "", ""),
    _Kind(r"(?:picture|image)\.swd\..*", _QUALITY, "Sliced Wasserstein distance", "x 1000", _LOWER),
    _Kind(r"(?:picture|image)\.ms_ssim", _QUALITY, "MS-SSIM between samples", "", _REALS),
    _Kind(r"(?:picture|image)\.(fid|kid).*", _QUALITY, "{0}", "", _LOWER),
    _Kind(r"(?:picture|image)\.(precision|recall|density|coverage|is)_.*", _QUALITY, "{0}", "", _HIGHER),
    _Kind(r"(?:sound|picture|image)\..*", _QUALITY, "{0}"),
    _Kind(r"diversity", _QUALITY, "Diversity of samples", "of the reals'", _REALS),
    _Kind(r"sec\.kimg|images per second", _SPEED, "Speed", "images/s", _HIGHER),
    _Kind(r"[GD]_lr", _SPEED, "Learning rate"),
    _Kind(r"gradient\..*", _SPEED, "Mean and largest gradient: {0}", log=True),
    _Kind(r"gradient_norm", _SPEED, "Gradient norm of the penalty"),
    _Kind(r"(gradient_penalty|r1|r2|drift)", _LOSSES, "{0}"),
    _Kind(r"[GD]_.*", _LOSSES, "{0}"),
    _Kind(r".*", "Other", "{0}"),
)


@dataclass(frozen=True)
class Panel:
    """A chart and the section that contains it."""

    section: str
    chart: Chart


def group_of(name: str) -> str:
    """Return the chart group of a metric: ``loss`` for ``G_loss``, ``sound.loudness`` for its percentiles."""
    if name in ("D_real", "D_fake"):
        return "scores"
    return ".".join(name.removesuffix(BASELINE).removeprefix("G_").removeprefix("D_").split(".")[:2])


def panels_of(runs: Mapping[str, Sequence[Sequence[Mapping[str, Any]]]]) -> list[Panel]:
    """Return charts of the metrics of one or more runs over kimg, by section.

    A single run has one chart per group of metrics, with their baselines. Several runs have one chart per metric, with
    a colour and dash per run; runs given as one entry are drawn as their mean, with a band from minimum to maximum.

    Args:
        runs: the ticks of each run by name, or of several runs that differ only by the random seed; each tick has kimg.
    """
    found: dict[str, list[Curve]] = {}
    for number, (run, seeds) in enumerate(runs.items()):
        for name in _names(tick for ticks in seeds for tick in ticks):
            baseline = name.endswith(BASELINE)
            if baseline and len(runs) > 1:
                continue
            joined = _joined([_column(ticks, name) for ticks in seeds])
            if joined is None:
                continue
            x, y, band = joined
            key = group_of(name) if len(runs) == 1 else name
            shown = "images per second" if name == "sec.kimg" else name
            label = (shown if not baseline else f"{name.removesuffix(BASELINE)} of reals") if len(runs) == 1 else run
            before = [curve for curve in found.get(key, []) if not curve.baseline]
            style = number if len(runs) > 1 else len(before)
            if baseline:
                style = next((c.style for c in before if c.name == name.removesuffix(BASELINE)), 0)
            found.setdefault(key, []).append(Curve(label, x, y, style, baseline, band))
    known = {key: _kind(key if len(runs) > 1 else curves[0].name) for key, curves in found.items()}
    order = sorted(found, key=lambda key: (SECTIONS.index(known[key].section), _KINDS.index(known[key])))
    titles = Counter(kind.title for kind in known.values())
    named = {key for key in order if len(runs) > 1 and titles[known[key].title] > 1}
    return [_panel(key, known[key], found[key], key in named) for key in order]


def depth_marks(ticks: Sequence[Mapping[str, Any]]) -> dict[float, str]:
    """Return the name of each depth after the first by the kimg at which it begins."""
    return {
        before["kimg"]: f"depth {after['depth']:.0f}"
        for before, after in zip(ticks, ticks[1:], strict=False)
        if "depth" in after and before.get("depth") != after["depth"]
    }


def _kind(name: str) -> _Kind:
    return next(kind for kind in _KINDS if re.fullmatch(kind.pattern, name))


def _panel(key: str, kind: _Kind, curves: list[Curve], named: bool) -> Panel:
    """Build a chart of metrics of one kind; the title includes the metric or group `key` if `named`."""
    title = kind.title.format(key)
    if named and "{0}" not in kind.title:
        title = f"{title}: {key}"
    log = kind.log and all(bool((curve.y > 0).all()) for curve in curves)
    return Panel(kind.section, Chart(title, sorted(curves, key=lambda c: c.baseline), kind.unit, kind.note, log))


def _names(ticks: Iterable[Mapping[str, Any]]) -> list[str]:
    names = {name: None for tick in ticks for name in tick if name.removesuffix(BASELINE) not in NOT_DRAWN}
    return sorted(names, key=lambda name: name.endswith(BASELINE))


def _column(ticks: Iterable[Mapping[str, Any]], name: str) -> tuple[Floats, Floats]:
    """Return kimg and the finite values of a metric, each [n]; seconds per kimg are converted to images per second."""
    points = [(tick["kimg"], tick.get(name)) for tick in ticks]
    known = [(x, y) for x, y in points if isinstance(y, (int, float)) and isfinite(y)]
    if name == "sec.kimg":
        known = [(x, 1000 / y) for x, y in known if y > 0]
    x, y = np.array(known, np.float64).reshape(-1, 2).T
    return x, y


def _joined(columns: Sequence[tuple[Floats, Floats]]) -> tuple[Floats, Floats, tuple[Floats, Floats] | None] | None:
    """Return mean and range over seeds where all seeds have values; None if there are no such values."""
    columns = [(x, y) for x, y in columns if len(x)]
    if not columns:
        return None
    if len(columns) == 1:
        return *columns[0], None
    low, high = max(x[0] for x, _ in columns), min(x[-1] for x, _ in columns)
    grid = np.unique(np.concatenate([x for x, _ in columns]))
    grid = grid[(grid >= low) & (grid <= high)]
    if not len(grid):
        return *columns[0], None
    values = np.stack([np.interp(grid, x, y) for x, y in columns])
    return grid, values.mean(axis=0), (values.min(axis=0), values.max(axis=0))
