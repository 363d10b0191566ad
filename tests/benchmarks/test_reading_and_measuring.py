"""benchmarks/decode.py and benchmarks/metrics.py: that both ways give the same, and their tables."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"


def load(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(FOLDER.parent)
    spec = importlib.util.spec_from_file_location(f"benchmark_{name}", FOLDER / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_files_are_decoded_both_ways(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = load("decode", monkeypatch)
    monkeypatch.setattr(sys, "argv", ["decode.py", "--count", "2", "--turns", "1", "--json", str(tmp_path / "d.json")])
    script.main()
    rows = json.loads((tmp_path / "d.json").read_text())["rows"]
    assert {row["kind"] for row in rows} == {"png", "jpg", "sounds"}
    assert {row["way"]: row["ratio"] for row in rows if row["way"] in ("Pillow", "soundfile")} == {
        "Pillow": 1,
        "soundfile": 1,
    }
    assert all(row["per_second"] > 0 for row in rows)
    assert "read_wave" in capsys.readouterr().out


def test_a_reader_that_reads_something_else_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    script = load("decode", monkeypatch)
    ways = {"plain": lambda number: np.zeros(3), "other": lambda number: np.full(3, 0.5)}
    with pytest.raises(SystemExit, match="other gives another array than plain"):
        script.compare("pictures", 2, ways, 1)


def test_metrics_agree_with_others(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = load("metrics", monkeypatch)
    words = [
        "--count",
        "40",
        "--size",
        "176",
        "--features",
        "8",
        "--seconds",
        "0.1",
        "--json",
        str(tmp_path / "m.json"),
    ]
    monkeypatch.setattr(sys, "argv", ["metrics.py", *words])
    metrics = script.of_sounds
    monkeypatch.setattr(script, "of_sounds", lambda given: [one for one in metrics(given) if one.name == "loudness"])
    script.main()
    rows = {row["name"]: row for row in json.loads((tmp_path / "m.json").read_text())["rows"]}
    assert len(rows) == 6 and all(row["seconds"] >= 0 for row in rows.values())
    others = {name: row for name, row in rows.items() if "other" in row}
    assert len(others) == 4
    for name, row in others.items():
        assert row["differ"] < 1e-4, name
    assert "scikit-learn" in capsys.readouterr().out
