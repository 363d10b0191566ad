"""The values of a tick are means, learning rates follow the ramp, and a broken run says so and stops."""

from __future__ import annotations

import json
from math import exp
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import TONES

from pggan_framework import Plugin, register, run
from pggan_framework.registry import REGISTRY
from pggan_framework.runs.folders import snapshots

SMALL = {
    **TONES,
    "progressive_growing": False,
    "Trainer.tick_nimg_default": 12,
}
SEEN: list[tuple[dict[str, float], float]] = []


class Watching(Plugin):
    """Keeps each step's losses and learning rate."""

    def after_step(self) -> None:
        losses = {name: float(value) for name, value in self.trainer.losses.items()}
        SEEN.append((losses, self.trainer.parts.step.G_optimizer.param_groups[0]["lr"]))


class Poisoning(Plugin):
    """Makes a weight of G not a number at 24 images."""

    def before_step(self) -> None:
        if self.trainer.nimg == 24:
            with torch.no_grad():
                next(self.trainer.G.parameters()).fill_(float("nan"))


@pytest.fixture(autouse=True)
def plugins() -> Any:
    for plugin in (Watching, Poisoning):
        register("plugin")(plugin)
    SEEN.clear()
    yield
    for plugin in (Watching, Poisoning):
        REGISTRY.remove(plugin.__name__)


def _rows(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "stats.jsonl").read_text().splitlines()]


def test_a_ticks_losses_are_the_means_of_its_steps(tmp_path: Path) -> None:
    result = run(overrides={**SMALL, "total_kimg": 0.028, "plugins": ["Watching"], "result_dir": str(tmp_path)})
    rows = _rows(result.path)
    assert [row["nimg"] for row in rows] == [12, 24, 28]  # the last tick is shorter
    for row, steps in zip(rows, (SEEN[:3], SEEN[3:6], SEEN[6:]), strict=True):
        for name in ("D_loss", "G_loss", "D_real", "D_fake", "gradient_penalty"):
            assert row[name] == pytest.approx(sum(losses[name] for losses, _ in steps) / len(steps), rel=1e-6)
        assert row["sec.tick"] > 0
        assert row["sec.kimg"] == pytest.approx(row["sec.tick"] / (4 * len(steps)) * 1000)
    assert rows[0]["time"] < rows[1]["time"] < rows[2]["time"]


def test_the_learning_rate_follows_the_ramp(tmp_path: Path) -> None:
    flags = {"lr_rampup_kimg": 0.016, "G_lr_max": 0.5, "plugins": ["Watching"], "result_dir": str(tmp_path)}
    run(overrides={**SMALL, **flags, "total_kimg": 0.024})
    expected = [0.5 * exp(-5 * (1 - nimg / 16) ** 2) for nimg in (0, 4, 8, 12)] + [0.5, 0.5]
    assert [rate for _, rate in SEEN] == pytest.approx(expected)


def test_divergence_is_named_and_keeps_the_last_good_checkpoint(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = {"plugins": ["Poisoning"], "SaverPlugin.network_snapshot_ticks": 1, "result_dir": str(tmp_path)}
    result = run(overrides={**SMALL, **flags, "total_kimg": 1})
    assert result.exit_status == 1
    assert result.nimg == 36
    error = capsys.readouterr().err
    assert "training has diverged" in error
    assert "G_loss" in error
    last = torch.load(snapshots(result.path)[-1], weights_only=True)
    assert last["nimg"] == 24
    assert all(torch.isfinite(weight).all() for weight in last["networks"]["G"].values())
