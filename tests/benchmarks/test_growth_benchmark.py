"""The comparison of growing with training from scratch, as a user starts it."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from pggan_framework.config.discovery import load_builtin

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "benchmarks" / "grow.py"


def test_source_scratch_and_grown_are_measured(tmp_path: Path) -> None:
    words = ["--seeds", "1", "--kinds", "labels", "--tiny"]
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *words],
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


def test_a_model_that_repeats_the_images_is_at_no_distance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT)
    spec = importlib.util.spec_from_file_location("benchmark_grow", SCRIPT)
    assert spec is not None and spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)

    load_builtin()
    pixels = np.random.default_rng(0).integers(0, 256, (8, 16, 16, 3), dtype=np.uint8)
    for index, image in enumerate(pixels):
        Image.fromarray(image).save(tmp_path / f"{index}.png")
    name = "DefaultImageFolderDataset"
    copies = SimpleNamespace(
        config={"dataset_class": name, name: {"dir_path": tmp_path}},
        generator=SimpleNamespace(depth=2),
        sample=lambda count, seed: pixels[:count].transpose(0, 3, 1, 2) / np.float32(127.5) - 1,
    )
    monkeypatch.setattr(script, "snapshots", lambda folder: [folder])
    monkeypatch.setattr(script, "load_generator", lambda path: copies)
    assert script.distance(tmp_path, 8) == 0
    copies.sample = lambda count, seed: np.zeros((count, 3, 16, 16), np.float32)
    assert script.distance(tmp_path, 8) > 10
