"""benchmarks/fuzz.py: a few damaged files of every kind are read or refused in one line; what it looks for is found."""

from __future__ import annotations

import importlib.util
import re
import sys
import time
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from pggan_framework.errors import UserError

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(FOLDER.parent)
        spec = importlib.util.spec_from_file_location("benchmark_fuzz", FOLDER / "fuzz.py")
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules["benchmark_fuzz"] = module  # its dataclasses look their module up
        spec.loader.exec_module(module)
        return module


@pytest.mark.filterwarnings("ignore:Couldn't retrieve source code")
def test_no_input_is_a_traceback_a_crash_or_a_hang(script: ModuleType, tmp_path: Path) -> None:
    corpus, work = tmp_path / "corpus", tmp_path / "work"
    corpus.mkdir()
    work.mkdir()
    found = script.seeds(corpus)
    assert len(found) >= 27
    for kind, (reader, files) in found.items():
        script.check(reader, files, work)
        outcome = script.fuzz(kind, reader, files, range(3), 99, work)
        assert not outcome.faults, (kind, outcome.examples)
        assert outcome.read + outcome.refused == 3


def _dies(path: Path) -> None:
    import os
    import signal

    os.kill(os.getpid(), signal.SIGSEGV)


def _breaks(path: Path) -> None:
    raise KeyError(str(path))


def _takes_memory(path: Path) -> None:
    np.ones(40_000_000)


def _takes_time(path: Path) -> None:
    end = time.process_time() + 60
    while time.process_time() < end:
        pass


def _refuses(path: Path) -> None:
    raise UserError("one line")


@pytest.mark.parametrize(
    ("reader", "fault"),
    [
        (_dies, "died of signal 11"),
        (_breaks, "KeyError in test_fuzz.py"),
        (_takes_memory, "more than 1 GB"),
        (_takes_time, "more than 0.2 s"),
    ],
)
def test_what_it_looks_for_is_found(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reader: object, fault: str
) -> None:
    if reader is _takes_time:
        monkeypatch.setattr(script, "SECONDS", 0.2)
    if reader is _takes_memory:  # to fill a gigabyte takes seconds: less, above what a fork has of this process
        kilobytes = re.search(r"RssAnon:\s+(\d+)", Path("/proc/self/status").read_text())
        assert kilobytes is not None
        monkeypatch.setattr(script, "MEMORY", (int(kilobytes[1]) + 200_000) << 10)
    seed = tmp_path / "a.txt"
    seed.write_bytes(b"some text")
    outcome = script.fuzz("text", reader, [seed], range(2), 1, tmp_path)
    assert sum(outcome.faults.values()) == 2
    assert all(name.startswith(fault) for name in outcome.faults)


def test_inputs_are_the_same_each_time_and_differ_from_the_seed(script: ModuleType, tmp_path: Path) -> None:
    seed, path = tmp_path / "a.txt", tmp_path / "b.txt"
    seed.write_bytes(bytes(range(200)))
    made = []
    for number in (0, 1, 2, 0, 1, 2):
        script.write_input(path, seed, "text", number, 5)
        made.append(path.read_bytes())
    assert made[:3] == made[3:]
    assert len({*made[:3], seed.read_bytes()}) == 4
    outcome = script.fuzz("text", _refuses, [seed], range(120), 1, tmp_path)
    assert (outcome.read, outcome.refused, dict(outcome.faults)) == (0, 120, {})
