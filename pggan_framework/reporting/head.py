"""The head of a report: status, length, data, size and quality of a run as text, and the command to resume it."""

from __future__ import annotations

import shlex
from typing import Any

from pggan_framework.loggers.terminal import duration
from pggan_framework.metrics.verdict import judge
from pggan_framework.reporting.run import Run
from pggan_framework.runs.best_checkpoint import BEST, QUALITY, described, much_worse

_STATUS = {
    "running": "has not ended yet, or was killed",
    "finished": "finished",
    "interrupted": "interrupted, can be resumed",
    "failed": "failed; see the last lines of log.txt",
}


def facts_of(run: Run) -> list[tuple[str, str]]:
    """Return (name, text) of the main facts; unknown facts are omitted."""
    rows = [
        ("Status", _STATUS.get(run.status, "")),
        ("Trained", trained(run)),
        ("Data", str(run.state.get("data", ""))),
    ]
    parameters = run.state.get("parameters")
    if isinstance(parameters, dict):
        counted = [f"{name} {count:,}" for name, count in parameters.items() if isinstance(count, int)]
        rows.append(("Parameters", ", ".join(counted)))
    rows += zip(("Quality", "Last checkpoint"), quality(run), strict=False)
    if "date" in run.environment:
        place = run.environment.get("device", "")
        rows.append(("Started", run.environment["date"].replace("T", " ") + (f", on {place}" if place else "")))
    return [(name, text) for name, text in rows if text]


def trained(run: Run) -> str:
    """Format the training length of a run: ``40 of 120 kimg in 2h 05m 00s, depth 5 (64x64)``."""
    if not run.ticks:
        return "no tick yet"
    last = run.ticks[-1]
    total = total_kimg(run)
    text = f"{last['kimg']:.4g}" + (f" of {total:g}" if total is not None else "") + " kimg"
    if isinstance(last.get("time"), (int, float)):
        text += f" in {duration(last['time'])}"
    if "depth" in last:
        fading = last.get("alpha", 1)
        text += f", depth {last['depth']:.0f}" + (f", fading in at alpha {fading:.2f}" if fading < 1 else "")
    return text


def total_kimg(run: Run) -> float | None:
    """Return the length of a run in kimg; None if a clock ends it."""
    if run.state:
        total = run.state.get("total_kimg")
    else:  # an earlier version: a run with minutes also has a default total_kimg
        total = None if run.config.get("minutes") else run.config.get("total_kimg")
    return float(total) if isinstance(total, (int, float)) else None


def resume_command(run: Run) -> str:
    """Return the command that continues the training of a run."""
    words = f"pggan train --resume {shlex.quote(str(run.path))}"
    total, last = total_kimg(run), run.ticks[-1]["kimg"] if run.ticks else 0
    return words if total is not None and last < total and not run.config.get("minutes") else f"{words} --minutes 10"


def quality(run: Run) -> list[str]:
    """Describe the best measurement of samples and compare the last one with it if it is later; [] if there is none."""
    measured = [each for each in run.evaluations if each.get("by") == QUALITY]
    if not measured:
        return []
    last, best = measured[-1], run.best
    if best is None or best["nimg"] == last["nimg"]:
        return [f"{judge(last).line} (at {_kimg(last)})"]
    at_best = next((each for each in measured if each["nimg"] == best["nimg"]), None)
    worse = ", much worse" if much_worse(best, last) else ""
    return [
        f"{judge(at_best).line if at_best else described(best)} (best checkpoint, {BEST}, at {_kimg(best)})",
        f"{described(last)} at {_kimg(last)}{worse}; the best checkpoint has {described(best)}",
    ]


def _kimg(measurement: dict[str, Any]) -> str:
    return f"{measurement['nimg'] / 1000:.4g} kimg"
