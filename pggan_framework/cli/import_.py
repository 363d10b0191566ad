"""``pggan import FILE OUT.pt``: convert weights of other systems to a checkpoint."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from pggan_framework.cli.outputs import out_file
from pggan_framework.cli.parser import Parser
from pggan_framework.errors import UserError

EXAMPLES = """examples:
  pggan import karras2018iclr-celebahq-1024x1024.pkl celebahq.pt
  pggan import results/003-specs512/network-snapshot-generator-003000.dat piano.pt
  pggan import output_networks/celeba_s5_i96000.pt celeba.pt

For deepsound, FILE is the generator's file; the discriminator's file is found next to it by its name, or given by
--discriminator. OUT.yaml, written next to OUT.pt, is a config to train with:

  pggan train --config celeba.yaml --DefaultImageFolderDataset.dir_path datasets/faces
"""


def run(argv: Sequence[str]) -> int:
    """Run ``pggan import`` with its arguments; returns the exit status.

    Raises:
        UserError: if the file cannot be converted; no files are left behind.
    """
    given = _parser().parse_args(list(argv))
    out: Path = given.out
    if out.suffix != ".pt":
        raise UserError(f"{out} is given; allowed: a new file that ends in .pt")
    from pggan_framework.config.text import dump
    from pggan_framework.models.importing.convert import settings, write_checkpoint
    from pggan_framework.models.importing.detect import read_foreign

    config = out.with_suffix(".yaml")
    with out_file(out, config) as (path, text):
        model = read_foreign(given.file, given.discriminator)
        flags = settings(model, out)
        write_checkpoint(model, given.file, path, flags)
        text.write_text(dump(flags), encoding="utf-8")
    if model.D is None:
        print("note: there is no discriminator; training would start with a new one", file=sys.stderr)
    for note in model.notes:
        print(f"note: {note}", file=sys.stderr)
    shape = "x".join(map(str, model.shape))
    fade = f", fading in at alpha {model.alpha:.2f}" if model.alpha < 1 else ""
    kimg = "" if model.nimg is None else f", {model.nimg / 1000:g} kimg"
    print(f"{model.system}: {shape}, depth {model.depth}{fade}{kimg}")
    print(f"written to {out}, {config}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        "import",
        "Convert weights of the original PGGAN (.pkl), deepsound's pggan-pytorch (.dat) or the GAN zoo (.pt)"
        " to a checkpoint for all other commands. The file's code is never run.",
        EXAMPLES,
    )
    add = parser.add_argument
    add("file", type=Path, metavar="FILE", help="weights file of the other system")
    add("out", type=Path, metavar="OUT.pt", help="new checkpoint; OUT.yaml is written next to it")
    add("--discriminator", type=Path, metavar="FILE", help="deepsound's discriminator, if it is not next to FILE")
    add("--debug", action="store_true", help="show the traceback of an error")
    return parser
