"""A budget of time: what it leaves, how runs keep to it, and how they get more."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from tiny import TONES

from pggan_framework import Plugin, register, run
from pggan_framework.errors import UserError
from pggan_framework.plugins import depth as depth_module
from pggan_framework.plugins.depth import DepthManager
from pggan_framework.registry import REGISTRY
from pggan_framework.runs.folders import snapshots
from pggan_framework.training.age import program_age
from pggan_framework.training.budget import Budget, BudgetKeeper
from pggan_framework.training.ema import EMA
from pggan_framework.training.step import TrainingStep

COMPUTE = TrainingStep._compute
COST = {0: 2.0, 1: 4.0, 2: 8.0}
"""Seconds a step takes at each depth, by a clock that only steps move."""


class Clock(Plugin):
    """Moves the clock with each step, and records where the step was taken."""

    time = 0.0
    steps: list[tuple[int, float, float]] = []

    def after_step(self) -> None:
        """A step has passed."""
        trainer = self.trainer
        Clock.time += COST[trainer.depth]
        rate = trainer.parts.step.G_optimizer.param_groups[0]["lr"]
        Clock.steps.append((trainer.depth, float(trainer.G.alpha), rate))


@pytest.fixture
def train(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, without_gradients: None) -> Any:
    """Train with networks of three depths by the steps' clock; gives the steps and the result."""
    register("plugin")(Clock)
    Clock.time = 0.0
    for owner in (Budget, DepthManager):
        monkeypatch.setattr(owner, "now", lambda: Clock.time)
    # A cost per image that follows COST for batches of 4, on a machine that estimates take to be ten times as fast.
    guess: Callable[..., Any] = lambda G, D, growth, depth, *rest: SimpleNamespace(seconds_per_kimg=25 * COST[depth])  # noqa: E731
    monkeypatch.setattr(depth_module, "estimate", guess)

    def trained(**flags: Any) -> tuple[list[tuple[int, float, float]], Any]:
        Clock.steps = []
        small = {"TonesDataset.frames": 16, "TonesDataset.n_fft": 32, "TonesDataset.hop_length": 8}
        given = {**TONES, **small, "lr_rampup_kimg": 0, "DepthManager.tick_kimg_default": 0.4}
        given |= {"result_dir": str(tmp_path), "plugins": ["Clock"], "HTMLReport.write": False}
        given |= {"compile": "never", "QualityMonitor.every_ticks": 0}
        named = {name.replace("__", "."): value for name, value in flags.items()}
        result = run(overrides={**({} if "resume" in named else given), "result_dir": str(tmp_path), **named})
        return Clock.steps, result

    yield trained
    REGISTRY.remove("Clock")


def counts(steps: list[tuple[int, float, float]]) -> list[int]:
    return [sum(depth == wanted for depth, *_ in steps) for wanted in range(3)]


def state(result: Any) -> dict[str, Any]:
    found: dict[str, Any] = torch.load(snapshots(result.path)[-1], weights_only=True)
    return found


def test_the_reserve_is_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Budget, "now", lambda: 100.0)
    budget = Budget(10, spent=30)
    assert budget.left == 570 and 10 < budget.reserve <= 30
    for part in ("tick", "samples", "checkpoint", "report"):
        budget.note(part, 1.0)
    assert 4 < budget.reserve < 8 and budget.training_left == 570 - budget.reserve
    before = budget.reserve
    budget.note("checkpoint", 11.0)
    assert budget.reserve >= before + 10
    with pytest.raises(UserError, match="minutes 0 is not allowed"):
        Budget(0)


@pytest.mark.parametrize(("spent", "said"), [(200, 0), (540, 1), (700, 1)])
def test_a_start_that_uses_most_of_the_budget_is_logged(monkeypatch: pytest.MonkeyPatch, spent: int, said: int) -> None:
    monkeypatch.setattr(Budget, "now", lambda: 1000.0)
    lines: list[str] = []
    keeper = BudgetKeeper(Budget(10, spent=spent))
    parts = SimpleNamespace(logger=SimpleNamespace(message=lines.append))
    keeper.trainer = SimpleNamespace(parts=parts, background=SimpleNamespace(longest={}), finish=lambda why: None)  # type: ignore[assignment]
    for _ in range(3):
        keeper.before_step()
    assert len(lines) == said
    if spent == 540:
        assert re.match("start-up and reading the data took 9m 00s of the 10m 00s of --minutes: 3[0-9]s left", lines[0])
    if spent == 700:
        assert "10m 00s of --minutes: 0s left for training; give more minutes" in lines[0]


def test_minutes_choose_a_schedule_by_the_clock_that_ends_inside_them(train: Any) -> None:
    steps, result = train(minutes=10, WallClockSchedule__min_steps=20)
    assert 570 < Clock.time <= 600 and result.exit_status == 0
    seen = counts(steps)
    assert all(seen) and seen[2] * COST[2] >= 0.55 * Clock.time
    alphas = [alpha for depth, alpha, _ in steps if depth == 2]
    assert alphas[0] == 0 and alphas[-1] == 1 and alphas == sorted(alphas)
    assert state(result)["tick"] == result.stats["tick"] and result.stats["nimg"] == result.nimg


def test_a_depth_without_enough_steps_is_not_entered(train: Any, capsys: pytest.CaptureFixture[str]) -> None:
    steps, result = train(minutes=10, WallClockSchedule__min_steps=60, loggers=["TeeLogger"])
    seen = counts(steps)
    assert seen[2] == 0 and seen[1] > 100 and steps[-1][1] == 1
    log = (result.path / "log.txt").read_text()
    assert log.count("is not entered") == 1 and "WallClockSchedule.min_steps is 60; training stays at 8x8" in log
    told = re.search(r"it would get about (\d+) steps", log)
    assert told is not None and 0 < int(told[1]) < 60
    assert re.search(r"^length +\d.* of training$", capsys.readouterr().out, re.MULTILINE)
    # Another start with minutes decides anew.
    steps, again = train(resume="latest", minutes=20)
    assert again.path == result.path and {depth for depth, *_ in steps} == {2} or counts(steps)[2] > 60


def test_a_resumed_run_trains_for_its_own_minutes(train: Any) -> None:
    _, first = train(minutes=10, WallClockSchedule__min_steps=20)
    begun = Clock.time
    steps, second = train(resume="latest", minutes=5)
    assert second.path == first.path and counts(steps)[:2] == [0, 0] and {alpha for _, alpha, _ in steps} == {1.0}
    assert 270 < Clock.time - begun <= 300


def test_a_run_stopped_midway_lays_out_the_rest(train: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    flags = {"minutes": 10, "WallClockSchedule__min_steps": 20}
    step, limit = Clock.after_step, {"at": 150.0}

    def interrupted(self: Clock) -> None:
        step(self)
        if Clock.time >= limit["at"]:
            self.trainer.stop("SIGINT")

    monkeypatch.setattr(Clock, "after_step", interrupted)
    steps, _ = train(**flags)
    assert steps[-1][0] == 1
    monkeypatch.setattr(Clock, "after_step", step)
    before, begun = steps[-1], Clock.time
    steps, result = train(resume="latest", minutes=20)
    assert steps[0][0] == 1 and steps[0][1] >= before[1] and steps[-1][0] == 2
    assert 1150 < Clock.time - begun <= 1200
    # Without minutes, a run that was stopped uses what its plan had left.
    assert counts(steps)[2] * COST[2] >= 0.55 * 1150
    assert "minutes: 20" in (result.path / "config.yaml").read_text()


def test_without_minutes_the_rest_of_the_plan_is_used(train: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    step = Clock.after_step

    def interrupted(self: Clock) -> None:
        step(self)
        if Clock.time >= 150:
            self.trainer.stop("SIGINT")

    monkeypatch.setattr(Clock, "after_step", interrupted)
    train(minutes=10, WallClockSchedule__min_steps=20)
    monkeypatch.setattr(Clock, "after_step", step)
    steps, _ = train(resume="latest")
    assert steps[-1][0] == 2 and 560 < Clock.time <= 600


def test_a_finished_run_says_what_to_type(train: Any, capsys: pytest.CaptureFixture[str]) -> None:
    _, first = train(minutes=10, WallClockSchedule__min_steps=20)
    written = snapshots(first.path)[-1].stat().st_mtime_ns
    capsys.readouterr()
    steps, second = train(resume="latest")
    said = capsys.readouterr().out
    assert steps == [] and second.exit_status == 0 and second.nimg == first.nimg
    assert "is complete" in said and f"--resume {first.path} --minutes 10" in said and "total_kimg" not in said
    assert snapshots(first.path)[-1].stat().st_mtime_ns == written


def test_a_schedule_in_images_is_limited_by_minutes(train: Any) -> None:
    flags = {"DepthManager__lod_training_nimg": 40, "DepthManager__lod_transition_nimg": 40}
    _, short = train(schedule="IterationSchedule", IterationSchedule__iterations={0: 4},
                     IterationSchedule__alpha_jumps={0: 0}, minutes=10)  # fmt: skip
    assert short.nimg == 3 * 4 * 4  # the schedule ends first
    Clock.time = 0.0
    steps, limited = train(progressive_growing=False, minutes=10, exp_name="limited", **flags)
    assert counts(steps) == [0, 0, len(steps)] and 560 < Clock.time <= 600
    begun = Clock.time
    _, longer = train(resume=str(limited.path), minutes=5)
    assert longer.nimg > limited.nimg and 270 < Clock.time - begun <= 300


def test_total_kimg_ends_a_run_before_its_minutes(train: Any, capsys: pytest.CaptureFixture[str]) -> None:
    _, result = train(minutes=10, total_kimg=0.08)
    assert result.nimg == 80 and Clock.time < 100
    capsys.readouterr()
    train(resume="latest", total_kimg=0.08)
    assert "or --total_kimg above 0.08" in capsys.readouterr().out


def test_learning_rates_fall_at_the_end(train: Any) -> None:
    steps, _ = train(minutes=10, WallClockSchedule__min_steps=20, WallClockSchedule__lr_decay_share=0.5)
    rates = [rate for *_, rate in steps]
    last = [rate for depth, _, rate in steps if depth == 2]
    assert rates[: counts(steps)[0]] == [0.001] * counts(steps)[0]
    assert last[0] == 0.001 and last[len(last) // 3] == 0.001 and last[-1] < 0.0003 and last == sorted(last)[::-1]


def test_the_average_begins_anew_where_the_clock_adds_a_depth(train: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TrainingStep, "_compute", COMPUTE)  # a layer is averaged from its first gradient
    steps, result = train(minutes=10, WallClockSchedule__min_steps=20)
    births = set(state(result)["trainer"]["ema_births"].values())
    entered = 4 * (counts(steps)[0] + counts(steps)[1])
    assert births == {float(entered)}
    ema = EMA(half_life_kimg=10, rampup=0.05)
    assert ema.decay(100_000, 10) > ema.decay(1000, 10) == pytest.approx(0.5 ** (10 / 50))


def test_nothing_is_written_twice_at_the_end(train: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from pggan_framework.plugins import output, saver

    written: list[str] = []
    fakes, save = output.OutputGenerator._start, saver.SaverPlugin._start
    monkeypatch.setattr(
        output.OutputGenerator,
        "_start",
        lambda self, samples, kind: (written.append(kind), fakes(self, samples, kind))[1],
    )
    monkeypatch.setattr(
        saver.SaverPlugin, "_start", lambda self, state: (written.append("checkpoint"), save(self, state))[1]
    )
    flags = {
        "DepthManager__tick_kimg_default": 0.04,
        "OutputGenerator__output_snapshot_ticks": 1,
        "SaverPlugin__network_snapshot_ticks": 1,
    }
    _, result = train(total_kimg=0.08, **flags)
    assert result.stats["tick"] == 2 and written.count("fakes") == written.count("checkpoint") == 2


def test_the_age_of_a_program_is_that_of_its_own_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["train.py", "--minutes", "3"])
    assert program_age(["--minutes", "3"]) > 0
    assert program_age(["--minutes", "4"]) == program_age([]) == 0


def test_a_real_run_ends_in_time(tmp_path: Path) -> None:
    flags = {**TONES, "TonesDataset.frames": 16, "TonesDataset.n_fft": 32, "TonesDataset.hop_length": 8}
    flags |= {"result_dir": tmp_path, "minutes": 0.2, "DepthManager.tick_kimg_default": 0.2, "loggers": "[TeeLogger]"}
    words = [word for name, value in flags.items() for word in (f"--{name}", str(value))]
    start = time.monotonic()
    command = [sys.executable, "-m", "pggan_framework", "train", *words]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - start < 12 + 6  # other tests may keep the machine busy
    assert " left " in done.stdout and "finished" in done.stdout
