"""Which phases are compiled, what is said of it, and that a run's results do not depend on a break."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import TONES

from pggan_framework import run
from pggan_framework.config import resolve_overrides
from pggan_framework.errors import UserError
from pggan_framework.launch.experiment import Experiment
from pggan_framework.loggers.base import Logger
from pggan_framework.runs.folders import snapshots
from pggan_framework.schedules.plan import Curve, Plan, Stage, linear_fade
from pggan_framework.training import compiler, compiling
from pggan_framework.training.compiler import Record, has_compiler
from pggan_framework.training.compiling import Compiling

SETTING: dict[str, Any] = {**TONES, "TonesDataset.count": 12, "exp_name": "c"}


class Heard(Logger):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def message(self, text: str) -> None:
        self.lines.append(text)


@pytest.fixture
def as_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Record:
    """Graphs are run as they are traced, which takes a second in place of a minute."""
    record = Record(tmp_path / "cache" / "record.json")
    monkeypatch.setattr(compiling, "compiler", lambda device: lambda graph: graph)
    monkeypatch.setattr(compiling, "has_compiler", lambda device: True)
    monkeypatch.setattr(Record, "of_this_machine", classmethod(lambda cls: record))
    return record


def started(tmp_path: Path, wish: str, lengths: Any, **options: Any) -> tuple[Compiling, Any, list[str]]:
    """A Compiling in a trainer at its first step."""
    clock = options.pop("clock", False)
    experiment = Experiment(resolve_overrides(None, {**SETTING, "progressive_growing": False, **options}))
    trainer, _ = experiment.trainer(tmp_path)
    trainer.parts.logger = heard = Heard()
    plugin = Compiling(wish, lambda nimg: lengths, lambda depth: 4, clock, ["a note", ""])  # type: ignore[arg-type]
    plugin.setup(trainer)
    plugin.before_step()
    return plugin, trainer, heard.lines


def test_phases_of_a_plan() -> None:
    stages = [Stage(100), Stage(50, linear_fade(20)), Stage(0), Stage(30, Curve(((0, 0), (10, 0.5))))]
    plan = Plan(stages)
    whole = {(0, False): 100, (1, True): 20, (1, False): 30, (3, True): 50}
    assert plan.phases(0, 200) == whole
    assert plan.phases(110, 160) == {(1, True): 10, (1, False): 30, (3, True): 10}
    assert Plan(stages, ends=True).phases(0, 1000) == {**whole, (3, True): 30}
    assert Plan(stages, unit="second").phases(0, 5) == {**whole, (3, True): 30}


@pytest.mark.usefixtures("as_it_is")
def test_auto_compiles_what_is_long_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        compiling, "estimate", lambda *a: type("Cost", (), {"seconds_per_kimg": 2.0, "overhead": share["now"]})
    )
    share = {"now": 0.0}
    deepest = {"steps": 4 * compiling.FEWEST_STEPS}
    # 2 s a thousand images must pay 1.5 times for 60 s: 900 thousand images or more where 5 % of the time is saved.
    for overhead, images, compiled in ((0, 899e3, False), (0, 901e3, True), (0.5, 119e3, False), (0.5, 121e3, True)):
        share["now"] = overhead
        plugin, _, lines = started(tmp_path, "auto", {(0, False): images, (1, True): deepest["steps"] - 1})
        assert plugin.chosen == {(0, False): compiled, (1, True): False}
        assert lines[0] == "a note"
        assert lines[1] == ("compile auto: 4x4; each when it begins" if compiled else lines[1])
        assert compiled or "no phase is long enough" in lines[1]
    share["now"] = 0.0
    # What was measured on this machine counts for more than what is usual.
    plugin, *_ = started(tmp_path, "auto", {(0, False): 100_000})
    plugin.record.add(plugin._name((0, False)), seconds=5, saved=0.2)
    plugin, *_ = started(tmp_path, "auto", {(0, False): 100_000})
    assert plugin.chosen == {(0, False): True}


@pytest.mark.usefixtures("as_it_is")
def test_a_clock_gives_the_time_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiling, "estimate", lambda *a: type("Cost", (), {"seconds_per_kimg": 9e9, "overhead": 0.0}))
    # 1.5 times 60 s and 20 s more a depth, at 5 %.
    plugin, *_ = started(tmp_path, "auto", {(0, False): 1801.0, (1, False): 2399.0, (2, False): 3001.0}, clock=True)
    assert plugin.chosen == {(0, False): True, (1, False): False, (2, False): True}


@pytest.mark.usefixtures("as_it_is")
@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"penalties": ["UnrolledD"]}, "UnrolledD adds up its terms in a way of its own"),
        ({"augmentations": ["SpectrogramAugment"]}, "the pictures are augmented at random"),
    ],
)
def test_why_nothing_is_compiled_is_told_at_the_start(tmp_path: Path, options: dict[str, Any], reason: str) -> None:
    plugin, trainer, lines = started(tmp_path, "always", {(0, False): 10.0}, **options)
    assert len(lines) == 2 and lines[1].startswith("compile always: not used, because") and reason in lines[1]
    trainer.take_step()


def test_without_a_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    assert not has_compiler(torch.device("cpu"))
    _, trainer, lines = started(tmp_path, "always", {(0, False): 10.0})
    assert "there is no C++ compiler" in lines[1]
    trainer.take_step()
    tool = tmp_path / "clang++"
    tool.touch(mode=0o755)
    assert has_compiler(torch.device("cpu"))


def test_never_and_short_runs_say_nothing(tmp_path: Path) -> None:
    for wish in ("never", "auto"):
        _, trainer, lines = started(tmp_path, wish, {(0, False): 1000.0})
        assert lines == ["a note"]


def _last(folder: Path) -> dict[str, Any]:
    state: dict[str, Any] = torch.load(snapshots(folder)[-1], weights_only=True)
    return state


def test_a_compiled_run_resumes_exactly_and_says_what_it_did(tmp_path: Path, as_it_is: Record) -> None:
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
    size = "x".join(text.split("compile always: ")[1].split(",")[0].split("x"))
    assert f"compiled D's update at {size} in" in text and f"compiled G's update at {size} in" in text
    assert "update at" not in (never.path / "log.txt").read_text()
    run(overrides={**flags, "total_kimg": 0.02, "result_dir": str(tmp_path / "parts")})
    parts = run(overrides={"total_kimg": 0.036, "result_dir": str(tmp_path / "parts"), "resume": "latest"})
    for other, tolerance in ((parts, 0.0), (never, 1e-3)):
        for name in ("G", "D"):
            mine, theirs = (_last(result.path)["networks"][name] for result in (whole, other))
            for key, value in mine.items():
                torch.testing.assert_close(value, theirs[key], rtol=tolerance, atol=tolerance)
    entries = json.loads(as_it_is.path.read_text())
    assert len(entries) == 3  # 4 px, 8 px fading, 8 px
    assert all(entry["seconds"] > 0 and 0 <= entry["saved"] < 1 for entry in entries.values())


def test_a_choice_is_kept_for_a_run_of_the_same_length(tmp_path: Path) -> None:
    plugin, trainer, _ = started(tmp_path, "auto", {(0, False): 1000.0})
    plugin.load_state_dict({"total": trainer.total_nimg, "compiled": [[2, True]]})
    assert plugin.chosen == {(2, True): True}
    assert plugin.state_dict() == {"total": trainer.total_nimg, "compiled": [[2, True]]}
    plugin.load_state_dict({"total": 5, "compiled": [[1, True]]})
    assert plugin.chosen == {(2, True): True}


@pytest.mark.usefixtures("as_it_is")
def test_a_choice_holds_to_the_end_of_its_phase(tmp_path: Path) -> None:
    plugin, trainer, lines = started(tmp_path, "auto", {(3, False): 8.0})
    resumed = Compiling("auto", lambda nimg: {(3, False): 8.0}, lambda depth: 4)
    resumed.setup(trainer)
    resumed.load_state_dict({"total": trainer.total_nimg, "compiled": [[0, False], [3, False]]})
    resumed.before_step()
    assert lines[1:] == ["compile auto: 32x32; each when it begins"]
    assert trainer.parts.step.gradients.enabled
    assert not plugin.chosen


def test_a_record_that_cannot_be_read_or_written_is_none(tmp_path: Path) -> None:
    (tmp_path / "broken.json").write_text("{")
    record = Record(tmp_path / "broken.json")
    assert record.of("x") is None
    record.add("x", 3, 0.5)
    assert record.of("x") == (3, 0.5)
    lost = Record(tmp_path / "broken.json" / "below")
    lost.add("x", 3, 0.5)
    assert lost.of("x") is None


def test_flags_outside_their_choices_are_told() -> None:
    for name in ("compile", "precision"):
        with pytest.raises(UserError, match=name):
            resolve_overrides(None, {name: "sometimes"})


def test_half_written_code_is_deleted_from_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiler, "_cache", lambda: tmp_path / "cache")
    (tmp_path / "cache").mkdir()
    inside, outside = tmp_path / "cache" / "a.main.so", tmp_path / "b.so"
    for file in (inside, outside):
        file.touch()
    assert not compiler.mend(ImportError(f"{outside}: file too short"))
    assert not compiler.mend(RuntimeError(f"{inside} is slow"))
    assert compiler.mend(RuntimeError(f"InductorError: ImportError: {inside}: file too short"))
    assert not inside.exists() and outside.exists()
    assert not compiler.mend(RuntimeError(f"ImportError: {inside}: file too short"))


def test_code_that_is_mended_is_compiled_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    tries = []

    def compile_(graph: Any, **options: Any) -> Any:
        def function(x: int) -> list[int]:
            tries.append(x)
            if len(tries) in (1, 3):
                raise ImportError(f"try {len(tries)}")
            return [x]

        return function

    monkeypatch.setattr(torch, "compile", compile_)
    monkeypatch.setattr(compiler, "mend", lambda error: "try" in str(error))
    function: Any = compiler.compiler(torch.device("cpu"))(None)  # type: ignore[arg-type]
    assert function(5) == [5] and tries == [5, 5]
    with pytest.raises(ImportError):  # it had worked: this is another trouble
        function(6)
