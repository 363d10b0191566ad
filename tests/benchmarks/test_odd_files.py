"""benchmarks/odd_files.py: every odd recording, MIDI file, image, table and archive is read right or named."""

from __future__ import annotations

import importlib
import importlib.util
from collections import Counter
from pathlib import Path

import pytest

LEAST = {"images": (100, 80), "sounds": (30, 0)}
"""More files than so many are read right, and more than so many named."""
FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.mark.slow
@pytest.mark.parametrize("kind", sorted(path.stem for path in (FOLDER / "odd").glob("[!_]*.py")))
def test_every_odd_file_is_read_right_or_named(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.syspath_prepend(FOLDER.parent)
    spec = importlib.util.spec_from_file_location("odd_files", FOLDER / "odd_files.py")
    assert spec is not None and spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    outcomes = script.run(importlib.import_module(f"benchmarks.odd.{kind}"))
    wrong = {name: outcome for name, outcome in outcomes.items() if outcome not in ("read right", "named")}
    assert wrong == {} and len(outcomes) > 60
    counts = Counter(outcomes.values())
    right, named = LEAST[kind]
    assert counts["read right"] > right and counts["named"] > named
