"""benchmarks/end_to_end.py: its sides and its values, on the smallest networks."""

from __future__ import annotations

import importlib.util
import json
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from pggan_framework.registry import REGISTRY

FOLDER = Path(__file__).parents[2] / "benchmarks"
SMALL = ["--side", "8", "--batch", "4", "--fmap_base", "16", "--fmap_max", "2", "--latent", "2"]


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(FOLDER.parent)
    spec = importlib.util.spec_from_file_location("benchmark_end_to_end", FOLDER / "end_to_end.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def cats(tmp_path: Path) -> Path:
    folder = tmp_path / "cats"
    folder.mkdir()
    for number in range(8):
        Image.new("RGB", (16, 16), (30 * number, 0, 255)).save(folder / f"{number}.png")
    return folder


def called(
    script: ModuleType, cats: Path, more: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> dict[str, Any]:
    words = ["--data", str(cats), *SMALL, "--threads", str(torch.get_num_threads()), *more]
    monkeypatch.setattr(sys, "argv", ["end_to_end.py", *words, "--json", str(tmp_path / "figures.json")])
    script.main()
    figures: dict[str, Any] = json.loads((tmp_path / "figures.json").read_text())
    return figures


def test_the_sides_take_turns(
    script: ModuleType,
    cats: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    read = script.Pictures.__getitem__

    def slow(self: object, index: int) -> torch.Tensor:
        time.sleep(0.02)  # on the clock, not on the processor
        found: torch.Tensor = read(self, index)
        return found

    monkeypatch.setattr(script.Pictures, "__getitem__", slow)
    figures = called(script, cats, ["--seconds", "0", "--steps", "2"], monkeypatch, tmp_path)
    assert figures["turns"] == 3
    assert figures["bare"]["of_bare"] == figures["bare"]["of_bare_clock"] == 1
    assert 0 < figures["decoding"]["clock"] < 1 / 0.02
    assert figures["run"]["clock"] > figures["decoding"]["clock"]
    ratio = figures["run"]["processor"] / figures["bare"]["processor"]
    assert figures["run"]["of_bare"] == pytest.approx(ratio)
    text = capsys.readouterr().out
    assert "3 turns of 2 steps" in text and "8 px, batch 4" in text
    assert "Between" not in REGISTRY


def test_pictures_are_decoded_and_shrunk(script: ModuleType, cats: Path) -> None:
    pixels = np.zeros((16, 16, 3), np.uint8)
    pixels[::2] = 200
    Image.fromarray(pixels).save(cats / "0.png")
    pictures = script.Pictures(cats, 8)
    assert len(pictures) == 8 and pictures[0].shape == (3, 8, 8)
    torch.testing.assert_close(pictures[0], torch.full((3, 8, 8), 100 / 127.5 - 1))


def test_time_an_image_for_three_lengths(
    script: ModuleType,
    cats: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    figures = called(script, cats, ["--linear", "--kimg", "0.008", "--steps", "2"], monkeypatch, tmp_path)
    rows = figures["rows"]
    assert [row["kimg"] for row in rows] == [0.008, 0.016, 0.032]
    times = [row["cpu_ms_image"] for row in rows]
    assert min(times) > 0 and figures["spread"] == pytest.approx(max(times) / min(times))
    assert "differ by" in capsys.readouterr().out
