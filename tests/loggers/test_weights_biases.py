"""WandbLogger: against a stand-in of the package's interface, and offline against the package where it is there."""

from __future__ import annotations

import json
import sys
import time
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile
from PIL import Image

from pggan_framework.errors import UserError
from pggan_framework.loggers.base import Histogram, RunInfo
from pggan_framework.loggers.weights_biases import WandbLogger

SECRET = "0123456789SECRETofTheTest0123456789abcdef"
SPREAD = Histogram(np.array([1, 3]), np.array([-1.0, 0.0, 1.0]), 0.5, 1.25)


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("WANDB_API_KEY", "WANDB_BASE_URL", "WANDB_MODE"):
        monkeypatch.delenv(name, raising=False)


class FakeRun:
    """What of a run the logger touches."""

    def __init__(self, options: dict[str, Any]) -> None:
        self.options, self.id, self.offline = options, options["id"], options["mode"] == "offline"
        self.url = None if self.offline else "https://wandb.example/p/runs/1"
        self.settings = SimpleNamespace(sync_dir=f"{options['dir']}/wandb/offline-run-{self.id}")
        self.summary: dict[str, Any] = {}
        self.rows: list[dict[str, Any]] = []
        self.axes: dict[str, Any] = {}
        self.exit_code: int | None = None

    def define_metric(self, name: str, step_metric: str | None = None, hidden: bool | None = None) -> None:
        self.axes[name] = step_metric

    def log(self, data: dict[str, Any]) -> None:
        self.rows.append(data)

    def finish(self, exit_code: int | None = None) -> None:
        self.exit_code = exit_code


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The package, with a key and a service that answers; change `key` and `error`."""
    state = SimpleNamespace(key=True, error=None, runs=[])
    fake = ModuleType("wandb")
    fake.__spec__ = ModuleSpec("wandb", None, origin="fake")

    def init(**options: Any) -> FakeRun:
        if options["mode"] == "online" and state.error is not None:
            raise state.error
        state.runs.append(FakeRun(options))
        return state.runs[-1]

    fake.init = init  # type: ignore[attr-defined]
    fake.login = lambda prompt, verify: state.key  # type: ignore[attr-defined]
    fake.Settings = lambda **settings: settings  # type: ignore[attr-defined]
    fake.Image = lambda path: ("image", path)  # type: ignore[attr-defined]
    fake.Audio = lambda path: ("audio", path)  # type: ignore[attr-defined]
    fake.Histogram = lambda np_histogram: ("histogram", np_histogram)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "wandb", fake)
    return state


def info(directory: Path, resumed_nimg: int | None = None) -> RunInfo:
    config = {"general": {"total_kimg": 30, "comet_key": SECRET}, "DepthManager": {"minibatch_overrides": {6: 14}}}
    return RunInfo(directory, "007-tones", config, "", {"images": "1000"}, {}, 30, resumed_nimg)


def go(logger: WandbLogger, run: RunInfo, status: str = "finished") -> list[str]:
    """A small run; returns what the logger reported."""
    reports: list[str] = []
    logger.report = reports.append
    picture, sound = run.directory / "fakes_000002.png", run.directory / "fakes_sound_000002_00.wav"
    Image.new("L", (8, 8)).save(picture)
    soundfile.write(sound, np.zeros(100), 16000)
    logger.start(run)
    logger.log({"tick": 2, "D_loss": 0.5, "G_loss": float("nan")}, 2000)
    logger.image("fakes", picture, 2000)
    logger.audio("fakes_00", sound, 2000)
    logger.histogram("weights.G.dense", SPREAD, 2000)
    logger.finish(status)
    logger.log({"tick": 3}, 3000)  # what comes too late is nobody's
    return reports


def test_everything_is_told_over_nimg(tmp_path: Path, service: SimpleNamespace) -> None:
    reports = go(WandbLogger(project="tones", entity="me"), info(tmp_path))
    (run,) = service.runs
    assert reports == ["Weights & Biases: https://wandb.example/p/runs/1"]
    options = run.options
    assert (options["mode"], options["project"], options["entity"]) == ("online", "tones", "me")
    assert (options["name"], options["dir"]) == ("007-tones", str(tmp_path))
    assert options["config"] == {
        "general.total_kimg": 30,
        "DepthManager.minibatch_overrides.6": 14,
        "data/images": "1000",
    }
    assert options["settings"]["console"] == "off" and options["settings"]["disable_git"]
    assert run.axes == {"nimg": None, "*": "nimg"}
    figures, image, audio, histogram = run.rows
    assert (figures["D_loss"], figures["tick"], figures["nimg"]) == (0.5, 2.0, 2000)
    assert np.isnan(figures["G_loss"])
    assert image == {"fakes": ("image", str(tmp_path / "fakes_000002.png")), "nimg": 2000}
    assert audio["fakes_00"][0] == "audio"
    assert histogram["weights.G.dense"][1][0].tolist() == [1, 3]
    assert (run.summary["status"], run.exit_code) == ("finished", 0)


def test_a_failed_run_is_failed_there_too(tmp_path: Path, service: SimpleNamespace) -> None:
    go(WandbLogger(), info(tmp_path), "failed")
    assert service.runs[0].exit_code == 1


def test_resuming_goes_on_in_the_same_run(tmp_path: Path, service: SimpleNamespace) -> None:
    go(WandbLogger(), info(tmp_path))
    go(WandbLogger(), info(tmp_path, resumed_nimg=1000))
    go(WandbLogger(), info(tmp_path))
    first, second, other = service.runs
    assert first.id == second.id != other.id
    assert second.options["resume"] == "allow" and second.summary["resumed_nimg"] == 1000
    (tmp_path / "wandb.json").write_text("[")
    go(WandbLogger(), info(tmp_path, resumed_nimg=1000))
    assert service.runs[-1].id not in {first.id, other.id}


@pytest.mark.parametrize(
    ("key", "flags", "error", "reason"),
    [
        (False, {}, None, "no key given"),
        (True, {"offline": True}, None, "as configured"),
        (True, {}, RuntimeError(f"no answer\nfor {SECRET}"), "no answer for ***"),
    ],
)
def test_without_a_service_it_goes_offline(
    tmp_path: Path,
    service: SimpleNamespace,
    monkeypatch: pytest.MonkeyPatch,
    key: bool,
    flags: dict[str, Any],
    error: Exception | None,
    reason: str,
) -> None:
    service.key, service.error = key, error
    monkeypatch.setenv("WANDB_API_KEY", SECRET)
    reports = go(WandbLogger(**flags, offline_directory=str(tmp_path / "else")), info(tmp_path))
    (run,) = service.runs
    assert (run.options["mode"], run.options["dir"]) == ("offline", str(tmp_path / "else"))
    assert "logging offline" in reports[0] and reason in reports[0]
    assert reports[1].endswith(f"wandb sync {tmp_path / 'else' / 'wandb'}/offline-run-{run.id}")
    assert SECRET not in " ".join(reports) + (tmp_path / "wandb.json").read_text()


def test_a_resumed_run_that_goes_offline_is_uploaded_to_the_same_run(tmp_path: Path, service: SimpleNamespace) -> None:
    go(WandbLogger(), info(tmp_path))
    service.error = RuntimeError("no answer")
    reports = go(WandbLogger(), info(tmp_path, resumed_nimg=1000))
    first, second = service.runs
    assert second.id != first.id  # which the failed attempt holds
    assert f"wandb sync --id {first.id} " in reports[-1]
    assert json.loads((tmp_path / "wandb.json").read_text()) == {"run_id": first.id}


def test_timeout_must_be_above_zero() -> None:
    with pytest.raises(UserError, match=r"WandbLogger.timeout 0 .*above 0"):
        WandbLogger(timeout=0)


def test_a_missing_package_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "wandb", raising=False)
    monkeypatch.setattr("pggan_framework.errors.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"WandbLogger needs the package wandb.*pip install wandb"):
        WandbLogger()


def test_a_folder_that_wandb_left_behind_is_no_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "wandb_stand_in").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    from pggan_framework.errors import require

    with pytest.raises(UserError, match="not installed"):
        require("wandb_stand_in", "WandbLogger")


@pytest.mark.slow
def test_the_package_itself_writes_a_folder_to_upload(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_API_KEY", SECRET)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    reports = go(WandbLogger(project="tones", timeout=1), info(tmp_path))
    run_id = json.loads((tmp_path / "wandb.json").read_text())["run_id"]
    assert "logging offline" in reports[0] and run_id in reports[1]
    folder = Path(reports[1].split()[-1])
    (record,) = folder.glob("*.wandb")
    # wandb's own process writes the last of it a moment after the run has ended.
    for _ in range(100):
        if b"D_loss" in record.read_bytes():
            break
        time.sleep(0.1)
    assert b"D_loss" in record.read_bytes() and b"general.total_kimg" in record.read_bytes()
    (image,), (sound,) = folder.rglob("*.png"), folder.rglob("*.wav")
    with Image.open(image) as opened:
        assert opened.size == (8, 8)
    assert soundfile.info(sound).samplerate == 16000 and soundfile.info(sound).frames == 100
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or SECRET.encode() not in path.read_bytes(), path
