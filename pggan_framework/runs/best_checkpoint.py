"""The checkpoint with the best measured quality: where a run stores it, and when commands use it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pggan_framework.storage.limits import parse_json, read_text

BEST = "network-best.pt"
"""Name of the checkpoint with the best samples, which is next to the snapshots."""
BEST_FACTS = "network-best.json"
"""Name of the file with the deciding measurement: metric, value, nimg, depth, alpha, n, seed, data."""
QUALITY = "QualityMonitor"
"""Value of ``by`` in the lines that this plugin writes to metrics.jsonl."""
MOST = 1 << 20
"""Largest size in bytes of the file with the measurement."""
MUCH = 1.5
"""A distance of more than this many times the best distance is much worse; smaller differences may be chance."""
_METRICS = {"sound.frechet": "Fréchet distance", "picture.swd.average": "sliced Wasserstein distance"}


def read_best(folder: Path) -> dict[str, Any] | None:
    """Return the measurement of the best checkpoint in `folder`; None if there is no such checkpoint."""
    try:
        facts = parse_json(read_text(folder / BEST_FACTS, MOST))
    except (OSError, ValueError):
        return None
    return facts if is_measurement(facts, "depth", "alpha", "value") and (folder / BEST).is_file() else None


def is_measurement(facts: object, *numbers: str) -> bool:
    """True if a line is a measurement with the name of a metric and numbers."""
    if not isinstance(facts, dict) or not isinstance(facts.get("metric"), str):
        return False
    values = [facts.get(name) for name in ("nimg", *numbers)]
    sound = all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values)
    return sound and isinstance(facts.get("value"), (int, float, type(None)))


def last_measured(run: Path) -> dict[str, Any] | None:
    """Return the last measurement of a run's samples in metrics.jsonl; None if there is none."""
    try:
        lines = (run / "metrics.jsonl").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    for line in reversed(lines):
        try:
            facts = parse_json(line)
        except ValueError:
            continue
        if is_measurement(facts) and facts.get("by") == QUALITY:
            return dict(facts)
    return None


def described(facts: Mapping[str, Any]) -> str:
    """Format the distance of a measurement, for example ``Fréchet distance 41.2``."""
    value = facts.get("value")
    if value is None:
        return "no finite samples"
    return f"{_METRICS.get(facts['metric'], facts['metric'])} {value:.4g}"


def much_worse(best: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """True if `other` is clearly worse than the best measurement."""
    return other.get("value") is None or bool(other["value"] > MUCH * best["value"])


def use_best(run: Path, folder: Path, snapshot: Path) -> tuple[Path, str]:
    """Return the checkpoint that commands use for a run, and an explanation, which is empty for the last snapshot.

    Args:
        run: folder of the run.
        folder: folder of its checkpoints.
        snapshot: last snapshot of the run.
    """
    best, last = read_best(folder), last_measured(run)
    if best is None or (last is not None and last.get("nimg") == best["nimg"]):
        return snapshot, ""
    there = "" if last is None else f"; the last measured state, {last['nimg'] / 1000:.1f} kimg, has {described(last)}"
    return folder / BEST, (
        f"using {BEST}: {described(best)} at {best['nimg'] / 1000:.1f} kimg{there};"
        f" to use another checkpoint, give its file, such as {snapshot}"
    )
