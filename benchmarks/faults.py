"""Interrupt runs many times: each must end bit for bit equal to an uninterrupted run.

    python benchmarks/faults.py --kills 300 --trials 5 --seed 1 --out faults.json

The script first runs chains of kills, then the other kinds of faults in turn, until all trials are complete or the time
limit is reached. The table and the file contain only trials that were run.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import sys
import time
import traceback
from collections import Counter
from pathlib import Path
from tempfile import mkdtemp

sys.path[:0] = [str(Path(__file__).parents[1] / "tests")]

from fault_kinds import KINDS, NEED_ROOT, Kind, chain  # type: ignore[import-not-found]  # noqa: E402
from fault_runs import Harness, HungError, harness  # type: ignore[import-not-found]  # noqa: E402

CHAIN = 5


def main() -> None:
    """Run all trials and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=300, help="number of SIGKILLs in chains (default: %(default)s)")
    parser.add_argument("--trials", type=int, default=5, help="number of trials per other kind (default: %(default)s)")
    parser.add_argument("--minutes", type=float, default=1e9, help="time in minutes after which no trial starts")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", help="comma-separated parts of the names of kinds to run")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    end = time.monotonic() + given.minutes * 60
    kinds = {name: kind for name, kind in KINDS.items() if os.geteuid() == 0 or name not in NEED_ROOT}
    plan = [("chain of kills", chain)] * (given.kills // CHAIN)
    plan += [pair for _ in range(given.trials) for pair in kinds.items()]
    plan = [
        (name, kind) for name, kind in plan if not given.only or any(part in name for part in given.only.split(","))
    ]
    trials, bad, attempts, found = Counter[str](), Counter[str](), Counter[str](), list[dict[str, object]]()
    folder = Path(mkdtemp(prefix="pggan-faults-"))
    with harness(folder) as broken:
        broken.oracle()
        for number, (name, kind) in enumerate(plan):
            if time.monotonic() > end:
                break
            place, before = folder / f"trial{number}", broken.attempts
            wrong = _judged(broken, kind, place, random.Random(given.seed * 10**6 + number))
            trials[name] += 1
            attempts[name] += broken.attempts - before
            if wrong:
                bad[name] += 1
                found.append({"kind": name, "number": number, "wrong": wrong})
                print(f"{name}, trial {number}: {wrong}", flush=True)
            else:
                shutil.rmtree(place, ignore_errors=True)
            _write(given.out, trials, bad, attempts, found)
    for name, count in trials.items():
        print(f"{name:<28} {count:>5} trials {attempts[name]:>5} starts {bad[name]:>4} wrong")
    if not found:
        shutil.rmtree(folder)


def _judged(broken: Harness, kind: Kind, place: Path, draw: random.Random) -> list[str]:
    try:
        wrong: list[str] = kind(broken, place, draw)
        return wrong
    except HungError as error:
        return [f"hung: {error}"]
    except Exception:
        return [f"the harness failed: {traceback.format_exc()}"]


def _write(
    out: Path | None, trials: Counter[str], bad: Counter[str], attempts: Counter[str], found: list[dict[str, object]]
) -> None:
    if out is not None:
        rows = {name: {"trials": trials[name], "starts": attempts[name], "wrong": bad[name]} for name in trials}
        out.write_text(json.dumps({"kinds": rows, "found": found}, indent=2) + "\n")


if __name__ == "__main__":
    main()
