"""What a look at a folder finds."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile
from PIL import Image

from pggan_framework.errors import UserError
from pggan_framework.planning.survey import ImageSurvey, SoundSurvey, bandwidth, folder_kind, survey


def tone(path, hertz=500.0, rate=16000, seconds=0.5, channels=1):
    wave = 0.5 * np.sin(2 * np.pi * hertz * np.arange(round(rate * seconds)) / rate)
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.stack([wave] * channels, 1), rate)


def test_recordings(tmp_path):
    tone(tmp_path / "a" / "1.wav", seconds=0.25)
    tone(tmp_path / "a" / "2.flac", hertz=3000, rate=44100, channels=2)
    tone(tmp_path / "b" / "3.wav", rate=44100)
    (tmp_path / "b" / "4.wav").write_bytes(b"no sound")
    Image.new("L", (8, 8)).save(tmp_path / "b" / "cover.png")
    found = survey(tmp_path)
    assert isinstance(found, SoundSurvey)
    assert sorted(found.seconds) == [0.25, 0.5, 0.5]
    assert (found.rate, found.channels, found.unreadable, found.images) == (44100, 2, 1, 1)
    assert found.folders == {"a": 2, "b": 1}
    assert folder_kind(tmp_path) == "SoundImageDataset"


def test_images(tmp_path):
    for number, size in enumerate([(40, 30), (30, 50)]):
        Image.new("RGB", size).save(tmp_path / f"{number}.png")
    (tmp_path / "broken.png").write_bytes(b"no image")
    found = survey(tmp_path)
    assert isinstance(found, ImageSurvey)
    assert sorted(found.sides) == [30, 30]
    assert (found.unreadable, found.sounds, found.folders) == (1, 0, {})


def test_the_highest_audible_frequency():
    time = np.arange(16000) / 16000
    wave = (np.sin(2 * np.pi * 300 * time) + 0.01 * np.sin(2 * np.pi * 3050 * time)).astype(np.float32)
    found = bandwidth(wave, 16000)
    assert found is not None and 3000 <= found <= 3300
    assert bandwidth(np.zeros(800, np.float32), 16000) is None


def test_folders_that_hold_nothing_usable(tmp_path):
    with pytest.raises(UserError, match="it is empty"):
        survey(tmp_path)
    (tmp_path / "notes.txt").touch()
    with pytest.raises(UserError, match="1 file ending in .txt"):
        survey(tmp_path)
    with pytest.raises(UserError, match="is a file"):
        survey(tmp_path / "notes.txt")
    for name, flag in (("tones.yaml", "--config"), ("cats.h5", "--load_dataset"), ("a.pt", "--resume_network")):
        (tmp_path / name).touch()
        with pytest.raises(UserError, match=rf"is a file; allowed: .*; for this file, use {flag} \S+{name}$"):
            survey(tmp_path / name)
        (tmp_path / name).unlink()
    with pytest.raises(UserError, match="does not exist"):
        survey(tmp_path / "nothing")
    (tmp_path / "a.wav").touch()
    with pytest.raises(UserError, match="no recording in .* can be read \\(1 file\\)"):
        survey(tmp_path)
