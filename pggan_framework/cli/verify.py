"""``pggan verify RUN``: recompute part of a run and compare it bitwise."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

from pggan_framework.cli.parser import Parser
from pggan_framework.errors import plural
from pggan_framework.runs.folders import find_folder

EXAMPLES = """examples:
  pggan verify latest
  pggan verify results/007-piano --all
  pggan verify results/007-piano --from_start --device cpu
"""
SHOWN = 5
"""Largest number of differing values to print."""


def run(argv: Sequence[str]) -> int:
    """Run ``pggan verify`` with its arguments; returns 0 if all results are bitwise equal, else 1.

    Raises:
        UserError: if the run does not exist, or cannot be recomputed.
    """
    given = _parser().parse_args(list(argv))
    folder = find_folder(given.run, Path(given.result_dir))
    from pggan_framework.launch.verify import stretches, verify

    found = stretches(folder, given.from_start)
    chosen = found if given.all else [random.Random(given.seed).choice(found)]
    equal = True
    for first, last in chosen:
        result = verify(first, last, given.device)
        equal &= not result.differences
        stretch = f"{result.first / 1000:g} to {result.last / 1000:g} kimg"
        wrong = len(result.differences)
        outcome = f"{plural(wrong, 'value')} differ{'s' * (wrong == 1)}" if wrong else "equal bit for bit"
        print(f"{stretch}: recomputed in {result.seconds:.0f} s, {result.tensors} tensors compared: {outcome}")
        for text in result.differences[:SHOWN]:
            print(f"  {text}")
    return 0 if equal else 1


def _parser() -> Parser:
    parser = Parser(
        "verify",
        "Recompute a random interval between two checkpoints of a run, and compare weights, EMA and optimizers\n"
        "bit for bit: equality proves that code, data and machine still give the same results.",
        EXAMPLES,
    )
    add = parser.add_argument
    add("run", metavar="RUN", help="a run's folder, or latest")
    add("--all", action="store_true", help="verify all intervals between checkpoints")
    add("--from_start", action="store_true", help="also verify the interval before the first checkpoint")
    add("--seed", type=int, metavar="N", help="random seed that selects the interval (default: varies)")
    add("--device", metavar="NAME", help="device to use: auto, cpu, cuda or cuda:1 (default: the run's)")
    add(
        "--result_dir",
        default="results",
        metavar="DIR",
        help="folder in which latest finds the newest run (default: results)",
    )
    add("--debug", action="store_true", help="show the traceback of an error")
    return parser
