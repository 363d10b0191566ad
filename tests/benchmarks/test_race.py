"""benchmarks/race.py: that time is shared out as it says, and its values on a few images and a clock that counts."""

from __future__ import annotations

import importlib.util
import itertools
import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image

from pggan_framework.config import resolve_overrides
from pggan_framework.metrics import sliced_wasserstein
from pggan_framework.plugins.depth import DepthManager

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(FOLDER.parent)
    spec = importlib.util.spec_from_file_location("benchmark_race", FOLDER / "race.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(DepthManager, "now", DepthManager.now)  # which a race changes
    monkeypatch.setitem(module.CLOCKS, "processor", itertools.count().__next__)
    return module


@pytest.fixture
def cats(tmp_path: Path) -> Path:
    folder = tmp_path / "cats"
    folder.mkdir()
    random = np.random.default_rng(0)
    for number in range(24):
        Image.fromarray(random.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(folder / f"{number}.png")
    return folder


def test_both_sides_are_trained_and_measured(
    script: ModuleType,
    cats: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out, figures = tmp_path / "race", tmp_path / "race.json"
    words = ["--data", cats, "--seconds", 28, "--seeds", 1, "--clock", "processor", "--out", out, "--json", figures]
    words += ["--fmap_base", 32, "--fmap_max", 4, "--latent", 4, "--samples", 40, "--threads", torch.get_num_threads()]
    monkeypatch.setattr(sys, "argv", ["race.py", *map(str, words)])
    given = script._parser().parse_args()
    out.mkdir()
    for way in ("plain", "ours"):  # in this process: new ones would only be slower
        script.train(way, 0, given)
    capsys.readouterr()
    script.main()
    text = capsys.readouterr().out
    report = json.loads(figures.read_text())
    assert report["clock"] == "processor" and report["share"] == 0.5
    plain, ours = report["rows"]
    # A reading of the clock a step, at 1, 2 ... 27; sizes end after 0.6, 1.9, 4.5 and 9.7 parts: 1.7, 5.5, 13 and 28.
    assert plain["shown"] == {"0": 16 * 1, "1": 16 * 4, "2": 16 * 7, "3": 16 * 15} and plain["seconds"] == 28
    # The clock starts with the first step, so that the first reading is 1 here too: 4 px are over at 0.9.
    assert ours["shown"].keys() == {"1", "2", "3"} and 14 <= ours["seconds"] <= 16
    assert "12 samples a side; plain has 28 s, ours 14 s" in text and "ratio" in text
    with np.load(next(out.glob("plain-*.npz"))) as stored:
        samples = stored["samples"]
    assert samples.shape == (40, 3, 32, 32) and samples.dtype == np.uint8
    dataset = script.pictures(given)
    order = np.random.default_rng(script.SEED).permutation(24)
    reals = dataset.images(order[:12].tolist(), 3)
    expected = sliced_wasserstein(reals, samples[:12])
    assert plain["swd"] == {str(side): pytest.approx(value) for side, value in expected.items()}
    for way in ("plain", "ours"):
        with Image.open(out / f"race-{way}.png") as sheet:
            assert sheet.size == (16 * 66 - 2, 64)
    # What is there is not trained again, and shorter races do not take it for theirs.
    monkeypatch.setattr(script.subprocess, "run", lambda *_, **__: pytest.fail("trained again"))
    script.main()
    monkeypatch.setattr(sys, "argv", [*sys.argv, "--seconds", "8"])
    with pytest.raises(pytest.fail.Exception, match="trained again"):
        script.main()


def test_the_config_shares_the_time_out_as_the_race_says(script: ModuleType) -> None:
    config = resolve_overrides(script.SHORT, {}).to_dict()["WallClockSchedule"]
    parts = script.shares(4)
    assert parts == pytest.approx([0.6, 1.3, 2.6, 5.2])
    assert [config["shares"][depth] for depth in range(4)] == pytest.approx(parts)
    assert config["fade_share"] == pytest.approx(0.5 / 1.3, abs=0.001)
