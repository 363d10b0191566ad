"""``pggan export RUN OUT``: export a trained generator for other programs."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pggan_framework.cli.checkpoint_arguments import add_depth, add_weights, checkpoint_parser, load_model
from pggan_framework.cli.outputs import out_file, out_folder
from pggan_framework.cli.parser import Parser
from pggan_framework.errors import UserError
from pggan_framework.runs.folders import find_checkpoint

if TYPE_CHECKING:
    from pggan_framework.models.exporting import Format

ENDINGS: dict[Format, str] = {"safetensors": ".safetensors", "torch": ".pt2", "onnx": ".onnx"}
FOLDER: Literal["huggingface"] = "huggingface"
EXAMPLES = """examples:
  pggan export latest piano.safetensors
  pggan export results/007-piano piano.pt2 --format torch
  pggan export results/007-piano piano.onnx --format onnx --weights ema
  pggan export results/007-piano piano_model --format huggingface --license cc-by-4.0

The JSON file next to OUT, such as piano.onnx.json, describes it: shapes, labels, codec. safetensors stores the
weights of all depths. torch and onnx are programs: latents -> images in [-1, 1], with any batch size. huggingface is a
folder:
weights, config.json, samples, and a model card generated from the checkpoint.
"""


def run(argv: Sequence[str]) -> int:
    """Run ``pggan export`` with its arguments; returns the exit status.

    Raises:
        UserError: if an argument is invalid; no files are left behind.
    """
    given = _parser().parse_args(list(argv))
    format = _format(given)
    folder, checkpoint = find_checkpoint(given.model, Path(given.result_dir))
    from pggan_framework.cli.threads import share_cores

    share_cores()
    if format == FOLDER:
        _export_folder(given, folder, checkpoint)
    else:
        _export_file(given, format, checkpoint)
    return 0


def _parser() -> Parser:
    what = "Export a trained generator: its weights, a program that generates images, or a model folder."
    parser = checkpoint_parser("export", what, EXAMPLES)
    add = parser.add_argument
    add("out", type=Path, metavar="OUT", help="new file with the extension of the format, or new folder")
    add(
        "--format",
        choices=(*ENDINGS, FOLDER),
        help="output format: safetensors, torch (.pt2), onnx or huggingface (default: from OUT's extension)",
    )
    add_weights(parser)
    add_depth(parser)
    add("--name", metavar="TITLE", help="--format huggingface: title of the model card (default: the run's name)")
    add("--license", metavar="NAME", help="--format huggingface: licence by its Hub name, such as mit (default: other)")
    return parser


def _format(given: argparse.Namespace) -> Format | Literal["huggingface"]:
    """Return the format, after checking that OUT and the flags match it."""
    if given.format == FOLDER:
        if given.out.suffix in ENDINGS.values():
            raise UserError(f"{given.out} is given with --format {FOLDER}; allowed: a new folder")
        from pggan_framework.generate.model_folder import check_license

        check_license(given.license)
        return FOLDER
    for flag in ("name", "license"):
        if getattr(given, flag) is not None:
            raise UserError(f"--{flag} is given without --format {FOLDER}, the only format that uses it")
    by_ending = {ending: name for name, ending in ENDINGS.items()}
    format: Format | None = given.format or by_ending.get(given.out.suffix)
    if format is None or given.out.suffix != ENDINGS[format]:
        allowed = ENDINGS.values() if format is None else [ENDINGS[format]]
        what = "" if format is None else f" with --format {format}"
        also = f", or a folder with --format {FOLDER}" if format is None else ""
        raise UserError(f"{given.out} is given{what}; allowed: a file that ends in {', '.join(allowed)}{also}")
    return format


def _export_file(given: argparse.Namespace, format: Format, checkpoint: Path) -> None:
    from pggan_framework.models.exporting import check_packages, export

    check_packages(format)
    about = given.out.with_name(f"{given.out.name}.json")
    with out_file(given.out, about) as (path, sidecar):
        model = load_model(given, checkpoint)
        found = export(model, path, sidecar, format)
    shape = "x".join(map(str, model.growth.shape_at(model.generator.depth)))
    same = "" if format == "safetensors" else f"; run again, its images differ by at most {found.difference:.1e}"
    print(f"{', '.join(found.inputs)} -> images {shape}, depth {model.generator.depth}{same}")
    print(f"written to {given.out}, {about}")


def _export_folder(given: argparse.Namespace, run_folder: Path, checkpoint: Path) -> None:
    from pggan_framework.generate.model_folder import write_model_folder
    from pggan_framework.models.exporting import check_packages

    check_packages("safetensors")
    with out_folder(given.out, run_folder) as (out, folder):
        written = write_model_folder(load_model(given, checkpoint), checkpoint, folder, given.name, given.license)
    print(f"{', '.join(written)}\nwritten to {out}")
    if given.license is None:
        print("its card says 'license: other'; --license NAME states one")
