"""TensorBoardLogger: against a stand-in of SummaryWriter, and read back by TensorBoard itself where it is there."""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import soundfile
from PIL import Image

from pggan_framework.errors import UserError
from pggan_framework.loggers.base import Histogram, RunInfo
from pggan_framework.loggers.tensorboard import TensorBoardLogger

SPREAD = Histogram(np.array([1, 3]), np.array([-1.0, 0.0, 1.0]), 0.5, 1.25)


class FakeWriter:
    """Keeps every call."""

    made: list[FakeWriter] = []

    def __init__(self, log_dir: str | None = None, *, purge_step: int | None = None) -> None:
        self.log_dir, self.purge_step = log_dir, purge_step
        self.calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []
        self.made.append(self)

    def __getattr__(self, name: str) -> Any:
        return lambda *args, **kwargs: self.calls.append((name, args, kwargs))

    def of(self, name: str) -> list[tuple[Any, ...]]:
        return [args for called, args, _ in self.calls if called == name]


@pytest.fixture
def writers(monkeypatch: pytest.MonkeyPatch) -> list[FakeWriter]:
    for name in ("tensorboard", "torch.utils.tensorboard"):
        fake = ModuleType(name)
        fake.__spec__ = ModuleSpec(name, None, origin="fake")
        fake.SummaryWriter = FakeWriter  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, name, fake)
    monkeypatch.setattr(FakeWriter, "made", [])
    return FakeWriter.made


def info(directory: Path, resumed_nimg: int | None = None, logged_nimg: int = 0) -> RunInfo:
    return RunInfo(directory, "007-tones", {}, "total_kimg: 30\n", {}, {}, 30, resumed_nimg, logged_nimg)


def go(logger: TensorBoardLogger, run: RunInfo, first: int = 1000) -> None:
    """Two ticks, an image, a sound in two channels, a histogram."""
    picture, sound = run.directory / "fakes.png", run.directory / "fakes_00.wav"
    Image.new("P", (8, 6)).save(picture)
    soundfile.write(sound, np.tile([[0.5, -0.25]], (100, 1)), 16000)
    logger.start(run)
    logger.log({"tick": 1, "nimg": first, "D_loss": 0.5, "sec.tick": 3.0}, first)
    logger.log({"tick": 2, "nimg": first + 1000, "D_loss": 0.25, "sec.tick": 3.0}, first + 1000)
    logger.image("fakes", picture, first + 1000)
    logger.audio("fakes_00", sound, first + 1000)
    logger.histogram("weights.G.dense", SPREAD, first + 1000)


def test_figures_pictures_sounds_and_histograms_are_written(tmp_path: Path, writers: list[FakeWriter]) -> None:
    logger = TensorBoardLogger(directory="events")
    go(logger, info(tmp_path))
    logger.finish("finished")
    logger.log({"tick": 3}, 3000)  # too late
    (writer,) = writers
    assert (writer.log_dir, writer.purge_step) == (str(tmp_path / "events"), None)
    assert ("D_loss", 0.5, 1000) in writer.of("add_scalar") and ("sec/tick", 3.0, 2000) in writer.of("add_scalar")
    assert ("config", "    total_kimg: 30\n", 0) in writer.of("add_text")
    assert ("status", "finished", 2000) in writer.of("add_text")
    ((_, pixels, step),) = writer.of("add_image")
    assert (pixels.shape, step) == ((6, 8, 3), 2000)
    ((_, wave, _),) = writer.of("add_audio")
    assert wave.shape == (1, 100) and np.allclose(wave, 0.125, atol=1e-3)
    ((histogram, options),) = [(args, kwargs) for name, args, kwargs in writer.calls if name == "add_histogram_raw"]
    assert histogram == ("weights/G/dense",)
    assert (options["num"], options["sum"], options["sum_squares"]) == (4, 0.5, 1.25)
    assert list(zip(options["bucket_limits"], options["bucket_counts"], strict=True)) == [(-1, 0), (0, 1), (1, 3)]
    assert writer.calls[-1][0] == "close"


def test_what_a_resume_or_a_rollback_gives_again_is_marked_as_past(tmp_path: Path, writers: list[FakeWriter]) -> None:
    logger = TensorBoardLogger()
    go(logger, info(tmp_path, resumed_nimg=3500, logged_nimg=3000), first=4000)
    assert [writer.purge_step for writer in writers] == [3001]
    assert not writers[0].of("add_text")
    logger.log({"D_loss": 0.4}, 4000)
    assert [writer.purge_step for writer in writers] == [3001, 4000]
    assert writers[0].calls[-1][0] == "close" and ("D_loss", 0.4, 4000) in writers[1].of("add_scalar")


def test_a_missing_package_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pggan_framework.errors.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"TensorBoardLogger needs the package tensorboard.*pip install tensorboard"):
        TensorBoardLogger()


@pytest.mark.slow
def test_tensorboard_reads_it_back(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    logger = TensorBoardLogger()
    go(logger, info(tmp_path))
    logger.log({"D_loss": 0.125}, 2000)  # rolled back to 1000
    logger.finish("finished")
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [(event.step, event.value) for event in events.Scalars("D_loss")] == [(1000, 0.5), (2000, 0.125)]
    again = TensorBoardLogger(directory="again")
    go(again, info(tmp_path))
    again.finish("finished")
    events = EventAccumulator(str(tmp_path / "again"))
    events.Reload()
    (image,), (sound,) = events.Images("fakes"), events.Audio("fakes_00")
    assert (image.step, image.width, image.height) == (2000, 8, 6)
    assert (sound.step, sound.sample_rate, sound.length_frames) == (2000, 16000, 100)
    wave, rate = soundfile.read(BytesIO(sound.encoded_audio_string))
    assert rate == 16000 and np.allclose(wave, 0.125, atol=1e-3)
    (spread,) = events.Histograms("weights/G/dense")
    assert spread.step == 2000 and spread.histogram_value.num == 4
