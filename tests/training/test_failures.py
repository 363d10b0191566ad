"""Whatever fails, the state of the last finished step is saved; side work that fails is a warning."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from test_resume import TINY, _last_state, _same, _stats

from pggan_framework import Plugin, UserError, register, run
from pggan_framework.data.datasets.tones import TonesDataset
from pggan_framework.errors import DivergedError
from pggan_framework.postprocessors.base import Artifact, Postprocessor
from pggan_framework.registry import REGISTRY
from pggan_framework.runs.folders import snapshots
from pggan_framework.training.checkpoint import CheckpointError
from pggan_framework.training.ema import EMA
from pggan_framework.training.step import TrainingStep

FLAGS = {**TINY, "SaverPlugin.network_snapshot_ticks": 10**6, "SaverPlugin.keep_old_checkpoints": False}
TOTAL = 0.144


class Trap:
    """Raises an error once, where it is set."""

    def __init__(self) -> None:
        self.where, self.error = "", Exception()

    def set(self, where: str, error: Exception) -> None:
        self.where, self.error = where, error

    def __call__(self, where: str) -> None:
        if where == self.where:
            self.where = ""
            raise self.error


@pytest.fixture
def trap(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Sets traps in the hooks of a plugin, in the data, in the halves of a step and in the EMA, by images."""
    trap = Trap()

    class Trapped(Plugin):
        """Looks at every hook."""

        def setup(self, trainer: Any) -> None:
            super().setup(trainer)
            self.seen: list[int] = []

        def before_step(self) -> None:
            trap(f"before {self.trainer.nimg}")

        def after_step(self) -> None:
            trap(f"after {self.trainer.nimg}")
            self.seen.append(self.trainer.nimg)

        def on_tick(self) -> None:
            trap(f"tick {self.trainer.nimg}")

        def on_depth_change(self) -> None:
            trap(f"depth {self.trainer.nimg}")

    class Later(Plugin):
        """Must see every step, whatever the plugin before it does."""

        def __init__(self) -> None:
            self.steps = 0

        def after_step(self) -> None:
            self.steps += 1

        def state_dict(self) -> dict[str, Any]:
            return {"steps": self.steps}

        def load_state_dict(self, state: dict[str, Any]) -> None:
            self.steps = state["steps"]

    class TrappedTones(TonesDataset):
        """Tones that may be missing."""

        def images(self, indices: Any, depth: int) -> Any:
            trap("data")
            return super().images(indices, depth)

    register("plugin")(Trapped)
    register("plugin")(Later)
    register("dataset")(TrappedTones)
    compute_really, update = TrainingStep._compute, EMA.update

    def compute(self: TrainingStep, context: Any, *more: Any) -> Any:
        found = compute_really(self, context, *more)
        trap(f"{context.side} {context.progress.nimg}")
        return found

    def average(self: EMA, G: Any, nimg: float, batch: int) -> None:
        trap(f"ema {nimg:g}")
        update(self, G, nimg, batch)

    monkeypatch.setattr(TrainingStep, "_compute", compute)
    monkeypatch.setattr(EMA, "update", average)
    yield trap
    for name in ("Trapped", "Later", "TrappedTones"):
        REGISTRY.remove(name)


WHOLE: dict[int, tuple[dict[str, Any], list[dict[str, float]]]] = {}
"""The last state and the ticks of uninterrupted runs, by the repeats of D's updates."""


def _whole(folder: Path, repeats: int = 1) -> tuple[dict[str, Any], list[dict[str, float]]]:
    if repeats not in WHOLE:
        path = run(overrides=_flags(folder, **{"Trainer.D_training_repeats": repeats})).path
        WHOLE[repeats] = _last_state(path), _stats(path)
    return WHOLE[repeats]


def _flags(folder: Path, **more: Any) -> dict[str, Any]:
    tones = {name.replace("TonesDataset.", "TrappedTones."): value for name, value in FLAGS.items()}
    tones |= {"dataset_class": "TrappedTones", "plugins": ["Trapped", "Later"], "total_kimg": TOTAL}
    return {**tones, "result_dir": str(folder), **more}


# 4 px until 40 images, then 8 px fades in, at 120 images 16 px; ticks at 24, 48, 72 ...
@pytest.mark.parametrize(
    ("where", "error", "saved"),
    [
        ("before 56", ZeroDivisionError("a bug"), 56),
        ("after 56", ZeroDivisionError("a bug"), 56),
        ("tick 72", ZeroDivisionError("a bug"), 72),
        ("depth 40", ZeroDivisionError("a bug"), 40),
        ("D 56", MemoryError(), 56),
        ("D 40", MemoryError(), 40),
        ("G 120", torch.OutOfMemoryError("CUDA out of memory"), 120),
        ("G 56", MemoryError(), None),
        ("ema 64", MemoryError(), None),
        ("tick 72", DivergedError("not finite"), None),
    ],
    ids=lambda value: str(value).split("(")[0],
)
def test_a_failure_loses_no_finished_step(
    tmp_path: Path, trap: Trap, where: str, error: Exception, saved: int | None, capsys: pytest.CaptureFixture[str]
) -> None:
    state, ticks = _whole(tmp_path / "whole")
    trap.set(where, error)
    if isinstance(error, DivergedError):
        assert run(overrides=_flags(tmp_path / "parts")).exit_status == 1
    else:
        with pytest.raises(type(error)):
            run(overrides=_flags(tmp_path / "parts"))
    folder = tmp_path / "parts" / "000-tiny"
    assert [torch.load(path, weights_only=True)["nimg"] for path in snapshots(folder)] == ([saved] if saved else [])
    if saved is None:
        assert isinstance(error, DivergedError) or "the last step cannot be saved" in capsys.readouterr().err
        return
    rest = run(overrides={"result_dir": str(tmp_path / "parts"), "resume": "latest"})
    _same(state, _last_state(rest.path))
    assert ticks == _stats(rest.path)


@pytest.mark.parametrize("repeats", [1, 3])
def test_data_that_vanish_lose_no_finished_step(tmp_path: Path, trap: Trap, repeats: int) -> None:
    state, ticks = _whole(tmp_path / "whole", repeats)

    class Vanishing(Plugin):
        """Takes the data away once."""

        def before_step(self) -> None:
            if self.trainer.nimg == 72:
                trap.set("data", FileNotFoundError(2, "No such file or directory"))

    register("plugin")(Vanishing)
    more = {"Trainer.D_training_repeats": repeats, "plugins": ["Trapped", "Later", "Vanishing"]}
    try:
        with pytest.raises(UserError, match="the data cannot be read: .*No such file"):
            run(overrides=_flags(tmp_path / "parts", **more))
        folder = tmp_path / "parts" / "000-tiny"
        assert _last_state(folder)["nimg"] == 72
        Vanishing.before_step = Plugin.before_step  # type: ignore[method-assign]
        rest = run(overrides={"result_dir": str(tmp_path / "parts"), "resume": "latest"})
    finally:
        REGISTRY.remove("Vanishing")
    found = _last_state(rest.path)
    found["plugins"].pop("Vanishing")
    _same(state, found)
    assert ticks == _stats(rest.path)


def test_samples_that_cannot_be_written_are_tried_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    calls: list[tuple[str, int]] = []

    class FullDisk(Postprocessor):
        """Cannot write at first."""

        def save(self, samples: NDArray[np.float32], kind: str, kimg: int) -> list[Artifact]:
            calls.append((kind, len(calls)))
            if len(calls) <= 3:
                raise OSError(28, "No space left on device")
            return []

    register("postprocessor")(FullDisk)
    flags = {**FLAGS, "postprocessors": ["FullDisk"], "OutputGenerator.output_snapshot_ticks": 3, "total_kimg": TOTAL}
    try:
        result = run(overrides={**flags, "result_dir": str(tmp_path)})
    finally:
        REGISTRY.remove("FullDisk")
    assert result.exit_status == 0 and result.nimg == 144
    # Reals before the first step; at tick 1 reals and the samples due; both again at tick 2; then as planned, 3 and 6.
    assert [kind for kind, _ in calls] == ["reals", "reals", "fakes", "reals", "fakes", "fakes", "fakes"]
    assert capsys.readouterr().err.count("No space left") == 1


def test_side_work_with_a_bug_does_not_end_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    class Side(Plugin):
        """Draws something."""

        main_process_only = True

        def on_tick(self) -> None:
            raise KeyError("font")

        on_end = on_tick

    register("plugin")(Side)
    try:
        result = run(overrides={**FLAGS, "plugins": ["Side"], "total_kimg": TOTAL, "result_dir": str(tmp_path)})
    finally:
        REGISTRY.remove("Side")
    assert result.exit_status == 0 and _last_state(result.path)["nimg"] == 144
    assert capsys.readouterr().err.count("warning: Side: KeyError: 'font'; training continues") == 1


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Checkpoints cannot be written while the list's number is above 0; each attempt lowers it."""
    left = [0]
    from pggan_framework.plugins import saver

    write = saver.save_checkpoint

    def save(path: Path, state: Any) -> None:
        if left[0] > 0 and "pggan-" not in str(path.parent):
            left[0] -= 1
            raise CheckpointError(f"cannot write the checkpoint {path}: No space left on device")
        write(path, state)

    monkeypatch.setattr(saver, "save_checkpoint", save)
    return left


def test_a_checkpoint_that_cannot_be_written_is_tried_at_every_tick(tmp_path: Path, full_disk: list[int]) -> None:
    seen: dict[int, int] = {}

    class Looking(Plugin):
        """Notes which checkpoint there is when a tick ends."""

        def on_tick(self) -> None:
            self.trainer.background.join()
            found = list(tmp_path.rglob("network-snapshot-*.pt"))
            seen[self.trainer.tick] = torch.load(found[0], weights_only=True)["nimg"] if found else 0

    full_disk[0] = 2
    register("plugin")(Looking)
    flags = {**FLAGS, "SaverPlugin.network_snapshot_ticks": 2, "plugins": ["Looking"], "total_kimg": 0.24}
    try:
        assert run(overrides={**flags, "result_dir": str(tmp_path)}).exit_status == 0
    finally:
        REGISTRY.remove("Looking")
    # Due after ticks 2, 4, 6 ...: 2 and, tried again, 3 fail. What is written after a tick is seen when the next ends.
    assert list(seen.values())[:7] == [0, 0, 0, 0, 96, 96, 144]


def test_only_a_checkpoint_that_cannot_be_written_for_long_ends_a_run(
    tmp_path: Path, full_disk: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pggan_framework.plugins.saver.PATIENCE", -1.0)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    full_disk[0] = 10**6
    flags = {**FLAGS, "SaverPlugin.network_snapshot_ticks": 1, "total_kimg": 1.0, "result_dir": str(tmp_path / "runs")}
    with pytest.raises(
        CheckpointError, match=r"No space left on device; it is in .*: move it to .*, and resume"
    ) as caught:
        run(overrides=flags)
    (saved,) = tmp_path.glob("pggan-*/network-snapshot-*.pt")
    assert str(saved) in str(caught.value)
    nimg = torch.load(saved, weights_only=True)["nimg"]
    assert 24 <= nimg <= 96
    # As the message says.
    full_disk[0] = 0
    saved.rename(tmp_path / "runs" / "000-tiny" / saved.name)
    whole = run(overrides={**FLAGS, "total_kimg": TOTAL, "result_dir": str(tmp_path / "whole")})
    rest = run(overrides={"total_kimg": TOTAL, "result_dir": str(tmp_path / "runs"), "resume": "latest"})
    _same(_last_state(whole.path)["networks"], _last_state(rest.path)["networks"])


def test_changed_optimizer_settings_are_applied(tmp_path: Path) -> None:
    flags = {**FLAGS, "total_kimg": 0.048, "result_dir": str(tmp_path)}
    run(overrides=flags)
    seen: list[tuple[Any, ...]] = []

    class Settings(Plugin):
        """Looks at the optimizers."""

        def after_step(self) -> None:
            step = self.trainer.parts.step
            for optimizer in (step.G_optimizer, step.D_optimizer):
                group = optimizer.param_groups[0]
                seen.append((tuple(group["betas"]), group["eps"], group["weight_decay"], group["lr"]))

    register("plugin")(Settings)
    changed = {
        "Adam.betas": (0.5, 0.9),
        "Adam.D_betas": (0.1, 0.8),
        "Adam.eps": 1e-4,
        "Adam.weight_decay": 0.01,
        "G_lr_max": 0.004,
        "lr_rampup_kimg": 0,
        "plugins": ["Settings"],
    }
    more = {**flags, **changed, "total_kimg": 0.056, "resume": "latest", "allow_config_change": True}
    try:
        run(overrides=more)
    finally:
        REGISTRY.remove("Settings")
    assert seen == [((0.5, 0.9), 1e-4, 0.01, 0.004), ((0.1, 0.8), 1e-4, 0.01, 0.001)]


def test_another_number_of_samples_is_applied(tmp_path: Path) -> None:
    flags = {**FLAGS, "total_kimg": 0.048, "result_dir": str(tmp_path)}
    run(overrides=flags)
    more = {"OutputGenerator.samples_count": 9, "total_kimg": 0.056, "allow_config_change": True}
    result = run(overrides={**flags, **more, "resume": "latest"})
    assert _last_state(result.path)["plugins"]["OutputGenerator"]["latents"].shape == (9, 8)


def test_lines_of_a_full_disk_are_written_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pggan_framework.loggers.base import RunInfo
    from pggan_framework.loggers.jsonl import JSONLLogger

    logger = JSONLLogger()
    logger.start(RunInfo(tmp_path, "x", {}, "", {}, {}, 1.0))
    logger.log({"a": 1}, 10)
    broken = Path.open

    def fail(self: Path, *args: Any, **kwargs: Any) -> Any:
        file = broken(self, *args, **kwargs)

        class Torn:
            def __enter__(self) -> Any:
                return self

            def __exit__(self, *error: Any) -> None:
                file.close()

            def __getattr__(self, name: str) -> Any:
                return getattr(file, name)

            def write(self, text: bytes) -> None:
                file.write(text[: len(text) // 2])
                raise OSError(28, "No space left on device")

        return Torn()

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", fail)
        for number in (2, 3):
            with pytest.raises(OSError, match="No space"):
                logger.log({"a": number}, 10 * number)
    logger.log({"a": 4}, 40)
    lines = [json.loads(line) for line in (tmp_path / "stats.jsonl").read_text().splitlines()]
    assert lines == [{"nimg": 10 * number, "a": number} for number in (1, 2, 3, 4)]
