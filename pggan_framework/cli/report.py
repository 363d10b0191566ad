"""``pggan report RUN...``: write one or several runs as a single HTML page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pggan_framework.cli.outputs import out_file
from pggan_framework.cli.parser import Parser
from pggan_framework.errors import UserError
from pggan_framework.runs.folders import find_folder
from pggan_framework.storage.atomic import atomic_path
from pggan_framework.storage.names import write_text

EXAMPLES = """examples:
  pggan report latest
  pggan report results/007-piano --sheets 30
  pggan report results/005-cats results/006-cats --out compare.html

The page is a single file without external resources. The run may still be training. Runs that differ only in
random_seed are drawn as their mean, with a band from the lowest to the highest value.
"""


def run(argv: Sequence[str]) -> int:
    """Run ``pggan report`` with its arguments; returns the exit status.

    Raises:
        UserError: if an argument is not a run, or the page cannot be written.
    """
    given = _parser().parse_args(list(argv))
    for flag in ("sheets", "sounds"):
        if getattr(given, flag) < 0:
            raise UserError(f"--{flag} is {getattr(given, flag)}; allowed: 0 and up")
    folders = [find_folder(name, Path(given.result_dir)) for name in given.runs]
    if len(folders) > 1 and given.out is None:
        raise UserError(f"--out is missing: give the file for the page of the {len(folders)} runs")
    from pggan_framework.reporting.page import render
    from pggan_framework.reporting.run import REPORT, Run

    page = render([Run(folder) for folder in folders], given.sheets, given.sounds)
    if given.out is not None:
        with out_file(given.out) as (path,):
            write_text(path, page)
    else:
        given.out = folders[0] / REPORT
        try:
            with atomic_path(given.out) as path:  # replaces an older page
                write_text(path, page)
        except OSError as error:
            raise UserError(f"cannot write {given.out}: {error.strerror or error}; give --out FILE") from error
    print(f"written to {given.out}")
    return 0


def _parser() -> Parser:
    parser = Parser("report", "Write one or several runs as a single HTML page.", EXAMPLES)
    add = parser.add_argument
    add("runs", nargs="+", metavar="RUN", help="a run's folder, or latest")
    add("--out", type=Path, metavar="FILE", help="output file (default: report.html in the run's folder; overwritten)")
    add(
        "--sheets",
        type=int,
        default=12,
        metavar="N",
        help="largest number of moments whose samples are shown (default: 12)",
    )
    add("--sounds", type=int, default=64, metavar="N", help="largest number of sounds per moment (default: 64)")
    add(
        "--result_dir",
        default="results",
        metavar="DIR",
        help="folder in which latest finds the newest run (default: results)",
    )
    add("--debug", action="store_true", help="show the traceback of an error")
    return parser
