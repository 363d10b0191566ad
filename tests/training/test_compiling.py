"""Which phases are compiled, what is said of it, and that a run's results do not depend on a break."""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate, cycle
from math import inf
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import TONES

from pggan_framework import run
from pggan_framework.config import resolve_overrides
from pggan_framework.errors import UserError
from pggan_framework.launch.experiment import Experiment
from pggan_framework.launch.verify import verify
from pggan_framework.losses import WGANGP, UnrolledD
from pggan_framework.runs.folders import snapshots
from pggan_framework.schedules.plan import Curve, Plan, Stage, linear_fade
from pggan_framework.training import compiler, compiling
from pggan_framework.training.compiler import has_compiler
from pggan_framework.training.compiling import AUTO_SECONDS, AUTO_STEPS, gradient_source
from pggan_framework.training.graphs import Captures
from pggan_framework.training.step import backward

SETTING: dict[str, Any] = {**TONES, "TonesDataset.count": 12, "exp_name": "c"}
CPU = torch.device("cpu")
SHORT, LONG = {(0, False): AUTO_STEPS - 1}, {(0, False): AUTO_STEPS}


@pytest.fixture
def as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Graphs are run as they are traced, which takes a second in place of a minute."""
    monkeypatch.setattr(compiling, "compiler", lambda device: lambda graph: graph)
    monkeypatch.setattr(compiling, "has_compiler", lambda device: True)


def worth(source: Any) -> Callable[[int, bool], bool]:
    assert isinstance(source, Captures)
    return source.worth


def test_phases_of_a_plan() -> None:
    stages = [Stage(100), Stage(50, linear_fade(20)), Stage(0), Stage(30, Curve(((0, 0), (10, 0.5))))]
    plan = Plan(stages)
    whole = {(0, False): 100, (1, True): 20, (1, False): 30, (3, True): 50}
    assert plan.phases(0, 200) == whole
    assert plan.phases(110, 160) == {(1, True): 10, (1, False): 30, (3, True): 10}
    assert Plan(stages, ends=True).phases(0, 1000) == {**whole, (3, True): 30}
    assert Plan(stages, unit="second").phases(0, 5) == {**whole, (3, True): 30}


@pytest.mark.usefixtures("as_it_is")
def test_auto_compiles_phases_of_ten_thousand_steps() -> None:
    assert gradient_source("auto", WGANGP(), CPU, SHORT, {}) is backward
    chosen = worth(gradient_source("auto", WGANGP(), CPU, {**LONG, (1, True): AUTO_STEPS - 1}, {}))
    assert chosen(0, False) and not chosen(0, True) and not chosen(1, True) and not chosen(1, False)


@pytest.mark.usefixtures("as_it_is")
def test_a_clock_counts_in_seconds_and_bounds_compiling() -> None:
    assert gradient_source("auto", WGANGP(), CPU, {}, {(0, False): AUTO_SECONDS - 1}) is backward
    left = [inf]
    for source in (
        gradient_source("auto", WGANGP(), CPU, {}, {(0, False): AUTO_SECONDS}, lambda: left[0]),
        gradient_source("auto", WGANGP(), CPU, LONG, {}, lambda: left[0]),
    ):
        for seconds, compiled in ((inf, True), (AUTO_SECONDS, True), (AUTO_SECONDS - 1, False)):
            left[0] = seconds
            assert worth(source)(0, False) == compiled
    said: list[str] = []
    always = worth(gradient_source("always", WGANGP(), CPU, SHORT, {}, lambda: left[0], say=said.append))
    for seconds, compiled in ((inf, True), (80.0, True), (79.0, False), (-3.0, False)):
        left[0] = seconds
        assert always(1, True) == compiled
    assert said[-1] == "compile always: depth 1 is not compiled, which takes about 80 s: 0 s are left"


@pytest.mark.usefixtures("as_it_is")
def test_the_choice_follows_from_the_whole_plan_wherever_a_run_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiling, "AUTO_STEPS", 3)
    flags = {
        **SETTING,
        "total_kimg": 0.06,
        "DepthManager.lod_training_nimg": 12,
        "DepthManager.lod_transition_nimg": 8,
        "DepthManager.minibatch_default": 4,
    }
    trainer, _ = Experiment(resolve_overrides(None, flags)).trainer(tmp_path)
    chosen = worth(trainer.parts.step.gradients)
    trainer.nimg = 55
    assert chosen(0, False) and not chosen(1, True) and chosen(1, False)


@pytest.mark.usefixtures("as_it_is")
def test_why_nothing_is_compiled_is_said_at_the_start() -> None:
    for loss, augmented, reason in (
        (UnrolledD(WGANGP()), False, "UnrolledD sums its terms in a custom way"),
        (WGANGP(), True, "the images are augmented at random"),
    ):
        said: list[str] = []
        assert gradient_source("always", loss, CPU, SHORT, {}, augmented=augmented, say=said.append) is backward
        assert said == [f"compile always: not used, because {reason}"]


def test_without_a_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    assert not has_compiler(CPU)
    said: list[str] = []
    assert gradient_source("always", WGANGP(), CPU, SHORT, {}, say=said.append) is backward
    assert "there is no C++ compiler" in said[0]
    tool = tmp_path / "clang++"
    tool.touch(mode=0o755)
    assert has_compiler(CPU)


def test_never_and_short_runs_say_nothing() -> None:
    for mode, steps in (("never", LONG), ("auto", SHORT)):
        assert gradient_source(mode, WGANGP(), CPU, steps, {}, say=pytest.fail) is backward  # type: ignore[arg-type]


def _last(folder: Path) -> dict[str, Any]:
    state: dict[str, Any] = torch.load(snapshots(folder)[-1], weights_only=True)
    return state


@pytest.mark.usefixtures("as_it_is")
def test_a_compiled_run_resumes_exactly_and_says_what_it_did(tmp_path: Path) -> None:
    flags = {
        **SETTING,
        "compile": "always",
        "DepthManager.lod_training_nimg": 12,
        "DepthManager.lod_transition_nimg": 12,
        "DepthManager.tick_kimg_default": 0.012,
        "DepthManager.tick_kimg_overrides": {},
        "SaverPlugin.network_snapshot_ticks": 1,
        "loggers": ["TeeLogger"],
    }
    whole = run(overrides={**flags, "total_kimg": 0.036, "result_dir": str(tmp_path / "whole")})
    never = run(overrides={**flags, "compile": "never", "total_kimg": 0.036, "result_dir": str(tmp_path / "never")})
    text = (whole.path / "log.txt").read_text()
    sizes = ("4x4", "8x8 fading", "8x8")
    assert all(f"compiled {side}'s update at {size} in" in text for side in "DG" for size in sizes)
    assert "update at" not in (never.path / "log.txt").read_text()
    run(overrides={**flags, "total_kimg": 0.02, "result_dir": str(tmp_path / "parts")})
    parts = run(overrides={"total_kimg": 0.036, "result_dir": str(tmp_path / "parts"), "resume": "latest"})
    for other, tolerance in ((parts, 0.0), (never, 1e-3)):
        for name in ("G", "D"):
            mine, theirs = (_last(result.path)["networks"][name] for result in (whole, other))
            for key, value in mine.items():
                torch.testing.assert_close(value, theirs[key], rtol=tolerance, atol=tolerance)


@pytest.mark.usefixtures("as_it_is")
def test_what_was_faster_is_measured_once_and_kept_by_checkpoints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiling, "AUTO_STEPS", 1)
    flags = {**SETTING, "compile": "auto", "loggers": ["TeeLogger"], "result_dir": str(tmp_path)}
    flags["SaverPlugin.keep_old_checkpoints"] = True
    now = accumulate(cycle([0.0, 2.0, 0.0, 1.0]))  # a graph takes 2 s, eager autograd 1 s
    monkeypatch.setattr(compiling, "_now", lambda device: next(now))
    first = run(overrides={**flags, "total_kimg": 0.012})
    kinds = _last(first.path)["compiled"]
    assert sorted(kind[0] for kind in kinds) == ["D", "G"] and not any(kinds.values())
    assert "because eager autograd takes" in (first.path / "log.txt").read_text()

    monkeypatch.setattr(compiling, "_now", pytest.fail)
    second = run(overrides={"total_kimg": 0.024, "result_dir": str(tmp_path), "resume": "latest"})
    assert second.path == first.path and _last(second.path)["compiled"] == kinds
    assert (first.path / "log.txt").read_text().count("is not compiled, because eager autograd was faster before") == 2
    # Verifying computes as the run did, from its first step and from a checkpoint, and does not measure again either.
    early, late = snapshots(first.path)
    assert verify(None, early).differences == () == verify(early, late).differences


def test_flags_outside_their_choices_are_told() -> None:
    for name in ("compile", "precision"):
        with pytest.raises(UserError, match=name):
            resolve_overrides(None, {name: "sometimes"})


def test_half_written_code_is_deleted_from_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiler, "compiled_code", lambda: tmp_path / "cache")
    (tmp_path / "cache").mkdir()
    inside, outside = tmp_path / "cache" / "a.main.so", tmp_path / "b.so"
    for file in (inside, outside):
        file.touch()
    assert not compiler.fix(ImportError(f"{outside}: file too short"))
    assert not compiler.fix(RuntimeError(f"{inside} is slow"))
    assert compiler.fix(RuntimeError(f"InductorError: ImportError: {inside}: file too short"))
    assert not inside.exists() and outside.exists()
    assert not compiler.fix(RuntimeError(f"ImportError: {inside}: file too short"))


def test_code_that_is_fixed_is_compiled_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    tries = []

    def compile_(graph: Any, **options: Any) -> Any:
        def function(x: int) -> list[int]:
            tries.append(x)
            if len(tries) in (1, 3):
                raise ImportError(f"try {len(tries)}")
            return [x]

        return function

    monkeypatch.setattr(torch, "compile", compile_)
    monkeypatch.setattr(compiler, "fix", lambda error: "try" in str(error))
    function: Any = compiler.compiler(torch.device("cpu"))(None)  # type: ignore[arg-type]
    assert function(5) == [5] and tries == [5, 5]
    with pytest.raises(ImportError):  # it had worked: this is another trouble
        function(6)
