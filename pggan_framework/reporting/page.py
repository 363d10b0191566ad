"""The page for one or several runs in one file: head, samples with sounds, charts, measurements, configuration."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from importlib.resources import files
from typing import Any

import yaml

from pggan_framework.postprocessors.curves import STYLE, look_of, svg
from pggan_framework.postprocessors.picture import extent_of
from pggan_framework.reporting import media
from pggan_framework.reporting.head import facts_of, resume_command, trained
from pggan_framework.reporting.panels import BASELINE, SECTIONS, Panel, depth_marks, panels_of
from pggan_framework.reporting.run import DRAWN, Run
from pggan_framework.runs.best_checkpoint import QUALITY, described

MEGABYTES = 15.0
"""Size limit of a page in MB; larger samples are compressed, then reduced in number."""
_SEEDS = frozenset(
    {"random_seed", "exp_name", "result_dir", "checkpoints_dir", "minutes", "num_data_workers", "device"}
)
"""Settings that may differ between runs of the same experiment with different seeds."""
_NOT_METRICS = frozenset({"date", "version", "checkpoint", "nimg", "depth", "data", "n", "seed", "extractor"})


def render(runs: Sequence[Run], sheets: int = 12, sounds: int = 64, megabytes: float = MEGABYTES) -> str:
    """Render the page as HTML, without dependencies on other files or the network.

    Args:
        runs: one or more runs.
        sheets: largest number of times per run whose samples are shown, evenly spaced and including the last one.
        sounds: largest number of sounds at each time.
        megabytes: size limit of images and sounds.
    """
    from jinja2 import Environment, StrictUndefined

    template = files(__package__).joinpath("report.html.jinja").read_text(encoding="utf-8")
    script = files(__package__).joinpath("report.js").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    names = _distinct(runs)
    experiments = _experiments(dict(zip(names, runs, strict=True)))
    drawn = [path for run in runs for path in _drawn(run)]
    budget = (megabytes * 1e6 - 4e5 - 4 / 3 * sum(path.stat().st_size for path in drawn)) / len(runs)
    shown = [_run(run, name, sheets, sounds, budget) for run, name in zip(runs, names, strict=True)]
    text = environment.from_string(template).render(
        title=" and ".join(filter(None, (", ".join(names[:-1]), names[-1]))) if len(runs) < 4 else f"{len(runs)} runs",
        runs=shown,
        sections=_sections(experiments),
        means=[name for name, seeds in experiments.items() if len(seeds) > 1],
        comparison=_comparison(runs, names, list(experiments.values())),
        chart_style=STYLE,
        script=script,
    )
    # Insert the samples last: the template engine would escape megabytes of data character by character.
    data = json.dumps([run["media"] for run in shown]).replace("<", "\\u003c")
    return text.replace("@MEDIA@", data)


def _distinct(runs: Sequence[Run]) -> list[str]:
    """Return a name for each run; the full path if two runs have the same name."""
    names = [run.name for run in runs]
    return [name if names.count(name) == 1 else str(run.path) for name, run in zip(names, runs, strict=True)]


def _drawn(run: Run) -> list[Any]:
    return [path for name in DRAWN if (path := run.path / name).is_file()]


def _run(run: Run, name: str, sheets: int, sounds: int, budget: float) -> dict[str, Any]:
    content = media.embedded(run, sheets, sounds, budget)
    steps = content["steps"]
    last = steps[-1] if steps else {"tiles": [], "sounds": {}}
    count = max([len(last["tiles"]), *(number + 1 for number in last["sounds"])], default=0)
    sheet = next((step.sheet for step in reversed(run.steps) if step.sheet), None)
    return {
        "name": name,
        "facts": facts_of(run),
        "resume": resume_command(run),
        "media": content,
        "samples": [{"number": number, "label": _label(run, number)} for number in range(count)],
        "kimg": [step["kimg"] for step in steps],
        "images": bool(steps) and any(step["sheet"] for step in steps),
        "sounds": any(step["sounds"] for step in steps),
        "real": content["real"],
        "extent": "" if sheet is None else extent_of(sheet),
        "drawn": [{"name": path.stem, "data": media.address(media.plain(path))} for path in _drawn(run)],
        "evaluations": [_evaluation(values) for values in reversed(run.evaluations) if values.get("by") != QUALITY],
        "environment": run.environment,
        "config": yaml.safe_dump(dict(run.config), sort_keys=False, default_flow_style=None, width=100),
    }


def _label(run: Run, number: int) -> str:
    return run.labels[number] if number < len(run.labels) else ""


def _sections(experiments: Mapping[str, Sequence[Run]]) -> list[dict[str, Any]]:
    """Return the charts by section; runs that differ only by the seed are drawn as one."""
    marks = depth_marks(next(iter(experiments.values()))[0].ticks) if len(experiments) == 1 else {}
    panels = panels_of({name: [run.ticks for run in seeds] for name, seeds in experiments.items()})
    draw = partial(_chart, marks=marks)
    grouped = {section: [draw(panel) for panel in panels if panel.section == section] for section in SECTIONS}
    return [{"title": section, "charts": charts} for section, charts in grouped.items() if charts]


def _chart(panel: Panel, marks: Mapping[float, str]) -> dict[str, Any]:
    chart = panel.chart
    return {
        "title": chart.title,
        "unit": chart.unit,
        "note": chart.note,
        "svg": svg(chart, marks),
        "legend": [(curve.name, curve.classes, f"{curve.y[-1]:.4g}") for curve in chart.curves],
    }


def _experiments(runs: Mapping[str, Run]) -> dict[str, list[Run]]:
    """Group runs by experiment: runs that differ only by the random seed are one experiment."""
    found: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for name, run in runs.items():
        settings = tuple(sorted((key, value) for key, value in _flat(run.config) if key not in _SEEDS))
        found.setdefault(settings, []).append(name)
    return {
        names[0] if len(names) == 1 else f"mean of {', '.join(names)}": [runs[name] for name in names]
        for names in found.values()
    }


def _evaluation(values: Mapping[str, Any]) -> dict[str, Any]:
    """Format a measurement as rows of name, value and real-vs-real baseline."""
    names = [name for name in values if name not in _NOT_METRICS and not name.endswith(BASELINE)]
    about = [f"{name} {values[name]}" for name in ("checkpoint", "n", "seed", "extractor", "date") if name in values]
    rows = [(name, _number(values[name]), _number(values.get(f"{name}{BASELINE}"))) for name in names]
    return {"about": ", ".join(about), "rows": rows}


def _comparison(
    runs: Sequence[Run], names: Sequence[str], experiments: Sequence[Sequence[Run]]
) -> dict[str, Any] | None:
    """Format runs as rows of length, best distance and differing settings; None for one run."""
    if len(runs) == 1:
        return None
    flat = [dict(_flat(run.config)) for run in runs]
    keys = dict.fromkeys(key for settings in flat for key in settings)
    columns = [key for key in keys if len({settings.get(key, "") for settings in flat}) > 1]

    def look(run: Run) -> str:
        return look_of(next(number for number, seeds in enumerate(experiments) if run in seeds))

    return {
        "columns": ["Trained", "Best quality", *columns],
        "rows": [
            (
                name,
                look(run),
                [trained(run), described(run.best) if run.best else "", *(own.get(k, "") for k in columns)],
            )
            for name, run, own in zip(names, runs, flat, strict=True)
        ],
    }


def _flat(config: Mapping[str, Any], before: str = "") -> Iterable[tuple[str, str]]:
    for name, value in config.items():
        if isinstance(value, Mapping) and not before:
            yield from _flat(value, f"{name}.")
        else:
            yield before + name, str(value)


def _number(value: object) -> str:
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
