"""``pggan branch RUN --set a=b --set c=d``: compare settings in short branches of a run."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from pggan_framework.errors import UserError

DESCRIPTION = """Continue one checkpoint several times for a short while: unchanged, and with each setting.
Continuations of one repeat draw the same batches, latents and noise, so they differ only in the settings. Each is
measured by the sliced Wasserstein distance of its samples from the data; differences have 95 % intervals."""
EXAMPLES = """examples:
  pggan branch results/007-piano --set G_lr_max=0.0005 --set EMA.half_life_kimg=1 --kimg 5
  pggan branch results/007-piano --set R1.weight=3 --repeats 5
"""


def run(argv: Sequence[str]) -> int:
    """Train and compare the branches; returns the exit status.

    Raises:
        UserError: if the run or a setting cannot be used.
    """
    given = _parser().parse_args(list(argv))
    if not given.kimg > 0 or given.repeats < 2 or given.count < 16:
        raise UserError(
            f"--kimg {given.kimg:g} --repeats {given.repeats} --count {given.count} is given; allowed: kimg above 0,"
            " 2 repeats or more, since a single repeat has no interval, and 16 samples or more"
        )
    from pggan_framework.cli.threads import share_cores
    from pggan_framework.launch.branch import branch, lines

    share_cores()
    found = branch(given.model, given.set, given.kimg, given.repeats, given.count, Path(given.result_dir))
    print("\n".join(lines(found)))
    return 0


def _parser() -> argparse.ArgumentParser:
    from pggan_framework.cli.checkpoint_arguments import checkpoint_parser

    parser = checkpoint_parser("branch", DESCRIPTION, EXAMPLES, "a run's folder, a checkpoint in it, or latest")
    add = parser.add_argument
    add("--set", action="append", required=True, metavar="FLAG=VALUE", help="setting to compare, repeatable")
    add("--kimg", type=float, default=5.0, help="length of each continuation in thousand images (default: 5)")
    add(
        "--repeats",
        type=int,
        default=3,
        help="continuations per setting, each with a different random seed (default: 3)",
    )
    add("--count", type=int, default=256, help="number of samples per measurement (default: 256)")
    return parser
