"""The comparison of growing with training from scratch, as a user starts it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_source_scratch_and_grown_are_measured(tmp_path: Path) -> None:
    words = ["--seeds", "1", "--kinds", "labels", "--tiny"]
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "grow.py"), *words],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    machine, runs, summary = map(json.loads, done.stdout.splitlines())
    assert machine["threads"] == 1 and runs["kind"] == "labels"
    assert set(runs["runs"][0]) == {"source", "scratch", "grown"}
    assert all(distance > 0 for distance in runs["runs"][0].values())
    assert [round(runs["runs"][0][name], 3) for name in ("scratch", "grown")] == [
        summary[name][0] for name in ("scratch", "grown")
    ]
    assert "kept" in done.stderr  # the grown run starts from the source
