"""``pggan info FILE``: what a checkpoint or a file of data is."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pggan_framework.cli.parser import Parser
from pggan_framework.runs import find_checkpoint

EXAMPLES = """examples:
  pggan info latest
  pggan info results/007-piano
  pggan info results/007-piano/network-snapshot-000120.pt --json
  pggan info datasets/faces.h5
"""
MOST_VALUES = 12
"""Values of a label that are shown; --json has all."""


def run(argv: Sequence[str]) -> int:
    """Run ``pggan info`` with the words that follow it; returns the exit status.

    Raises:
        UserError: if the file is neither a checkpoint nor a file of data.
    """
    try:
        given = _parser().parse_args(list(argv))
    except SystemExit as stop:  # -h has printed the help
        return int(stop.code or 0)
    path = Path(given.file)
    if not path.is_file():
        _, path = find_checkpoint(given.file, Path(given.result_dir))
    from pggan_framework.details import describe_file

    details = describe_file(path)
    print(json.dumps(details, indent=2) if given.json else "\n".join(_lines(details)))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="pggan info",
        description="What a checkpoint, a run's last checkpoint, or an .h5 file of pictures is. Runs no code of it.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("file", metavar="FILE", help="a checkpoint, a run's folder, latest, or an .h5 file")
    add("--json", action="store_true", help="print it as JSON, complete")
    add("--result_dir", default="results", metavar="DIR", help="where latest looks; results")
    add("--debug", action="store_true", help="show the traceback of an error")
    return parser


def _lines(details: Mapping[str, Any]) -> list[str]:
    """The same for people."""
    version = details["format_version"]
    rows = [("file", details["file"]), ("what", details["kind"] + (f", format {version}" if version else ""))]
    rows += _of_checkpoint(details) if details["kind"] == "checkpoint" else _of_data(details)
    if details["labels"] is None:
        rows.append(("labels", "none"))
    for attribute in details["labels"] or []:
        rows.append((f"label {attribute['name']}", _attribute(attribute)))
    codec = details["codec"]
    if codec is not None:
        values = {**codec["parameters"], **codec["statistics"]}
        rows.append(
            ("codec", f"{codec['name']}: " + ", ".join(f"{key} {_short(value)}" for key, value in values.items()))
        )
    width = max(len(name) for name, _ in rows)
    return [f"{name:<{width}}  {text}" for name, text in rows]


def _of_checkpoint(details: Mapping[str, Any]) -> list[tuple[str, str]]:
    kimg, total = details["kimg"], details["total_kimg"]
    of = "" if total is None else f" of {total:g}"
    end = "" if total is None else ", finished" if kimg >= total else ", not finished"
    fade = f", fading in at alpha {details['alpha']:.2f}" if details["alpha"] < 1 else ""
    return [
        ("run", str(details["run"])),
        ("shape", f"{_by(details['shape'])} at full depth, {details['max_depth']}"),
        ("trained", f"depth {details['depth']}, {_by(details['shape_at_depth'])}{fade}"),
        ("stopped at", f"{kimg:g}{of} kimg ({details['nimg']} images), tick {details['tick']}{end}"),
        ("generator", f"{details['generator']}, {details['generator_parameters']:,} parameters"),
        ("discriminator", f"{details['discriminator']}, {details['discriminator_parameters']:,} parameters"),
        ("loss", details["loss"]),
        ("penalties", ", ".join(details["penalties"]) or "none"),
        ("augmentations", ", ".join(details["augmentations"]) or "none"),
        ("schedule", details["schedule"]),
        ("data", f"{details['dataset']}, fingerprint {details['data_fingerprint']}"),
    ]


def _of_data(details: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [
        ("pictures", f"{details['pictures']} of {_by(details['shape'])}, {details['dtype']}"),
        ("depths", f"0 to {details['max_depth']}"),
        ("stored", ", ".join(details["levels"])),
        ("fingerprint", details["data_fingerprint"]),
    ]


def _attribute(attribute: Mapping[str, Any]) -> str:
    if "maps" in attribute:
        return f"{attribute['maps']} maps of {len(attribute['classes'])} classes: {', '.join(attribute['classes'])}"
    if "span" in attribute:
        low, high = attribute["span"]
        return f"a number from {low:g} to {high:g}"
    values = [f"{value} ({count})" for value, count in attribute["values"].items()]
    shown = values if len(values) <= MOST_VALUES else [*values[: MOST_VALUES - 2], "...", values[-1]]
    return f"{len(values)} values: {', '.join(shown)}"


def _by(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))


def _short(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
