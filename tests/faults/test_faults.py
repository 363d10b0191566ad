"""The crash harness, in short: one fault of each kind that takes little time; benchmarks/faults.py has all, often."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fault_kinds import KINDS, chain
from fault_runs import Harness, collect, differences, harness, runs, train

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks, and fails system calls")
SHORT = (
    "SIGKILL at write",
    "ENOSPC at write",
    "EIO at rename",
    "SIGHUP",
    "nohup and SIGHUP",
    "dropped terminal",
    "closed pipe",
    "lost data worker",
    "flipped bit",
    "clock backwards",
)


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harness]:
    """The harness, whose uninterrupted run has been computed."""
    with harness(tmp_path_factory.mktemp("faults")) as made:
        made.oracle()
        if not made.counts:
            pytest.skip("there is no compiler for the failing file layer")
        yield made


@pytest.mark.parametrize("name", SHORT)
def test_after_a_fault_a_run_ends_as_if_nothing_had_been(broken: Harness, tmp_path: Path, name: str) -> None:
    assert KINDS[name](broken, tmp_path / "run", random.Random(name)) == []


def test_kills_in_a_row_lose_nothing(broken: Harness, tmp_path: Path) -> None:
    assert chain(broken, tmp_path / "run", random.Random(0), kills=4) == []


def test_the_oracle_notices_another_run(broken: Harness, tmp_path: Path) -> None:
    broken.launcher.start(train(tmp_path, "--random_seed", "2"), tmp_path)
    assert broken.launcher.end() == 0
    wrong = differences(collect(runs(tmp_path)[-1]), broken.oracle())
    assert {"stats.jsonl", "images/fakes_000000.png", ".networks.G.blocks.0.conv.weight"} <= set(wrong)
