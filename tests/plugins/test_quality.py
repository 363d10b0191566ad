"""QualityMonitor: values in every run, the best checkpoint kept and used, training undisturbed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import TONES

from pggan_framework import Plugin, UserError, register, run
from pggan_framework.cli.main import main
from pggan_framework.plugins.quality import QualityMonitor
from pggan_framework.registry import REGISTRY
from pggan_framework.runs.best_checkpoint import much_worse, read_best
from pggan_framework.runs.folders import find_checkpoint

BASE = {name: value for name, value in TONES.items() if name != "QualityMonitor.every_ticks"}
pytestmark = pytest.mark.usefixtures("all_samples_are_measured")
OFF = {"QualityMonitor.every_ticks": 0}


class Breaks(Plugin):
    """Breaks the EMA generator after the second tick."""

    def on_tick(self) -> None:
        if self.trainer.tick > 2:
            with torch.no_grad():
                for weight in self.trainer.parts.ema.generator.parameters():
                    weight.fill_(float("nan"))


@pytest.fixture
def breaking() -> Iterator[None]:
    register("plugin")(Breaks)
    yield
    REGISTRY.remove("Breaks")


@pytest.fixture
def flags(tmp_path: Path) -> dict[str, Any]:
    """A run of four ticks, all at the final depth of 32x32, measured at each tick."""
    return {
        **BASE,
        "progressive_growing": False,
        "loggers": ["TeeLogger", "JSONLLogger"],
        "Trainer.tick_nimg_default": 8,
        "QualityMonitor.every_ticks": 1,
        "total_kimg": 0.032,
        "plugin_dirs": [],
        "result_dir": str(tmp_path / "results"),
    }


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def state(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = torch.load(path, weights_only=True)
    return loaded


def newest(folder: Path) -> Path:
    return max(folder.glob("network-snapshot-*.pt"))


def equal(first: Any, second: Any) -> None:
    if isinstance(first, dict):
        assert first.keys() == second.keys()
        for name in first:
            equal(first[name], second[name])
    elif isinstance(first, list):
        for pair in zip(first, second, strict=True):
            equal(*pair)
    elif isinstance(first, torch.Tensor):
        assert torch.equal(first, second)
    else:
        assert first == second


def test_values_words_and_the_report(flags: dict[str, Any]) -> None:
    folder = run(overrides=flags).path
    stats, measured = lines(folder / "stats.jsonl"), lines(folder / "metrics.jsonl")
    assert [line["nimg"] for line in measured] == [8, 16, 24, 32] == [tick["nimg"] for tick in stats]
    for tick, line in zip(stats, measured, strict=True):
        for name in (
            "frechet", "consistency", "silence", "clipping", "edges.start", "edges.end", "loudness.p50",
            "loudness.spread", "centroid.p50",
        ):  # fmt: skip
            assert tick[f"sound.{name}"] == line[name]
            assert tick[f"sound.{name}.floor"] == line[f"{name}.floor"]
        assert (line["by"], line["n"], line["depth"]) == ("QualityMonitor", 10, 3)
        assert tick["quality"] == pytest.approx(1 + (line["frechet"] / line["frechet.floor"] - 1) * 300 / 10)
    assert len({line["frechet.floor"] for line in measured}) == 1
    log = (folder / "log.txt").read_text()
    assert log.count("\nquality at 0.0 kimg: ") == 4
    assert f"pggan generate {folder}" in log and f"--resume {folder} --minutes 10" in log
    page = (folder / "report.html").read_text()
    assert '<th scope="row">Quality</th>' in page and '<h3 class="section">Quality</h3>' in page
    assert "times the distance between two halves of the recordings" in page
    assert "sound.frechet" in page and "by QualityMonitor" not in page
    best = read_best(folder)
    assert best is not None and best["value"] == min(line["frechet"] for line in measured)
    assert state(folder / "network-best.pt")["nimg"] == best["nimg"]


def test_training_is_undisturbed_and_a_resumed_run_repeats_it(flags: dict[str, Any]) -> None:
    whole = run(overrides=flags).path
    without = run(overrides={**flags, **OFF}).path
    assert not (without / "metrics.jsonl").exists() and not (without / "network-best.pt").exists()
    parted = run(overrides={**flags, "total_kimg": 0.016}).path
    run(overrides={"resume": str(parted), "total_kimg": 0.032})
    states = [state(newest(folder)) for folder in (whole, without, parted)]
    for part in ("networks", "ema", "optimizers", "random"):
        equal(states[0][part], states[1][part])
        equal(states[0][part], states[2][part])
    assert states[0]["plugins"]["QualityMonitor"] == states[2]["plugins"]["QualityMonitor"] == {}
    assert lines(whole / "metrics.jsonl") == lines(parted / "metrics.jsonl")
    assert read_best(whole) == read_best(parted)


def test_a_collapse_after_the_best_costs_nothing(
    flags: dict[str, Any], breaking: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = run(overrides={**flags, "plugins": ["Breaks"]}).path
    best, measured = read_best(folder), lines(folder / "metrics.jsonl")
    assert best is not None and best["nimg"] in (8, 16)
    assert measured[-1]["value"] is None
    log = (folder / "log.txt").read_text()
    assert "quality at the end: the samples are not finite" in log
    assert "the best checkpoint is network-best.pt" in log
    assert "the last one has no finite samples, which is much worse" in log
    capsys.readouterr()
    results = folder.parent
    assert find_checkpoint("latest", results) == (folder, folder / "network-best.pt")
    said = capsys.readouterr().err
    assert said.startswith("using network-best.pt: Fréchet distance ") and said.count("\n") == 1
    assert str(newest(folder)) in said
    assert find_checkpoint(str(newest(folder)), results)[1] == newest(folder)
    words = ["generate", "latest", "--result_dir", str(results), "--count", "2", "--out", str(tmp_path / "made")]
    assert main(words) == 0
    assert "using network-best.pt" in capsys.readouterr().err
    assert all(weight.isfinite().all() for weight in state(folder / "network-best.pt")["ema"].values())
    # Training continues from the last snapshot, and knows the best.
    run(overrides={"resume": str(folder), "total_kimg": 0.04})
    assert read_best(folder) == best
    assert state(newest(folder))["nimg"] == 40


def test_the_best_is_the_last(flags: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    folder = run(overrides={**flags, "total_kimg": 0.008}).path
    assert (folder / "network-best.pt").is_file()
    capsys.readouterr()
    assert find_checkpoint(str(folder), folder.parent)[1] == newest(folder)
    assert capsys.readouterr().err == ""
    assert "the last checkpoint is the best" in (folder / "log.txt").read_text()


def test_a_deeper_network_replaces_the_best(flags: dict[str, Any]) -> None:
    growing = {
        "progressive_growing": True,
        "DepthManager.tick_kimg_default": 0.008,
        "DepthManager.tick_kimg_overrides": {},
        "DepthManager.lod_training_nimg": 8,
        "DepthManager.lod_transition_nimg": 8,
        "total_kimg": 0.064,
    }
    folder = run(overrides={**{k: v for k, v in flags.items() if k != "Trainer.tick_nimg_default"}, **growing}).path
    best, measured = read_best(folder), lines(folder / "metrics.jsonl")
    assert {line["depth"] for line in measured} == {0, 1, 2, 3}
    settled = [line for line in measured if line["depth"] == 3 and line["alpha"] == 1]
    assert best is not None and best["value"] == min(line["frechet"] for line in settled)
    log = (folder / "log.txt").read_text()
    assert "kimg (4x4): " in log and "full size was not reached" not in log


def test_a_run_that_ends_early_names_the_size_that_its_distance_belongs_to(flags: dict[str, Any]) -> None:
    growing = {"progressive_growing": True, "DepthManager.lod_training_nimg": 1000, "total_kimg": 0.008}
    log = (run(overrides={**flags, **growing}).path / "log.txt").read_text()
    assert "quality at the end (4x4): " in log and "the full size was not reached" in log


def test_few_images(flags: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    for number, pixels in enumerate(np.random.default_rng(0).integers(0, 256, (12, 16, 16, 3), dtype=np.uint8)):
        Image.fromarray(pixels).save(tmp_path / "images" / f"{number:02d}.png")
    images = {
        **{name: value for name, value in flags.items() if not name.startswith("TonesDataset")},
        "dataset_class": "DefaultImageFolderDataset",
        "DefaultImageFolderDataset.dir_path": str(tmp_path / "images"),
    }
    folder = run(overrides=images).path
    last = lines(folder / "stats.jsonl")[-1]
    assert last["picture.swd.average"] > 0 and last["picture.swd.average.floor"] > 0
    assert lines(folder / "metrics.jsonl")[-1]["n"] == 6
    assert (folder / "network-best.pt").is_file()
    for path in sorted((tmp_path / "images").iterdir())[3:]:
        path.unlink()
    folder = run(overrides=images).path
    assert not (folder / "metrics.jsonl").exists()
    assert "quality is not measured: 3 examples, but at least 4 are needed" in (folder / "log.txt").read_text()


def test_much_worse_and_mistakes() -> None:
    assert much_worse({"value": 40.0}, {"value": 61.0}) and not much_worse({"value": 40.0}, {"value": 60.0})
    assert much_worse({"value": 40.0}, {"value": None})
    with pytest.raises(UserError, match=r"QualityMonitor\.every_ticks -1 is not allowed; allowed: 0 and up, or None"):
        QualityMonitor(-1)
