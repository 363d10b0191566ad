"""``pggan info FILE``: describe a checkpoint, an exported model or a data file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pggan_framework.cli.checkpoint_arguments import checkpoint_parser
from pggan_framework.cli.parser import Parser
from pggan_framework.errors import plural
from pggan_framework.runs.folders import find_checkpoint

EXAMPLES = """examples:
  pggan info latest
  pggan info results/007-piano
  pggan info results/007-piano/network-snapshot-000120.pt --json
  pggan info piano.safetensors
  pggan info datasets/faces.h5
"""
MOST_VALUES = 12
"""Largest number of printed values of a label; --json has all."""


def run(argv: Sequence[str]) -> int:
    """Run ``pggan info`` with its arguments; returns the exit status.

    Raises:
        UserError: if the file is not a checkpoint, an exported model or a data file.
    """
    given = _parser().parse_args(list(argv))
    path = Path(given.model)
    if not path.is_file():
        _, path = find_checkpoint(given.model, Path(given.result_dir))
    from pggan_framework.models.details import describe_file

    details = describe_file(path)
    print(json.dumps(details, indent=2) if given.json else "\n".join(_lines(details)))
    return 0


def _parser() -> Parser:
    parser = checkpoint_parser(
        "info",
        "Describe a checkpoint, an exported model or an .h5 file of images. Code in the file is never run.",
        EXAMPLES,
        "a checkpoint, a run's folder, an exported model, latest, or an .h5 file",
        "FILE",
    )
    parser.add_argument("--json", action="store_true", help="print complete JSON")
    return parser


def _lines(details: Mapping[str, Any]) -> list[str]:
    """Format the details as text."""
    version = details["format_version"]
    rows = [("file", details["file"]), ("what", details["kind"] + (f", format {version}" if version else ""))]
    kinds = {"checkpoint": _of_checkpoint, "exported model": _of_exported}
    rows += kinds.get(details["kind"], _of_data)(details)
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


def _of_exported(details: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [
        ("shape", f"{_by(details['shape'])} at full depth, {details['max_depth']}"),
        ("trained", f"depth {details['depth']}, {_by(details['shape_at_depth'])}"),
        ("stopped at", f"{details['kimg']:g} kimg ({details['nimg']} images)"),
        ("generator", f"{details['generator']}, {details['weights']} weights"),
    ]


def _of_checkpoint(details: Mapping[str, Any]) -> list[tuple[str, str]]:
    kimg, total = details["kimg"], details["total_kimg"]
    of = "" if total is None else f" of {total:g}"
    end = "" if total is None else ", finished" if kimg >= total else ", not finished"
    imported = details["imported"]
    if imported is not None:
        # Such a checkpoint has no information about the end of the schedule and the data.
        end, of = "", ""
    stop = f"{kimg:g}{of} kimg ({details['nimg']} images), tick {details['tick']}{end}"
    data = f"{details['dataset']}, fingerprint {details['data_fingerprint']}"
    fade = f", fading in at alpha {details['alpha']:.2f}" if details["alpha"] < 1 else ""
    return [
        ("run", str(details["run"])),
        *([] if imported is None else [("imported", f"from {imported['file']}, of {imported['system']}")]),
        ("shape", f"{_by(details['shape'])} at full depth, {details['max_depth']}"),
        ("trained", f"depth {details['depth']}, {_by(details['shape_at_depth'])}{fade}"),
        ("stopped at", stop if imported is None or imported["nimg_known"] else "unknown"),
        ("generator", f"{details['generator']}, {details['generator_parameters']:,} parameters"),
        ("discriminator", f"{details['discriminator']}, {details['discriminator_parameters']:,} parameters"),
        ("loss", details["loss"]),
        ("penalties", ", ".join(details["penalties"]) or "none"),
        ("augmentations", ", ".join(details["augmentations"]) or "none"),
        ("schedule", details["schedule"]),
        ("data", data if imported is None else "unknown"),
    ]


def _of_data(details: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [
        ("images", f"{details['images']} of {_by(details['shape'])}, {details['dtype']}"),
        ("depths", f"0 to {details['max_depth']}"),
        ("stored", ", ".join(details["levels"])),
        *([("shards", _shards(details["shards"], details["missing"]))] if "shards" in details else []),
        ("fingerprint", details["data_fingerprint"]),
    ]


def _shards(shards: Sequence[Mapping[str, Any]], missing: Sequence[str]) -> str:
    size = sum(shard["bytes"] for shard in shards)
    here = f"{len(missing)} of them missing: {_named(missing)}" if missing else "all present"
    return f"{_named([shard['file'] for shard in shards])}, {size / 1e9:.3g} GB in total; {here}"


def _named(files: Sequence[str]) -> str:
    return files[0] if len(files) == 1 else f"{files[0]} to {files[-1]}" if len(files) > 2 else " and ".join(files)


def _attribute(attribute: Mapping[str, Any]) -> str:
    if "maps" in attribute:
        classes = attribute["classes"]
        return f"{plural(attribute['maps'], 'map')} of {len(classes)} classes: {', '.join(classes)}"
    if "span" in attribute:
        low, high = attribute["span"]
        return f"a number from {low:g} to {high:g}"
    values = [f"{value} ({count})" for value, count in attribute["values"].items()]
    shown = values if len(values) <= MOST_VALUES else [*values[: MOST_VALUES - 2], "...", values[-1]]
    return f"{plural(len(values), 'value')}: {', '.join(shown)}"


def _by(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))


def _short(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
