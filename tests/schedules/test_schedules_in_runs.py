"""Schedules, tables by depth, frozen blocks, plateaus and limits, in runs from the command line's flags."""

from __future__ import annotations

import json
from math import cos, pi
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from tiny import TONES

from pggan_framework import Plugin, register, run
from pggan_framework.cli.main import main
from pggan_framework.errors import UserError
from pggan_framework.plugins.depth import DepthManager
from pggan_framework.plugins.tables import ProgressTables
from pggan_framework.registry import REGISTRY
from pggan_framework.runs.folders import snapshots

TRACE: list[dict[str, Any]] = []


class Tracing(Plugin):
    """Notes what each step was taken with."""

    def after_step(self) -> None:
        """Note it."""
        trainer = self.trainer
        step = trainer.parts.step
        TRACE.append(
            {
                "nimg": trainer.nimg,
                "depth": trainer.depth,
                "alpha": round(float(trainer.G.alpha), 6),
                "lr": (step.G_optimizer.param_groups[0]["lr"], step.D_optimizer.param_groups[0]["lr"]),
                "steps": {int(state["step"]) for state in step.G_optimizer.state.values()},
                "weights": [term.weight for term in step.loss.terms if term.name == "gradient_penalty"],
            }
        )


@pytest.fixture
def trace(tmp_path: Path) -> Any:
    """Train; gives the trace and the run's result."""
    register("plugin")(Tracing)

    def train(**flags: Any) -> Any:
        TRACE.clear()
        given = {
            **TONES,
            "lr_rampup_kimg": 0,
            "TonesDataset.frames": 16,
            "TonesDataset.n_fft": 32,
            "TonesDataset.hop_length": 8,
            "DepthManager.tick_kimg_default": 0.02,
            "result_dir": str(tmp_path),
            "plugins": ["Tracing"],
            "total_kimg": 3,
            **{name.replace("__", "."): value for name, value in flags.items()},
        }
        return list(TRACE), run(overrides=given)

    def traced(**flags: Any) -> Any:
        _, result = train(**flags)
        return list(TRACE), result

    yield traced
    REGISTRY.remove("Tracing")


def test_a_run_of_iterations_ends_with_its_last_stage(trace: Any) -> None:
    steps, result = trace(
        schedule="IterationSchedule",
        IterationSchedule__iterations={0: 3, 1: 5},
        IterationSchedule__alpha_jumps={0: 2},
        IterationSchedule__alpha_jump_length={0: 1},
    )
    assert [step["depth"] for step in steps] == [0] * 3 + [1] * 5 + [2] * 5
    assert [step["alpha"] for step in steps[3:8]] == [0, 0.5, 1, 1, 1]
    assert result.nimg == 13 * 4 and result.exit_status == 0
    assert [path.name for path in snapshots(result.path)] == ["network-snapshot-000000.pt"]


def test_cycles_change_the_rates_and_early_blocks_stay(trace: Any) -> None:
    steps, result = trace(
        schedule="StageSchedule",
        StageSchedule__cycles={0: [(1.0, 1.0), (0.5, 0.4)], 1: [(0.1, 0.4)]},
        StageSchedule__freeze=True,
        G_lr_max=0.01,
        LRScheduler__D_lr_decay=0.5,
    )
    # 20 tones: 5 steps an epoch.
    assert [step["lr"][0] for step in steps] == pytest.approx([0.01] * 5 + [0.005] * 2 + [0.001] * 4)
    assert [step["lr"][1] for step in steps] == pytest.approx([0.001] * 5 + [0.0005] * 2 + [5e-5] * 2 + [2.5e-5] * 2)
    state = torch.load(snapshots(result.path)[-1], weights_only=True)
    optimizer = state["optimizers"]
    assert result.nimg == 44
    # Depth 1 was trained for two steps and held fixed for two; the seed block for seven.
    steps_of_G = {int(entry["step"]) for entry in optimizer["G"]["state"].values()}
    assert steps_of_G == {7, 2}


def test_tables_by_depth_are_followed(trace: Any) -> None:
    steps, result = trace(
        total_kimg=0.048,
        DepthManager__lod_training_nimg=8,
        DepthManager__lod_transition_nimg=8,
        by_depth={"G_lr_max": {1: 0.004}, "WGANGP.iwass_lambda": {0: 7, 2: 3}},
    )
    assert {(step["depth"], step["lr"][0], *step["weights"]) for step in steps} == {
        (0, 0.001, 7), (1, 0.004, 7), (2, 0.004, 3)
    }  # fmt: skip
    assert result.stats["WGANGP.iwass_lambda"] == 3


def test_tables_by_progress_are_followed(trace: Any) -> None:
    steps, result = trace(
        total_kimg=0.04,
        by_progress={
            "G_lr_max": {0: 0.004, 0.5: 0.002, 1: 0.001},
            "WGANGP.iwass_lambda": {0.2: 8, 0.8: 2},
            "Adam.betas": {0: [0, 0.9], 1: [0, 0.99]},
            "minibatch_size": {0: 2, 1: 6},
        },
    )

    def cosine(gone: float, first: float, last: float) -> float:
        return last + (first - last) * (1 + cos(pi * gone)) / 2

    assert len(steps) > 8
    places, nimg = [], 0
    for step in steps:
        place = nimg / 40
        places.append(place)
        rate = cosine(2 * place, 0.004, 0.002) if place < 0.5 else cosine(2 * place - 1, 0.002, 0.001)
        assert step["lr"][0] == pytest.approx(rate)
        weight = cosine(min(max((place - 0.2) / 0.6, 0), 1), 8, 2)
        assert step["weights"][0] == pytest.approx(weight)
        assert step["nimg"] - nimg == round(cosine(place, 2, 6))
        nimg = step["nimg"]
    assert result.stats["WGANGP.iwass_lambda"] == pytest.approx(weight)
    state = torch.load(snapshots(result.path)[-1], weights_only=True)["optimizers"]
    for side in "GD":
        assert state[side]["param_groups"][0]["betas"] == pytest.approx((0, cosine(places[-1], 0.9, 0.99)))


@pytest.mark.parametrize(("gone", "left", "nimg", "fraction"), [(30, 90, 0, 0.25), (30, 90, 50, 0.5), (5, -1, 0, 1.0)])
def test_progress_is_that_of_the_images_or_of_the_time(gone: float, left: float, nimg: int, fraction: float) -> None:
    class Manager(DepthManager):
        unit = "second"  # type: ignore[assignment]
        position = gone  # type: ignore[assignment]

        def seconds_left(self) -> float:
            return left

    tables = ProgressTables({}, {}, {})
    tables.trainer = SimpleNamespace(nimg=nimg, total_nimg=100, plugins=[Manager()])  # type: ignore[assignment]
    assert tables.fraction == fraction


@pytest.mark.parametrize(("when", "resets"), [("never", []), ("depth", [8, 24]), ("fade", [8, 16, 24, 32])])
def test_optimisers_forget_when_they_are_to(trace: Any, when: str, resets: list[int]) -> None:
    steps, _ = trace(
        total_kimg=0.048,
        DepthManager__lod_training_nimg=8,
        DepthManager__lod_transition_nimg=8,
        DepthManager__optimizer_reset=when,
    )
    # In the step after a reset every state is one step old.
    fresh = [step["nimg"] - 4 for step in steps if step["steps"] == {1}]
    assert [nimg for nimg in fresh if nimg > 0] == resets


@pytest.mark.usefixtures("without_gradients")
def test_repeats_hold_depth_and_alpha(trace: Any) -> None:
    steps, _ = trace(
        total_kimg=0.064,
        DepthManager__lod_training_nimg=8,
        DepthManager__lod_transition_nimg=24,
        DepthManager__minibatch_repeats=4,
    )
    shown = [(step["depth"], step["alpha"]) for step in steps]
    assert shown == [shown[index - index % 4] for index in range(len(shown))]
    assert len(set(shown)) > 2


def test_the_clock_ends_a_run(trace: Any) -> None:
    steps, result = trace(
        schedule="WallClockSchedule", WallClockSchedule__minutes=0.03, WallClockSchedule__min_steps=0, total_kimg=1000
    )
    assert result.exit_status == 0 and 0 < result.nimg < 1_000_000
    assert steps[0]["depth"] == 0 and steps[-1]["depth"] == 2


def test_a_dry_run_knows_the_time_and_guesses_the_images(capsys: pytest.CaptureFixture[str]) -> None:
    flags = {**TONES, "schedule": "WallClockSchedule", "WallClockSchedule.minutes": 6, "TonesDataset.frames": 16}
    flags |= {"WallClockSchedule.shares": "{0: 1, 1: 2}", "TonesDataset.n_fft": 32, "TonesDataset.hop_length": 8}
    words = [word for name, value in flags.items() for word in (f"--{name}", str(value))]
    assert main(["train", *words, "--dry_run"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines() if line[:5].strip().isdigit()]
    assert [" ".join(row[7:]) for row in rows] == ["1 min 12 s", "2 min 24 s", "2 min 24 s"]
    assert all(float(row[3]) > 0 for row in rows)


def test_a_time_limit_ends_a_run_and_a_resume_goes_on(trace: Any, tmp_path: Path) -> None:
    _, first = trace(plugins=["Tracing", "TimeLimit"], TimeLimit__minutes=0.01, total_kimg=1000)
    assert first.exit_status == 0 and snapshots(first.path)
    _, second = trace(plugins=["Tracing", "TimeLimit"], TimeLimit__minutes=0.01, total_kimg=1000, resume="latest")
    assert second.path == first.path and second.nimg > first.nimg


@pytest.mark.usefixtures("without_gradients")
def test_a_plateau_lowers_the_rates_down_to_the_least(trace: Any) -> None:
    register("plugin")(Flat)
    try:
        steps, result = trace(
            plugins=["Flat", "ReduceOnPlateau", "Tracing"],
            ReduceOnPlateau__figure="flat",
            ReduceOnPlateau__patience=1,
            ReduceOnPlateau__min_lr=0.0003,
            total_kimg=0.2,
        )
    finally:
        REGISTRY.remove("Flat")
    rates = [step["lr"][0] for step in steps]
    # 5 steps a tick: the best at the first, two without improvement, then half, and then the least.
    assert rates[:15] == [0.001] * 15 and rates[15:25] == [0.0005] * 10 and rates[25:] == [0.0003] * 25
    rows = [json.loads(line) for line in (result.path / "stats.jsonl").read_text().splitlines()]
    assert rows[-1]["G_lr"] == 0.0003


def test_a_figure_that_never_comes_is_told(trace: Any, capsys: pytest.CaptureFixture[str]) -> None:
    flags = {"ReduceOnPlateau__figure": "D_los", "ReduceOnPlateau__patience": 2, "total_kimg": 0.1}
    trace(plugins=["Tracing", "ReduceOnPlateau"], **flags)
    assert capsys.readouterr().err.count("no 'D_los' in 3 ticks (did you mean 'D_loss'?); there are: tick, ") == 1


class Flat(Plugin):
    """A value that never changes."""

    def on_tick(self) -> None:
        """Report it."""
        self.trainer.stats["flat"] = 1.0


def test_resuming_amid_all_of_it_is_exact(trace: Any) -> None:
    flags = {
        "schedule": "StageSchedule",
        "StageSchedule__cycles": {0: [(1.0, 0.6), (0.5, 0.4)]},
        "StageSchedule__fade_epochs": 0.5,
        "StageSchedule__freeze": True,
        "DepthManager__optimizer_reset": "fade",
        "by_depth": {"D_lr_max": {1: 0.002}},
        "Adam__weight_decay": 0.01,
        "Adam__clip_norm": 1.0,
    }
    _, whole = trace(**flags, exp_name="whole")
    trace(**flags, exp_name="part", total_kimg=0.028)
    _, part = trace(**flags, exp_name="part", resume="latest")
    one, other = (torch.load(snapshots(result.path)[-1], weights_only=True) for result in (whole, part))
    assert whole.nimg == part.nimg == 60
    for name in ("networks", "ema", "optimizers"):
        assert str(one[name]) == str(other[name])
    for key, value in one["networks"]["G"].items():
        assert torch.equal(value, other["networks"]["G"][key]), key


def test_gradients_are_clipped_together(trace: Any) -> None:
    _, result = trace(total_kimg=0.02, Adam__clip_norm=1e-6)
    assert result.stats["D_gradient"] > 1e-6
    state = torch.load(snapshots(result.path)[-1], weights_only=True)["optimizers"]["D"]["state"]
    squares = sum(float(entry["exp_avg"].square().sum()) for entry in state.values())
    assert squares == pytest.approx(1e-12, rel=1e-3)


def test_an_update_that_is_not_finite_is_skipped_if_asked(trace: Any) -> None:
    _, result = trace(total_kimg=0.04, Adam__skip_nonfinite=True, WGANGP__iwass_lambda=1e38, G_lr_max=0.5)
    assert 0 < result.stats["D_skipped"] <= 1 and result.exit_status == 0
    assert all(
        torch.isfinite(w).all()
        for w in torch.load(snapshots(result.path)[-1], weights_only=True)["networks"]["D"].values()
    )


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"schedule": "Iteration"}, "schedule: unknown schedule 'Iteration'.*IterationSchedule"),
        ({"schedule": "StageSchedule", "progressive_growing": False}, "progressive_growing is False"),
        ({"by_depth": {"WGANGP.iwass_lamda": {0: 1}}}, "iwass_lamda cannot have a table.*did you mean.*iwass_lambda"),
        ({"by_depth": {"Generator.fmap_max": {0: 1}}}, "Generator.fmap_max cannot have a table"),
        ({"by_depth": {"minibatch_size": {0: 1}}}, "DepthManager.minibatch_overrides"),
        ({"by_progress": {"G_lr_max": {2: 1.0}}}, "by_progress: G_lr_max.*allowed: fractions 0 to 1"),
        ({"by_progress": {"G_lr_max": {0: -1.0}}}, "by_progress: G_lr_max.*allowed: numbers of 0 and above"),
        (
            {"by_progress": {"G_lr_maxx": {0: 1.0}}},
            "by_progress: G_lr_maxx cannot have a table.*did you mean.*G_lr_max",
        ),
        ({"by_progress": {"Adam.betas": {0: [0, 1]}}}, "Adam.betas .*each must be at least 0 and below 1"),
        (
            {"by_progress": {"G_lr_max": {0: 0.1}}, "by_depth": {"G_lr_max": {0: 0.1}}},
            "by_depth and by_progress both have LRScheduler.G_lr_max",
        ),
        ({"by_depth": {"G_lr_max": {0: "much"}}}, "by_depth: G_lr_max.0: much is not of type float"),
        ({"by_depth": {"G_lr_max": {7: 1.0}}}, "LRScheduler.G_lr_max: 7 is not a depth; allowed: 0 to 2"),
        ({"by_depth": {"G_lr_max": {0: -1.0}}}, "-1.0 is given; allowed: 0 and above"),
        ({"by_depth": {"WGANGP.iwass_target": {0: 0.0}}}, "iwass_target 0.0 is not above 0"),
        ({"by_depth": {"WGANGP.iwass_lambda": {1: 5}}, "WGANGP__iwass_lambda": 0}, "is 0, so a table cannot"),
        ({"by_depth": {"G_lr_max": {0: float("nan")}}}, "nan is given; allowed: 0 and above"),
        ({"penalties": ["R1"], "by_depth": {"R1.interval": {1: 0}}}, "R1.interval 0 is not allowed; allowed: 1 and up"),
        (
            {"penalties": ["R1"], "by_depth": {"R1.weight": {1: 2}}, "R1__depth_weights": {0: 1}},
            "by_depth: R1.weight and R1.depth_weights are given; allowed: one of them",
        ),
        ({"Adam__clip_norm": 0}, "Adam.clip_norm 0.0 is not allowed"),
        ({"Adam__weight_decay": -1}, "Adam.weight_decay -1.0 is not allowed"),
        ({"LRScheduler__G_lr_decay": 0}, "LRScheduler.G_lr_decay 0.0 is not allowed"),
        ({"plugins": ["ReduceOnPlateau"], "ReduceOnPlateau__factor": 1}, "ReduceOnPlateau.factor 1.0 is not allowed"),
        ({"plugins": ["ReduceOnPlateau"], "ReduceOnPlateau__patience": -1}, "ReduceOnPlateau.patience -1"),
        ({"plugins": ["TimeLimit"], "TimeLimit__minutes": 0}, "TimeLimit.minutes 0.0 is not allowed"),
        ({"generator": "DCGANGenerator", "discriminator": "DCGANDiscriminator", "schedule": "StageSchedule"}, "grow"),
    ],
)
def test_what_contradicts_itself_is_refused(trace: Any, flags: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        trace(**flags)


@pytest.mark.usefixtures("without_gradients")
def test_phases_beside_a_schedule_are_noted(trace: Any, capsys: pytest.CaptureFixture[str]) -> None:
    cycles = {0: [(1.0, 0.2)]}
    steps, _ = trace(schedule="StageSchedule", StageSchedule__cycles=cycles, DepthManager__lod_training_nimg=5)
    assert [step["depth"] for step in steps] == [0, 1, 2]
    assert "note: DepthManager.lod_... is given but StageSchedule is used" in capsys.readouterr().err


def test_every_schedulable_parameter_can_be_set(tmp_path: Path) -> None:
    from pggan_framework.config.discovery import load_builtin
    from pggan_framework.config.parameters import parameters

    load_builtin()
    found = 0
    for component in REGISTRY:
        for name in getattr(component.cls, "schedulable", ()):
            owner = component.cls if hasattr(component.cls, name) else component.cls()
            assert hasattr(owner, name), f"{component.name}.{name}"
            assert component.name == "LRScheduler" or name in parameters(component.cls, component.name)
            found += 1
    assert found > 20
