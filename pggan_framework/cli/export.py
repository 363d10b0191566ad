"""``pggan export RUN OUT``: a trained generator for other programs."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pggan_framework.cli.outputs import out_file
from pggan_framework.cli.parser import Parser
from pggan_framework.errors import UserError
from pggan_framework.runs import find_checkpoint

if TYPE_CHECKING:
    from pggan_framework.exporting import Format

ENDINGS: dict[Format, str] = {"safetensors": ".safetensors", "torch": ".pt2", "onnx": ".onnx"}
EXAMPLES = """examples:
  pggan export latest piano.safetensors
  pggan export results/007-piano piano.pt2 --format torch
  pggan export results/007-piano piano.onnx --format onnx --weights ema

A JSON file beside OUT, piano.onnx.json, says what the file is: shapes, labels, codec. safetensors has weights, of all
depths. torch and onnx are programs, latents -> pictures in [-1, 1], for any number at a time.
"""


def run(argv: Sequence[str]) -> int:
    """Run ``pggan export`` with the words that follow it; returns the exit status.

    Raises:
        UserError: if something given is not usable; nothing is left behind then.
    """
    try:
        given = _parser().parse_args(list(argv))
    except SystemExit as stop:  # -h has printed the help
        return int(stop.code or 0)
    out: Path = given.out
    by_ending = {ending: name for name, ending in ENDINGS.items()}
    format: Format | None = given.format or by_ending.get(out.suffix)
    if format is None or out.suffix != ENDINGS[format]:
        allowed = ENDINGS.values() if format is None else [ENDINGS[format]]
        what = "" if format is None else f" with --format {format}"
        raise UserError(f"{out} is given{what}; allowed: a file that ends in {', '.join(allowed)}")
    _, checkpoint = find_checkpoint(given.model, Path(given.result_dir))
    from pggan_framework.cli.threads import share_cores

    share_cores()
    from pggan_framework.exporting import check_packages, export
    from pggan_framework.pretrained import load_generator

    check_packages(format)
    about = out.with_name(f"{out.name}.json")
    with out_file(out, about) as (path, sidecar):
        model = load_generator(checkpoint, given.weights)
        if given.depth is not None:
            model = model.at_depth(given.depth)
        found = export(model, path, sidecar, format, given.weights)
    shape = "x".join(map(str, model.growth.shape_at(model.generator.depth)))
    same = "" if format == "safetensors" else f"; run again, its pictures differ by at most {found.difference:.1e}"
    print(f"{', '.join(found.inputs)} -> pictures {shape}, depth {model.generator.depth}{same}")
    print(f"written to {out}, {about}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="pggan export",
        description="A trained generator for other programs: its weights, or a program that makes its pictures.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("model", metavar="RUN", help="a run's folder (its last checkpoint), a checkpoint, or latest")
    add("out", type=Path, metavar="OUT", help="a new file; its ending is that of the format")
    add("--format", choices=tuple(ENDINGS), help="safetensors, torch (.pt2) or onnx; by default what OUT ends in")
    add("--weights", choices=("ema", "raw"), default="ema", help="the averaged generator, or the one trained; ema")
    add("--depth", type=int, metavar="N", help="the depth of its pictures; the deepest that is trained")
    add("--result_dir", default="results", metavar="DIR", help="where latest looks; results")
    add("--debug", action="store_true", help="show the traceback of an error")
    return parser
