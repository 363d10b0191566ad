"""PictureMetrics and KeepBest: values at each depth, nothing disturbed, the best kept and known again."""

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
from pggan_framework.plugins.best import BETTER, KeepBest, best_name, direction
from pggan_framework.registry import REGISTRY

BASE = {name: value for name, value in TONES.items() if not name.startswith("TonesDataset")}
MEASURED = {
    "PictureMetrics.every_ticks": 1,
    "PictureMetrics.metrics": ["swd", "kid"],
    "PictureMetrics.extractor": "random",
}
SCRIPT: dict[int, float] = {}


class Scripted(Plugin):
    """Values as they are written down, by tick."""

    def on_tick(self) -> None:
        if self.trainer.tick in SCRIPT:
            self.trainer.stats["picture.fid_random"] = SCRIPT[self.trainer.tick]


@pytest.fixture
def scripted() -> Iterator[dict[int, float]]:
    SCRIPT.clear()
    register("plugin")(Scripted)
    yield SCRIPT
    REGISTRY.remove("Scripted")


@pytest.fixture
def growing(tmp_path: Path) -> dict[str, Any]:
    """Flags of a run of ten ticks with 80 images: 4 px to 3, fading to 5, 8 px to 8, then fading to 16."""
    (tmp_path / "pictures").mkdir()
    for number, pixels in enumerate(np.random.default_rng(0).integers(0, 256, (80, 16, 16, 3), dtype=np.uint8)):
        Image.fromarray(pixels).save(tmp_path / "pictures" / f"{number:02d}.png")
    return {
        **BASE,
        "dataset_class": "DefaultImageFolderDataset",
        "DefaultImageFolderDataset.dir_path": str(tmp_path / "pictures"),
        "DepthManager.tick_kimg_default": 0.008,
        "DepthManager.tick_kimg_overrides": {},
        "DepthManager.minibatch_overrides": {},
        "DepthManager.lod_training_nimg": 24,
        "DepthManager.lod_transition_nimg": 16,
        "total_kimg": 0.08,
        "plugin_dirs": [],
        "result_dir": str(tmp_path / "results"),
    }


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_figures_at_each_depth_and_an_undisturbed_training(growing: dict[str, Any], tmp_path: Path) -> None:
    measured = run(overrides={**growing, **MEASURED, "plugins": ["PictureMetrics"]}).path
    without = run(overrides=growing).path
    stats, found = lines(measured / "stats.jsonl"), lines(measured / "metrics.jsonl")
    assert [line["nimg"] for line in found] == [tick["nimg"] for tick in stats]
    for tick, line in zip(stats, found, strict=True):
        assert tick["picture.kid_random"] == line["kid_random"]
        # SWD needs 16 pixels.
        assert ("picture.swd.average" in tick) == ("swd.average" in line) == (line["depth"] == 2)
        assert (line["n"], line["seed"], line["by"]) == (40, 1337, "PictureMetrics")
        assert line["extractor"].startswith("random:")
    assert {line["depth"] for line in found} == {0, 1, 2}
    floors = {(line["depth"], line["kid_random.floor"]) for line in found}
    assert len(floors) == 3
    assert all(line["kid_random"] > line["kid_random.floor"] for line in found)
    assert {line["data"] for line in found} == {torch.load(newest(measured), weights_only=True)["data"]}
    states = [torch.load(newest(path), weights_only=True) for path in (measured, without)]
    for part in ("ema", "random"):
        equal(states[0][part], states[1][part])
    equal(states[0]["networks"], states[1]["networks"])
    own = [{k: v for k, v in tick.items() if not k.startswith("picture.") and k != "depth"} for tick in stats]
    assert [tick["D_loss"] for tick in own] == [tick["D_loss"] for tick in lines(without / "stats.jsonl")]


def newest(folder: Path) -> Path:
    return max(folder.glob("network-snapshot-*.pt"))


def equal(first: Any, second: Any) -> None:
    if isinstance(first, dict):
        assert first.keys() == second.keys()
        for name in first:
            equal(first[name], second[name])
    elif isinstance(first, torch.Tensor):
        assert torch.equal(first, second)
    else:
        assert first == second


@pytest.mark.slow
def test_a_resumed_run_writes_the_same_lines(growing: dict[str, Any]) -> None:
    flags = {**growing, **MEASURED, "plugins": ["PictureMetrics", "KeepBest"], "KeepBest.figure": "picture.kid_random"}
    whole = run(overrides=flags).path
    flags |= {"SaverPlugin.network_snapshot_ticks": 4, "SaverPlugin.keep_old_checkpoints": True}
    parted = run(overrides={**flags, "total_kimg": 0.056}).path
    evaluated = {"checkpoint": "network-snapshot-000000.pt", "nimg": 10**6}
    with (parted / "metrics.jsonl").open("a") as file:
        file.write(json.dumps({**lines(parted / "metrics.jsonl")[0], "nimg": 10**6}) + "\nno JSON\n")
        file.write(json.dumps(evaluated) + "\n")
    run(overrides={"resume": str(parted), "total_kimg": 0.08})
    found = (parted / "metrics.jsonl").read_text().splitlines()
    assert [line for line in found if "PictureMetrics" in line] == (whole / "metrics.jsonl").read_text().splitlines()
    assert json.dumps(evaluated) in found and "no JSON" in found  # what others wrote stays
    states = [torch.load(path / "network-best-kid_random.pt", weights_only=True) for path in (whole, parted)]
    assert states[0]["nimg"] == states[1]["nimg"]
    equal(states[0]["ema"], states[1]["ema"])
    equal(states[0]["plugins"]["KeepBest"], states[1]["plugins"]["KeepBest"])


@pytest.mark.usefixtures("without_gradients")
def test_the_best_is_kept_and_a_new_depth_begins_anew(growing: dict[str, Any], scripted: dict[int, float]) -> None:
    scripted.update({1: 5, 2: 3, 3: 4, 4: 9, 5: 9.5, 6: 8, 8: float("nan"), 9: 20, 10: 30})
    flags = {**growing, "plugins": ["Scripted", "KeepBest"], "KeepBest.figure": "picture.fid_random"}
    best = "network-best-fid_random.pt"
    for kimg, wanted in ((0.024, 2), (0.056, 6), (0.08, 9)):
        folder = run(overrides={**flags, "total_kimg": kimg}).path
        state = torch.load(folder / best, weights_only=True)
        assert state["nimg"] == 8 * wanted
        own = state["plugins"]["KeepBest"]
        assert (own["best"], own["depth"]) == (scripted[wanted], state["networks"]["depth"])
        assert not list(folder.glob("*.tmp"))


@pytest.mark.slow
@pytest.mark.usefixtures("without_gradients")
def test_resume_knows_the_best(growing: dict[str, Any], scripted: dict[int, float]) -> None:
    flags = {**growing, "plugins": ["Scripted", "KeepBest"], "KeepBest.figure": "picture.fid_random"}
    flags |= {"progressive_growing": False, "Trainer.tick_nimg_default": 8}
    flags = {name: value for name, value in flags.items() if not name.startswith("DepthManager")}
    scripted.update({1: 5, 2: 3})
    folder = run(overrides={**flags, "total_kimg": 0.016}).path
    scripted.update({3: 4, 4: 3.5})
    run(overrides={"resume": str(folder), "total_kimg": 0.032})
    best = folder / "network-best-fid_random.pt"
    assert torch.load(best, weights_only=True)["nimg"] == 16
    scripted.update({5: 2})
    run(overrides={"resume": str(folder), "total_kimg": 0.04})
    assert torch.load(best, weights_only=True)["nimg"] == 40
    # From the best itself, too.
    run(overrides={"resume": str(best), "total_kimg": 0.048})
    # Of a last, shorter tick: not in the state a longer run continues from, but its best is.
    scripted.update({7: 1, 8: 1.5})
    run(overrides={"resume": str(folder), "total_kimg": 0.052})
    assert torch.load(best, weights_only=True)["plugins"]["KeepBest"]["best"] == 1
    scripted.pop(7)
    run(overrides={"resume": str(folder), "total_kimg": 0.064})
    assert torch.load(best, weights_only=True)["plugins"]["KeepBest"]["best"] == 1


@pytest.mark.usefixtures("without_gradients")
def test_a_full_disk_costs_a_message(
    growing: dict[str, Any], scripted: dict[int, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The best that could not be written is none: the next that is better than what is there is written."""
    from pggan_framework.plugins import best

    save, tried = best.save_checkpoint, []

    def full(path: Path, state: Any) -> None:
        tried.append(state["nimg"])
        if len(tried) == 2:
            raise UserError(f"cannot write the checkpoint {path}: no space left on device")
        save(path, state)

    monkeypatch.setattr(best, "save_checkpoint", full)
    scripted.update({1: 5, 2: 3, 3: 4})
    flags = {
        **growing,
        "plugins": ["Scripted", "KeepBest"],
        "KeepBest.figure": "picture.fid_random",
        "total_kimg": 0.024,
    }
    folder = run(overrides={**flags, "loggers": ["TeeLogger"], "Trainer.write_in_background": False}).path
    assert tried == [8, 16, 24]
    assert torch.load(folder / "network-best-fid_random.pt", weights_only=True)["nimg"] == 24
    assert "no space left on device; training continues" in (folder / "log.txt").read_text()


@pytest.mark.usefixtures("without_gradients")
def test_higher_is_better_of_some(growing: dict[str, Any], scripted: dict[int, float]) -> None:
    scripted.update({1: 5, 2: 7, 3: 6})
    flags = {
        **growing,
        "plugins": ["Scripted", "KeepBest"],
        "KeepBest.figure": "picture.fid_random",
        "total_kimg": 0.024,
    }
    folder = run(overrides={**flags, "KeepBest.better": "higher"}).path
    assert torch.load(folder / "network-best-fid_random.pt", weights_only=True)["nimg"] == 16


@pytest.mark.usefixtures("without_gradients")
def test_commands_take_the_best(
    growing: dict[str, Any], scripted: dict[int, float], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    scripted.update({9: 1})
    flags = {**growing, "plugins": ["Scripted", "KeepBest"], "KeepBest.figure": "picture.fid_random"}
    folder = run(overrides=flags).path
    best = str(folder / "network-best-fid_random.pt")
    assert main(["info", best]) == 0
    assert main(["generate", best, "--count", "2", "--out", str(tmp_path / "out")]) == 0
    assert main(["evaluate", best, "--metrics", "swd", "--device", "cpu"]) == 0
    assert lines(folder / "metrics.jsonl")[-1]["checkpoint"] == "network-best-fid_random.pt"
    # The last checkpoint is still what the run's folder means.
    assert main(["evaluate", str(folder), "--metrics", "swd", "--device", "cpu"]) == 0
    assert lines(folder / "metrics.jsonl")[-1]["checkpoint"].startswith("network-snapshot-")
    assert capsys.readouterr().out


@pytest.mark.usefixtures("without_gradients")
def test_a_figure_that_never_comes_is_said(growing: dict[str, Any], scripted: dict[int, float]) -> None:
    flags = {**growing, "plugins": ["KeepBest"], "KeepBest.figure": "picture.fid_randon", "total_kimg": 0.2}
    flags["loggers"] = ["TeeLogger", "JSONLLogger"]
    flags["DepthManager.lod_training_nimg"] = 1000
    folder = run(overrides=flags).path
    log = (folder / "log.txt").read_text()
    assert log.count("KeepBest.figure: no 'picture.fid_randon' in 20 ticks") == 1
    assert not list(folder.glob("network-best-*"))


def test_what_is_better_of_each_figure() -> None:
    wanted = {
        "picture.swd.average": "lower",
        "picture.swd.16": "lower",
        "picture.fid_lite0": "lower",
        "picture.kid_random": "lower",
        "is_inception": "higher",
        "picture.precision_lite0": "higher",
        "picture.coverage_lite0": "higher",
        "sound.frechet": "lower",
        "picture.kid_random.std": None,
        "picture.fid_lite0.floor": None,
        "picture.ms_ssim": None,
        "picture.nearest_lite0.ratio": None,
        "isolation": None,
        "D_loss": None,
    }
    assert {figure: direction(figure) for figure in wanted} == wanted
    assert all(direction(stem) == way for stem, way in BETTER.items())
    assert best_name("picture.fid_lite0") == "network-best-fid_lite0.pt"
    assert best_name("sound.frechet") == "network-best-frechet.pt"
    assert best_name("a/b c") == "network-best-a_b_c.pt"
    with pytest.raises(UserError, match=r"'D_loss' is given, and its better direction is unknown; give KeepBest\.bet"):
        KeepBest("D_loss")
    assert KeepBest("D_loss", "lower").better == "lower"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"PictureMetrics.count": 1}, r"PictureMetrics\.count 1 is not allowed; allowed: 2 and up"),
        ({"PictureMetrics.every_ticks": 0}, r"PictureMetrics\.every_ticks 0 is not allowed; allowed: 1 and up"),
        ({"PictureMetrics.metrics": []}, r"PictureMetrics\.metrics is empty"),
        ({"PictureMetrics.metrics": ["frechet"]}, "'frechet' is not a metric of images"),
        ({"PictureMetrics.metrics": ["fid"]}, "PictureMetrics: fid needs 64 images per side; there are 40"),
        ({"PictureMetrics.metrics": ["is"]}, "is needs an extractor that is a classifier; random is not"),
        ({"PictureMetrics.extractor": "vgg"}, "unknown extractor 'vgg'"),
    ],
)
def test_what_is_refused(growing: dict[str, Any], flags: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message):
        run(overrides={**growing, **MEASURED, "plugins": ["PictureMetrics"], **flags})
    assert not list(tmp_path.glob("results/*"))
