"""Files are written while training continues; nothing is lost, and nothing but the time changes."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest
import torch

from pggan_framework import UserError, register, run
from pggan_framework.registry import REGISTRY
from pggan_framework.runs.folders import snapshots
from pggan_framework.training import background as module
from pggan_framework.training.background import Background, frozen

TINY = {
    "dataset_class": "TonesDataset",
    "TonesDataset.count": 50,
    "Generator.fmap_base": 64,
    "Generator.fmap_max": 8,
    "Generator.latent_size": 8,
    "Discriminator.fmap_base": 64,
    "Discriminator.fmap_max": 8,
    "minibatch_size": 8,
    "loggers": ["JSONLLogger"],
    "DepthManager.tick_kimg_default": 0.04,
    "DepthManager.tick_kimg_overrides": {},
    "DepthManager.lod_training_nimg": 100,
    "DepthManager.lod_transition_nimg": 100,
    "SaverPlugin.network_snapshot_ticks": 1,
    "OutputGenerator.output_snapshot_ticks": 1,
    "total_kimg": 0.2,
    "exp_name": "tiny",
}


def _fail(name: str, error: Exception) -> None:
    raise error


def test_a_task_runs_while_the_caller_goes_on() -> None:
    background, go_on, results = Background(True, _fail), threading.Event(), list[int]()
    background.submit(lambda: int(go_on.wait(20)), results.append)
    background.collect()
    assert results == []
    go_on.set()
    background.join()
    assert results == [1]
    background.close()


def test_tasks_run_in_order_and_what_follows_runs_in_the_callers_thread() -> None:
    background, seen = Background(True, _fail), list[tuple[int, bool, bool]]()
    main = threading.current_thread()
    for number in range(5):
        background.submit(
            lambda number=number: (number, threading.current_thread() is main),  # type: ignore[misc]
            lambda result: seen.append((*result, threading.current_thread() is main)),
        )
    background.close()
    assert seen == [(number, False, True) for number in range(5)]


def test_no_more_than_one_task_waits() -> None:
    background, go_on, started = Background(True, _fail), threading.Event(), list[int]()

    def task(number: int) -> None:
        started.append(number)
        go_on.wait(20)

    background.submit(lambda: task(0))
    background.submit(lambda: task(1))
    threading.Timer(0.2, go_on.set).start()
    background.submit(lambda: task(2))  # waits until the first is done
    assert go_on.is_set()
    background.close()
    assert started == [0, 1, 2]


@pytest.mark.parametrize("enabled", [True, False])
def test_an_error_is_handed_on_once_and_the_next_task_still_runs(enabled: bool) -> None:
    failures, results = list[tuple[str, str]](), list[str]()
    background = Background(enabled, lambda name, error: failures.append((name, str(error))))

    def fail() -> str:
        raise UserError("the disk is full")

    background.submit(fail, results.append, "samples")
    background.submit(fail, results.append, failed=lambda error: results.append(f"own: {error}"))
    background.submit(lambda: "later", results.append)
    background.close()
    assert failures == [("samples", "the disk is full")]
    assert results == ["own: the disk is full", "later"]


def test_turned_off_it_runs_at_once_in_this_thread() -> None:
    background, seen = Background(False, _fail), list[threading.Thread]()
    background.submit(threading.current_thread, seen.append)
    assert seen == [threading.current_thread()]


def test_a_frozen_state_no_longer_changes() -> None:
    weight = torch.zeros(3)
    state = frozen({"a": [weight, {"b": (weight, 1, "x", None)}]})
    weight += 1
    assert torch.equal(state["a"][0], torch.zeros(3))
    assert torch.equal(state["a"][1]["b"][0], torch.zeros(3))
    assert state["a"][1]["b"][1:] == (1, "x", None)


def _states(folder: Path) -> dict[str, Any]:
    return {path.name: torch.load(path, weights_only=True) for path in snapshots(folder)}


def test_in_the_background_or_not_the_files_are_the_same(tmp_path: Path) -> None:
    flags = {**TINY, "SaverPlugin.keep_old_checkpoints": True, "SoundSaver.griffin_lim_iter": 4}
    ways = {
        name: run(overrides={**flags, "result_dir": str(tmp_path / name), "Trainer.write_in_background": how}).path
        for name, how in (("ahead", True), ("waiting", False))
    }
    files = [
        {p.relative_to(way): p.read_bytes() for p in way.rglob("*") if p.suffix in (".png", ".wav")}
        for way in ways.values()
    ]
    assert files[0] and files[0] == files[1]
    one, other = (_states(way) for way in ways.values())
    # Ticks at 40, 80 ... 200 images, each of them named by its whole thousands.
    assert one.keys() == other.keys()
    for name, state in one.items():
        for key, value in state["networks"]["G"].items():
            assert torch.equal(value, other[name]["networks"]["G"][key])


def test_waiting_is_logged_and_slow_data_are_told_of_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import time

    from pggan_framework.data.datasets.tones import TonesDataset

    class SlowTones(TonesDataset):
        """Tones that take their time."""

        def images(self, indices: Any, depth: int) -> Any:
            time.sleep(0.05)
            return super().images(indices, depth)

    register("dataset")(SlowTones)
    slow = {key.replace("TonesDataset.", "SlowTones."): value for key, value in TINY.items()}
    try:
        result = run(
            overrides={
                **slow,
                "dataset_class": "SlowTones",
                "loggers": ["TeeLogger", "JSONLLogger"],
                "postprocessors": ["ImageSaver"],
                "result_dir": str(tmp_path),
            }
        )
    finally:
        REGISTRY.remove("SlowTones")
    ticks = [json.loads(line) for line in (result.path / "stats.jsonl").read_text().splitlines()]
    # Five batches of 8 a tick, 50 ms each.
    assert all(tick["ms.data"] >= 250 for tick in ticks)
    assert all(0 <= tick["ms.saving"] < tick["sec.tick"] * 1000 for tick in ticks)
    assert capsys.readouterr().out.count("of the time is spent waiting for data") == 1


def _never(self: Any) -> None:
    """A thread that found no memory before its first line."""


def _at_once(self: Any) -> None:
    """A thread that found no memory at its first task."""
    self._begun.set()
    self.ended.set()


def _refuse(*args: object) -> int:
    raise RuntimeError("can't start new thread")


@pytest.mark.parametrize("thread", ["refused", "never begins"])
def test_without_a_thread_the_caller_does_the_work(monkeypatch: pytest.MonkeyPatch, thread: str) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.05)
    if thread == "refused":
        monkeypatch.setattr(module, "start_new_thread", _refuse)
    else:
        monkeypatch.setattr(module._Thread, "_work", _never)
    background, seen = Background(True, _fail), list[int]()
    for number in range(3):
        background.submit(lambda number=number: number, seen.append)  # type: ignore[misc]
    assert seen == [0, 1, 2]
    background.close()


def test_a_thread_that_ends_early_is_an_error_and_no_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(module, "POLL", 0.01)
        patch.setattr(module._Thread, "_work", _at_once)
        background, failed, seen = Background(True, _fail), list[Exception](), list[int]()
        background.submit(lambda: 1, seen.append, failed=failed.append)
        background.join()
        assert [type(error) for error in failed] == [MemoryError] and seen == []
    background.submit(lambda: 2, seen.append)  # by a new thread
    background.close()
    assert seen == [2]
