"""Curves, gradients, histograms and the time-lapse of one run: what they show, and that training does not notice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import TONES

from pggan_framework import Plugin, RunResult, UserError, register, run
from pggan_framework.loggers.base import Histogram, Logger
from pggan_framework.plugins.curves import LossCurves
from pggan_framework.plugins.gradient_flow import GradientFlow
from pggan_framework.plugins.histograms import WeightHistograms, histogram
from pggan_framework.plugins.timelapse import TimeLapse
from pggan_framework.registry import REGISTRY
from pggan_framework.runs.folders import snapshots

SMALL: dict[str, Any] = {
    **TONES,
    "DepthManager.tick_kimg_default": 0.008,
    "DepthManager.lod_training_nimg": 12,
    "DepthManager.lod_transition_nimg": 8,
    "postprocessors": ["ImageSaver"],
    "ImageSaver.axes": False,
    "ImageSaver.resolution": 32,
    "OutputGenerator.samples_count": 1,
    "total_kimg": 0.04,
    "exp_name": "small",
}
MONITORS = {
    "plugins": ["Seeing", "LossCurves", "GradientFlow", "WeightHistograms", "TimeLapse", "Alarms"],
    "loggers": ["JSONLLogger", "Keeping"],
    "LossCurves.every_ticks": 2,
    "GradientFlow.every_ticks": 1,
    "WeightHistograms.every_ticks": 2,
    "TimeLapse.formats": ["gif", "webp"],
    "Alarms.diversity_ticks": 1,
}
IMAGES: list[tuple[str, int]] = []
HISTOGRAMS: dict[tuple[str, int], Histogram] = {}
GRADIENTS: list[dict[str, tuple[float, float]]] = []
CURVES: list[LossCurves] = []


class Keeping(Logger):
    """Keeps what it hears."""

    def image(self, name: str, path: Path, nimg: int) -> None:
        IMAGES.append((name, nimg))

    def histogram(self, name: str, histogram: Histogram, nimg: int) -> None:
        HISTOGRAMS[name, nimg] = histogram


class Seeing(Plugin):
    """Notes the gradients a tick ends with."""

    def on_tick(self) -> None:
        weights = [w for w in self.trainer.G.parameters() if w.ndim > 1 and w.grad is not None]
        means = [float(np.abs(w.grad.numpy()).mean()) for w in weights if w.grad is not None]
        largest = [float(np.abs(w.grad.numpy()).max()) for w in weights if w.grad is not None]
        GRADIENTS.append({"G": (min(means), max(largest))})

    def on_end(self) -> None:
        CURVES.append(next(plugin for plugin in self.trainer.plugins if isinstance(plugin, LossCurves)))


@pytest.fixture(scope="module")
def monitored(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A run with all of them."""
    register("plugin")(Seeing)
    register("logger")(Keeping)
    for kept in (IMAGES, HISTOGRAMS, GRADIENTS, CURVES):
        kept.clear()
    yield run(overrides={**SMALL, **MONITORS, "result_dir": str(tmp_path_factory.mktemp("monitored"))})
    REGISTRY.remove("Seeing")
    REGISTRY.remove("Keeping")


def _rows(result: RunResult) -> list[dict[str, float]]:
    return [json.loads(line) for line in (result.path / "stats.jsonl").read_text().splitlines()]


def test_training_is_the_same_to_the_bit_with_and_without(monitored: RunResult, tmp_path: Path) -> None:
    bare = run(overrides={**SMALL, "result_dir": str(tmp_path)})
    ours, theirs = (torch.load(snapshots(r.path)[-1], weights_only=True) for r in (monitored, bare))
    for part in (("networks", "G"), ("networks", "D"), ("ema",), ("random",)):
        a, b = ours, theirs
        for key in part:
            a, b = a[key], b[key]
        for name in b:
            assert torch.equal(a[name], b[name]) if isinstance(b[name], torch.Tensor) else True, (part, name)
    assert torch.equal(ours["random"]["torch"], theirs["random"]["torch"])
    for mine, other in zip(_rows(monitored), _rows(bare), strict=True):
        clocks = {"time", "sec.tick", "sec.kimg", "ms.data", "ms.saving"}
        assert all(mine[name] == other[name] for name in other if name not in clocks)


def test_curves_hold_every_tick_and_mark_depths(monitored: RunResult) -> None:
    rows = _rows(monitored)
    root = ElementTree.fromstring((monitored.path / "curves.svg").read_text())
    curves = {
        line.findtext("{*}title"): [
            [float(number) for number in str(line.get(f"data-{axis}")).split()] for axis in ("x", "y")
        ]
        for line in root.iter("{http://www.w3.org/2000/svg}polyline")
    }
    assert curves["D_loss"][0] == pytest.approx([row["kimg"] for row in rows], rel=1e-4)
    assert curves["D_loss"][1] == pytest.approx([row["D_loss"] for row in rows], rel=1e-4)
    # Values of plugins behind it are there too.
    assert curves["diversity"][1] == pytest.approx([row["diversity"] for row in rows], rel=1e-4)
    marks = {mark.get("data-x") for mark in root.iter("{http://www.w3.org/2000/svg}line")} - {None}
    assert marks == {"0.008", "0.032"}  # the last tick of the depth before


@pytest.mark.parametrize(("values", "scale", "log"), [([1.0, 9.0], "log", True), ([0.0, 9.0], "log", False)])
def test_a_chart_with_values_that_have_no_logarithm_stays_linear(values: list[float], scale: Any, log: bool) -> None:
    curves = LossCurves(scale=scale, figures=["a"], filename="mine.png")
    (chart,) = curves.charts([{"kimg": kimg, "a": value, "b": 1.0} for kimg, value in enumerate(values)])
    assert chart.log == log and [curve.name for curve in chart.curves] == ["a"]
    assert curves.filename == "mine.svg"  # of a config of an earlier version


def test_gradients_are_those_of_the_last_step(monitored: RunResult) -> None:
    rows = _rows(monitored)
    assert len(GRADIENTS) == len(rows)
    for row, seen in zip(rows, GRADIENTS, strict=True):
        assert (row["gradient.G.min"], row["gradient.G.max"]) == pytest.approx(seen["G"], rel=1e-5)
        # A block that has just begun to fade in, at alpha 0, has no gradient yet.
        assert 0 <= row["gradient.D.min"] < row["gradient.D.max"]
    assert (monitored.path / "gradients.png").stat().st_size > 1000
    assert {nimg for name, nimg in IMAGES if name == "gradients"} == {int(row["nimg"]) for row in rows}


def test_histograms_of_every_layer_reach_the_loggers(monitored: RunResult) -> None:
    weights = torch.load(snapshots(monitored.path)[-1], weights_only=True)["networks"]["G"]
    spreads = {name: spread for (name, nimg), spread in HISTOGRAMS.items() if nimg == 32}
    assert sum(name.startswith("weights.G.") for name in spreads) == sum(w.ndim > 1 for w in weights.values())
    for name, weight in weights.items():
        if weight.ndim > 1:
            assert spreads[f"weights.G.{name.removesuffix('.weight')}"].counts.sum() == weight.numel()
    assert {nimg for _, nimg in HISTOGRAMS} == {16, 32}
    assert (monitored.path / "weights.png").stat().st_size > 1000


def test_a_histogram_leaves_out_what_is_not_finite() -> None:
    spread = histogram(torch.tensor([[0.0, 1.0], [4.0, float("nan")]]), 4)
    assert spread.counts.tolist() == [1, 1, 0, 1] and spread.edges.tolist() == [0, 1, 2, 3, 4]
    assert (spread.sum, spread.sum_squares) == (5, 17)


def test_the_time_lapse_is_there_at_the_end_with_the_last_sheet(monitored: RunResult) -> None:
    with Image.open(monitored.path / "images" / "fakes_000000.png") as opened:
        last = np.asarray(opened.convert("RGB"))
    with Image.open(monitored.path / "timelapse.gif") as gif:
        assert np.abs(np.asarray(gif.convert("RGB")).astype(int) - last).max() < 8
    assert (monitored.path / "timelapse.webp").is_file()
    assert not list(monitored.path.glob(".*tmp"))


def test_a_full_disk_costs_a_message_not_the_run(
    monitored: RunResult, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    def full(*args: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pggan_framework.plugins.curves.atomic_path", full)
    CURVES[0].draw()
    assert "curves.svg" in (error := capsys.readouterr().err) and "No space left" in error


def test_sheets_are_needed_for_a_time_lapse(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="TimeLapse: there are no sample grids.*ImageSaver"):
        run(overrides={**SMALL, "postprocessors": [], "plugins": ["TimeLapse"], "result_dir": str(tmp_path)})
    assert not list(tmp_path.iterdir())


def test_a_missing_package_for_mp4_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pggan_framework.errors.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"TimeLapse with mp4 needs the package imageio_ffmpeg.*pip install"):
        TimeLapse(formats=["mp4"])


@pytest.mark.parametrize(
    ("plugin", "flags", "message"),
    [
        (LossCurves, {"every_ticks": 0}, "LossCurves.every_ticks 0 .*1 and up"),
        (GradientFlow, {"every_ticks": 0}, "GradientFlow.every_ticks 0 .*1 and up"),
        (WeightHistograms, {"bins": 0}, "WeightHistograms.bins 0 .*1 and up"),
        (TimeLapse, {"every_ticks": -1}, "TimeLapse.every_ticks -1 .*0 and up"),
        (TimeLapse, {"seconds": 0.0}, "TimeLapse.seconds 0.0 .*0.02 and up"),
        (TimeLapse, {"longest_side": 1}, "TimeLapse.longest_side 1 .*16"),
    ],
)
def test_senseless_parameters_are_refused(plugin: Any, flags: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        plugin(**flags)
