"""Alarms: what is noticed, and what each policy does; a rollback repeats nothing and is the same every time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import TONES

from pggan_framework import Plugin, RunResult, UserError, register, run
from pggan_framework.plugins.alarms import Alarms, mean_distance
from pggan_framework.registry import REGISTRY
from pggan_framework.runs.folders import snapshots

SMALL = {
    **TONES,
    "DepthManager.tick_kimg_default": 0.008,  # all of it at 4x4
    "minibatch_size": 4,
    "SaverPlugin.network_snapshot_ticks": 1,
    "loggers": ["TeeLogger", "JSONLLogger"],
    "total_kimg": 0.032,
    "Alarms.min_diversity": 0,
}
BROKEN: dict[str, Any] = {}


class Breaking(Plugin):
    """Breaks something before the step at an image count, the first `times` times."""

    def before_step(self) -> None:
        if self.trainer.nimg == BROKEN["nimg"] and BROKEN["times"] > 0:
            BROKEN["times"] -= 1
            BROKEN["do"](self.trainer)


@pytest.fixture(autouse=True)
def breaking() -> Any:
    register("plugin")(Breaking)
    BROKEN.clear()
    yield
    REGISTRY.remove("Breaking")


def poison(trainer: Any) -> None:
    with torch.no_grad():
        next(trainer.G.parameters()).fill_(float("nan"))


def enlarge(trainer: Any) -> None:
    with torch.no_grad():
        for weight in trainer.D.parameters():
            weight.mul_(30)


def train(tmp_path: Path, do: Any, nimg: int = 20, times: int = 1, **flags: Any) -> tuple[RunResult, str]:
    BROKEN.update(do=do, nimg=nimg, times=times)
    given = {name.replace("__", "."): value for name, value in flags.items()}
    plugins = ["Breaking", "Alarms"]
    result = run(overrides={**SMALL, "plugins": plugins, "result_dir": str(tmp_path), **given})
    return result, (result.path / "log.txt").read_text()


def weights(result: RunResult) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = torch.load(snapshots(result.path)[-1], weights_only=True)["networks"]["G"]
    return state


def same(a: RunResult, b: RunResult) -> bool:
    return all(torch.equal(x, y) for x, y in zip(weights(a).values(), weights(b).values(), strict=True))


def test_rollback_goes_on_from_the_last_good_checkpoint_with_other_numbers(tmp_path: Path) -> None:
    rolled, log = train(tmp_path, poison, Alarms__policy="rollback")
    assert (rolled.exit_status, rolled.nimg) == (0, 32)
    assert "training has diverged: D_fake" in log
    assert "rolled back to network-snapshot-000000.pt (0.0 kimg), with other random numbers, 1 of at most 3" in log
    ticks = [json.loads(line)["nimg"] for line in (rolled.path / "stats.jsonl").read_text().splitlines()]
    assert ticks == [8, 16, 24, 32]
    state = torch.load(snapshots(rolled.path)[-1], weights_only=True)
    assert state["trainer"]["stream"] == 1 and state["plugins"]["Alarms"]["gone_back"] == 1
    whole, _ = train(tmp_path, poison, times=0, Alarms__policy="rollback")
    assert not same(rolled, whole)


def test_a_rolled_back_run_does_the_same_again_and_resumes_to_the_bit(tmp_path: Path) -> None:
    whole, _ = train(tmp_path / "whole", poison, nimg=12, Alarms__policy="rollback")
    first, _ = train(tmp_path / "parts", poison, nimg=12, Alarms__policy="rollback", total_kimg=0.024)
    rest = run(overrides={"resume": str(first.path), "result_dir": str(tmp_path / "parts"), "total_kimg": 0.032})
    assert rest.nimg == 32 and same(whole, rest)


def test_rollbacks_are_limited_and_the_good_checkpoint_stays(tmp_path: Path, capsys: Any) -> None:
    flags = {"Alarms__policy": "rollback", "Alarms__rollbacks": 2, "Alarms__max_loss": 100.0}
    result, log = train(tmp_path, enlarge, times=9, **flags)
    assert result.exit_status == 1
    assert log.count("rolled back to network-snapshot-000000.pt") == 2 and "2 times is the limit" in log
    assert "alarm: D_loss" in capsys.readouterr().err
    assert torch.load(snapshots(result.path)[-1], weights_only=True)["nimg"] == 16


def test_without_a_checkpoint_there_is_nothing_to_go_back_to(tmp_path: Path) -> None:
    result, log = train(tmp_path, poison, nimg=4, Alarms__policy="rollback")
    assert result.exit_status == 1 and "there is no checkpoint yet" in log


def test_a_last_step_that_breaks_the_weights_is_noticed(tmp_path: Path) -> None:
    # The losses of that step were still finite; without an alarm its checkpoint would be of no use.
    def break_update(trainer: Any) -> None:
        trainer.parts.step.G_optimizer.param_groups[0]["lr"] = float("nan")

    result, _ = train(tmp_path, break_update, nimg=12, Alarms__policy="stop")
    assert (result.exit_status, result.nimg) == (1, 16)
    assert torch.load(snapshots(result.path)[-1], weights_only=True)["nimg"] == 8


def test_warnings_are_given_once_and_taken_back(tmp_path: Path) -> None:
    class Trainer:
        """As much of one as is looked at."""

        kimg = 1.0
        stats: dict[str, float] = {}
        G = D = torch.nn.Linear(1, 1)
        said: list[str] = []

        @property
        def parts(self) -> Any:
            said = self.said

            class Parts:
                class logger:  # noqa: N801
                    message = staticmethod(said.append)

            return Parts

    alarms = Alarms(max_loss=10, min_diversity=0)
    alarms.trainer = Trainer()  # type: ignore[assignment]
    for loss in (1, -11, 12, 3):
        alarms.trainer.stats = {"D_loss": loss}
        alarms.on_tick()
    assert Trainer.said == ["alarm: D_loss -11, beyond 10 at 1.0 kimg", "alarm is over: D_loss at 1.0 kimg"]


def test_collapse_is_noticed_and_a_warning_changes_nothing(tmp_path: Path) -> None:
    def collapse(trainer: Any) -> None:
        with torch.no_grad():
            for weight in trainer.parts.ema.generator.parameters():
                weight.zero_()

    flags = {"Alarms__min_diversity": 0.1, "Alarms__diversity_ticks": 1, "EMA__half_life_kimg": 1e9, "EMA__rampup": 1e9}
    result, log = train(tmp_path, collapse, Alarms__diversity_after_kimg=0.02, **flags)
    assert result.exit_status == 0
    assert log.count("alarm: samples are alike: diversity") == 1 and ", below 0.1 at 0.0 kimg" in log
    early, log = train(tmp_path, collapse, Alarms__diversity_after_kimg=10, **flags)
    assert "alarm" not in log.split("\ntick", 1)[1]
    assert early.stats["diversity"] < 1e-12 and same(early, result)
    stopped, _ = train(tmp_path, collapse, Alarms__policy="stop", Alarms__diversity_after_kimg=0, **flags)
    assert (stopped.exit_status, stopped.nimg) == (1, 24)


def test_the_distance_is_the_mean_over_pairs() -> None:
    points = torch.tensor([[0.0, 0.0], [3.0, 4.0], [0.0, 1.0]]).reshape(3, 2, 1, 1)
    assert mean_distance(points) == pytest.approx((5 + 1 + 18**0.5) / 3)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"max_loss": 0.0}, "max_loss 0 .*above 0, or None"),
        ({"samples": 1}, "samples 1 .*2 and up"),
        ({"min_diversity": -0.1}, "min_diversity -0.1 .*0 and up"),
        ({"rollbacks": 0}, "rollbacks 0 .*1 and up"),
    ],
)
def test_senseless_parameters_are_refused(flags: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=f"Alarms.{message}"):
        Alarms(**flags)
