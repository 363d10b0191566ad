"""``pggan plan DIR``: the configuration that ``pggan train DIR`` would use, as an editable file."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from pggan_framework.errors import UserError
from pggan_framework.storage.names import write_text

DESCRIPTION = """Examine a folder of recordings or images, measure this machine for a few seconds, and choose a
configuration for the given time. 'pggan train DIR' makes the same choice and trains at once."""
EXAMPLES = """All training flags are accepted; the other settings are chosen to fit them.

examples:
  pggan plan datasets/piano
  pggan plan datasets/piano --minutes 30 -o piano.yaml
"""


def run(argv: Sequence[str]) -> int:
    """Print the plan and, with ``-o``, write it as YAML; returns the exit status.

    Raises:
        UserError: if the folder or a flag cannot be used, or the file exists.
    """
    parser = _parser()
    if "-h" in argv or "--help" in argv:
        sys.stdout.write(parser.format_help())
        return 0
    if not argv or argv[0].startswith("-"):
        raise UserError("plan needs a folder as its first argument: pggan plan datasets/piano --minutes 10")
    own, rest = parser.parse_known_args(list(argv[1:]))
    if own.out is not None and own.out.exists():
        raise UserError(f"-o {own.out} exists already; give a new file, or remove it first")
    from pggan_framework.cli.threads import share_cores
    from pggan_framework.config import resolve
    from pggan_framework.planning.command import plan_folder, with_given
    from pggan_framework.planning.text import as_yaml

    share_cores()
    choice = plan_folder(argv[0], rest)
    resolve(rest, base=choice.config)  # rejects the same input as training
    print("\n".join(choice.lines))
    if own.out is None:
        print(f"train with it: pggan train {' '.join(argv)}")
        return 0
    command = f"pggan train --config {own.out}"
    try:
        write_text(own.out, as_yaml(with_given(choice, rest), command))
    except OSError as error:
        raise UserError(f"cannot write {own.out}: {error.strerror}") from error
    print(f"written to {own.out}; train with it: {command}")
    return 0


def _parser() -> argparse.ArgumentParser:
    from pggan_framework.cli.parser import Parser

    parser = Parser(
        "plan",
        DESCRIPTION,
        EXAMPLES,
        usage="pggan plan DIR [--minutes M] [-o FILE.yaml] [--FLAG VALUE ...]",
        add_help=False,
    )
    parser.add_argument("-o", "--out", type=Path, metavar="FILE", help="new YAML file to write")
    return parser
