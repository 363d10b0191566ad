"""The card of an exported model, with description, usage and measurements from its checkpoint."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pggan_framework import __version__
from pggan_framework.models.details import Details

Figures = dict[str, tuple[float, float]]
"""Metric name -> the value of the model, and its real-vs-real baseline."""
NAMED = 20
"""Largest number of a label's values that are listed."""
_OF_A_LINE = ("n", "seed")

_PICTURES = """from PIL import Image

from pggan_framework.models.pretrained import Pretrained

model = Pretrained.from_folder(".")  # this folder; from the Hub: Pretrained.from_hub("user/name")
images = model.sample(4, seed=0)  # float32 {shape} in [-1, 1]
pixels = ((images + 1) * 127.5).round().astype("uint8")
Image.fromarray(pixels[0]{as_image}).save("picture.png")
"""
_SOUNDS = """import soundfile

from pggan_framework.models.pretrained import Pretrained

model = Pretrained.from_folder(".")  # this folder; from the Hub: Pretrained.from_hub("user/name")
images = model.sample(4, seed=0)  # spectrograms, float32 {shape} in [-1, 1]
waves = model.decode(images)
soundfile.write("sound.wav", waves[0].T, model.codec.sample_rate)
"""
_LABELLED = """
label = model.label_space.find({values})
images = model.sample(4, seed=0, labels=label[None].repeat(4, axis=0))
"""


def read_figures(path: Path, checkpoint: str, nimg: int) -> tuple[Figures, dict[str, Any]]:
    """The results of ``pggan evaluate`` for a checkpoint, with the settings of the measurement.

    Args:
        path: path of metrics.jsonl, which may be missing. Lines that are not measurements of this checkpoint are
            skipped.
        checkpoint: file name of the checkpoint.
        nimg: number of images that it was trained on; a line with another number belongs to an older file of this name.

    Returns:
        The newest value of each metric, and the settings in the last line.
    """
    figures: Figures = {}
    settings: dict[str, Any] = {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return figures, settings
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if not isinstance(entry, dict) or (entry.get("checkpoint"), entry.get("nimg")) != (checkpoint, nimg):
            continue
        numbers = {name: value for name, value in entry.items() if isinstance(value, int | float)}
        figures |= {name: (numbers[name], numbers[f"{name}.floor"]) for name in numbers if f"{name}.floor" in numbers}
        settings = {name: numbers[name] for name in _OF_A_LINE if name in numbers}
    return figures, settings


def write_card(
    details: Details,
    name: str,
    license: str | None,
    figures: Figures,
    settings: Mapping[str, Any],
    files: Sequence[str],
    builtin: bool = True,
) -> str:
    """The text of README.md, with metadata for the Hugging Face Hub.

    Sounds have no ``pipeline_tag``, since the Hub has no task of unconditional sound generation.

    Args:
        details: description of the checkpoint, from `details.describe_file`.
        name: title of the card.
        license: the Hub's name of the licence (mit, cc-by-4.0); None if unknown.
        figures: measured values.
        settings: settings of the measurement.
        files: sound files next to the card.
        builtin: whether the generator's class is part of this package.
    """
    sound = details["codec"] is not None
    kind = "sounds" if sound else "images"
    tags = [
        "gan",
        "progressive-growing",
        "pytorch",
        *(["audio", "audio-generation"] if sound else ["image-generation"]),
    ]
    head = [f"license: {license or 'other'}", "library_name: pggan_framework"]
    head += [] if sound else ["pipeline_tag: unconditional-image-generation"]
    head += ["tags:", *(f"- {tag}" for tag in tags)]
    shape = details["shape_at_depth"]
    first = (
        f"A generator of {kind}, trained with pggan_framework {__version__}:"
        f" {'spectrograms' if sound else 'images'} of {_by(shape)} (channels, height, width), after"
        f" {details['kimg']:g} thousand real ones shown."
    )
    parts = ["---", *head, "---", "", f"# {name}", "", first, "", "![samples](samples.png)", ""]
    if files:
        parts += [*(f"[{file}]({file})" for file in files), ""]
    parts += [
        "## Use",
        "",
        "Install pggan_framework, and in this folder run",
        "",
        "```python",
        _code(details),
        "```",
        "",
    ]
    if not builtin:
        parts += [f"The generator, {details['generator']}, is user-defined: its file must be in `plugins/`.", ""]
    parts += ["Or without any code: `pggan generate . --count 16 --out samples`.", "", "## What it is", ""]
    parts += _table(("", ""), _facts(details)) + [""]
    if details["labels"]:
        parts += ["## Labels", "", *_labels(details["labels"]), ""]
    if figures:
        parts += ["## Metrics", "", _measured(settings), ""]
        rows = [(key, f"{value:.4g}", f"{floor:.4g}") for key, (value, floor) in figures.items()]
        parts += [*_table(("", "model", "floor"), rows), ""]
    parts += ["## Licence", "", _licence(license), ""]
    return "\n".join(parts)


def _code(details: Details) -> str:
    """Python code that generates samples when it runs in the model's folder."""
    shape = "[4, " + ", ".join(map(str, details["shape_at_depth"])) + "]"
    if details["codec"] is not None:
        text = _SOUNDS.format(shape=shape)
    else:
        channels = details["shape_at_depth"][0]
        text = _PICTURES.format(shape=shape, as_image=".transpose(1, 2, 0)" if channels in (3, 4) else "[0]")
    labels = details["labels"] or []
    if labels and "maps" not in labels[0]:
        values = {
            entry["name"]: entry["span"][0] if "span" in entry else next(iter(entry["values"])) for entry in labels
        }
        text += _LABELLED.format(values=json.dumps(values, ensure_ascii=False))
    return text.rstrip()


def _facts(details: Details) -> list[tuple[str, str]]:
    fading = f", fading in at alpha {details['alpha']:.2f}" if details["alpha"] < 1 else ""
    rows = [
        ("generator", f"{details['generator']}, {details['generator_parameters']:,} parameters"),
        ("shape at full depth", _by(details["shape"])),
        ("trained to", f"depth {details['depth']} of {details['max_depth']}, {_by(details['shape_at_depth'])}{fading}"),
        ("trained on", f"{details['kimg']:g} kimg ({details['nimg']} images)"),
        ("loss", ", ".join([details["loss"], *details["penalties"]])),
        ("schedule", details["schedule"]),
        ("augmentations", ", ".join(details["augmentations"]) or "none"),
        ("data", f"{details['dataset']}, fingerprint {details['data_fingerprint']}{_counted(details['labels'])}"),
    ]
    for entry in details.get("origin", []):
        layers = ", ".join(f"{what} {count}" for what, count in entry["layers"].items())
        rows.append(("grown from", f"{_grown(entry)}: layers {layers}"))
    codec = details["codec"]
    if codec is not None:
        values = ", ".join(f"{key} {value}" for key, value in codec["parameters"].items())
        rows.append(("codec", f"{codec['name']}: {values}"))
    return rows


def _grown(entry: Mapping[str, Any]) -> str:
    return f"{entry['model']}, {entry['shape']}, {entry['nimg'] / 1000:g} kimg"


def _counted(labels: Sequence[Mapping[str, Any]] | None) -> str:
    """The counts of a label's values, as text, if they are known."""
    counts = [sum(entry["values"].values()) for entry in labels or [] if "values" in entry]
    return f", {counts[0]} labelled ones" if counts else ""


def _labels(labels: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = []
    for entry in labels:
        if "maps" in entry:
            lines.append(f"- a map, for every pixel one of {', '.join(entry['classes'])}")
        elif "span" in entry:
            lines.append(f"- `{entry['name']}`: a number from {entry['span'][0]:g} to {entry['span'][1]:g}")
        else:
            named = [f"{value} ({count})" for value, count in list(entry["values"].items())[:NAMED]]
            rest = len(entry["values"]) - len(named)
            lines.append(f"- `{entry['name']}`: {', '.join(named)}" + (f" and {rest} more" if rest else ""))
    return lines


def _measured(settings: Mapping[str, Any]) -> str:
    n = f" on {settings['n']:g} samples a side" if "n" in settings else ""
    seed = f", seed {settings['seed']:g}" if "seed" in settings else ""
    return f"By `pggan evaluate`{n}{seed}. The real-vs-real baseline is the value for other real data."


def _licence(license: str | None) -> str:
    if license is None:
        return "Nobody said when the model was exported. Ask its author before you use it; the data have terms as well."
    return f"{license}, by its author. The training data may have their own terms."


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]


def _by(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))
