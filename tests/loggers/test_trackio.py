"""TrackioLogger: against a stand-in of the package's interface, and read back from its database where it is there."""

from __future__ import annotations

import sys
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
from pggan_framework.loggers.trackio import TrackioLogger

NAMES = "fakes", "fakes_sound_00"
SPREAD = Histogram(np.array([1, 3]), np.array([-1.0, 0.0, 1.0]), 0.5, 1.25)


def go(logger: TrackioLogger, folder: Path, first: int, resumed_nimg: int | None = None) -> list[str]:
    """A small run; returns what the logger reported."""
    reports: list[str] = []
    logger.report = reports.append
    folder.mkdir(parents=True, exist_ok=True)
    image, sound = folder / "fakes_000002.png", folder / "fakes_sound_000002_00.wav"
    Image.new("L", (8, 6)).save(image)
    soundfile.write(sound, np.tile([[0.5, -0.25]], (100, 1)), 22050)
    logger.start(
        RunInfo(folder, folder.name, {"Adam": {"betas": [0, 0.99]}}, "", {"sounds": "5"}, {}, 30, resumed_nimg)
    )
    logger.log({"tick": 1, "D_loss": 0.5, "time": 3.0}, first)
    logger.image("fakes", image, first)
    logger.audio("fakes_sound_00", sound, first)
    logger.histogram("weights.G.dense", SPREAD, first)
    logger.finish("finished")
    logger.log({"tick": 9}, 9000)  # too late
    return reports


def test_everything_is_logged_at_nimg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows: list[tuple[int, dict[str, Any]]] = []
    opened: list[tuple[str, dict[str, Any]]] = []
    fake = ModuleType("trackio")
    fake.__spec__ = ModuleSpec("trackio", None, origin="fake")

    def init(project: str, **options: Any) -> SimpleNamespace:
        opened.append((project, options))
        return SimpleNamespace(log=lambda values, step: rows.append((step, values)))

    fake.init, fake.finish = init, lambda: rows.append((-1, {}))  # type: ignore[attr-defined]
    for name in ("Image", "Audio"):
        setattr(fake, name, lambda path, name=name: (name, path))
    fake.Histogram = lambda np_histogram: ("Histogram", np_histogram)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "trackio", fake)
    reports = go(TrackioLogger("tones"), tmp_path / "results" / "007-tones", 2000)
    assert reports == ["trackio: to look at this run: trackio show --project tones"]
    ((project, options),) = opened
    assert (project, options["name"], options["resume"]) == ("tones", "results/007-tones", "never")
    assert options["config"] == {"Adam.betas": "[0, 0.99]", "data/sounds": "5"}
    assert [step for step, _ in rows] == [2000] * 4 + [-1]
    assert rows[0][1] == {"tick": 1.0, "D_loss": 0.5, "sec.total": 3.0}
    assert rows[1][1]["fakes"][0] == "Image" and rows[2][1]["fakes_sound_00"][0] == "Audio"
    go(TrackioLogger("tones"), tmp_path / "results" / "007-tones", 4000, resumed_nimg=2000)
    assert opened[1][1]["resume"] == "allow"


def test_a_missing_package_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pggan_framework.errors.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"TrackioLogger needs the package trackio.*pip install trackio"):
        TrackioLogger()


@pytest.mark.slow
def test_its_database_has_what_was_logged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("trackio")
    from trackio import utils
    from trackio.sqlite_storage import SQLiteStorage

    for module in [module for name, module in sys.modules.items() if name.startswith("trackio")]:
        for name in ("TRACKIO_DIR", "MEDIA_DIR"):
            if hasattr(module, name):
                monkeypatch.setattr(module, name, tmp_path / ("media" if name == "MEDIA_DIR" else ""))
    assert tmp_path == utils.TRACKIO_DIR
    run = tmp_path / "results" / "007-tones"
    go(TrackioLogger("tones"), run, 2000)
    go(TrackioLogger("tones"), run, 4000, resumed_nimg=2000)
    assert SQLiteStorage.get_runs("tones") == ["results/007-tones"]
    rows = SQLiteStorage.get_logs("tones", "results/007-tones")
    assert [row["step"] for row in rows] == [2000] * 4 + [4000] * 4
    assert rows[0]["D_loss"] == 0.5 and rows[0]["sec.total"] == 3
    image, sound = (
        tmp_path / "media" / rows[n][name]["file_path"] for n, name in ((1, "fakes"), (2, "fakes_sound_00"))
    )
    with Image.open(image) as opened:
        assert opened.size == (8, 6)
    wave, rate = soundfile.read(sound)
    assert rate == 22050 and np.allclose(wave[50], [0.5, -0.25], atol=1e-3)
    assert rows[3]["weights.G.dense"]["values"] == [1, 3]
