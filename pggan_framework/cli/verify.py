"""``pggan verify RUN``: recomputes a stretch of a run and compares the bits."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

from pggan_framework.cli.parser import Parser
from pggan_framework.runs.folders import find_folder

EXAMPLES = """examples:
  pggan verify latest
  pggan verify results/007-piano --all
  pggan verify results/007-piano --from_start --device cpu
"""
SHOWN = 5
"""Values that differ and are printed."""


def run(argv: Sequence[str]) -> int:
    """Run ``pggan verify`` with the words that follow it; returns 0 where all bits are equal, 1 where not.

    Raises:
        UserError: if there is no such run, or it cannot be recomputed.
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
        outcome = "equal bit for bit" if not result.differences else f"{len(result.differences)} values differ"
        print(f"{stretch}: recomputed in {result.seconds:.0f} s, {result.tensors} tensors compared: {outcome}")
        for text in result.differences[:SHOWN]:
            print(f"  {text}")
    return 0 if equal else 1


def _parser() -> Parser:
    parser = Parser(
        "verify",
        "Recompute a random stretch between two checkpoints of a run, and compare weights, EMA and optimizers bit for\n"
        "bit: whether code, data and machine still do what they did.",
        EXAMPLES,
    )
    add = parser.add_argument
    add("run", metavar="RUN", help="a run's folder, or latest, the last one")
    add("--all", action="store_true", help="every stretch, one after the other")
    add("--from_start", action="store_true", help="also the stretch before the first checkpoint")
    add("--seed", type=int, metavar="N", help="chooses the stretch; another one each time by default")
    add("--device", metavar="NAME", help="auto, cpu, cuda or cuda:1; the run's by default")
    add("--result_dir", default="results", metavar="DIR", help="where latest looks; results")
    add("--debug", action="store_true", help="show the traceback of an error")
    return parser
