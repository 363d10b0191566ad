"""Old collections have names in Latin-1: files with such names are used, and typed names are refused in one line."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from pggan_framework.audio.reading import read_header, read_wave
from pggan_framework.cli.main import main

NAME = os.fsdecode(b"T\xf6ne")
SMALL = [
    *("--total_kimg", "0.02", "--minibatch_size", "4", "--device", "cpu"),
    *("--Generator.fmap_max", "4", "--Discriminator.fmap_max", "4"),
]


def sound(path: Path, seed: int) -> np.ndarray:
    """Write half a second of noise and return it."""
    wave = 0.1 * np.random.default_rng(seed).standard_normal(4000)
    with path.open("wb") as file:
        soundfile.write(file, wave, 8000, format="WAV", subtype="FLOAT")
    return wave


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Recordings and images in two folders each; one folder and all files have such names."""
    monkeypatch.chdir(tmp_path)
    for kind in ("low", NAME):
        for data in ("sounds", "images"):
            (tmp_path / data / kind).mkdir(parents=True)
        for number in range(20):
            sound(tmp_path / "sounds" / kind / f"{NAME}{number}.wav", number)
            pixels = np.random.default_rng(number).integers(0, 255, (16, 16, 3), np.uint8)
            with (tmp_path / "images" / kind / f"{NAME}{number}.png").open("wb") as file:
                Image.fromarray(pixels).save(file, "PNG")
    (tmp_path / "sounds" / f"{NAME}_damaged.wav").write_bytes(b"RIFF1234")
    return tmp_path


def test_the_samples_of_such_a_file_are_read(tmp_path: Path) -> None:
    path = tmp_path / f"{NAME}.wav"
    wave = sound(path, 1)
    np.testing.assert_allclose(read_wave(read_header(path), 8000), wave, atol=1e-6)


def test_sounds_are_planned_inspected_and_trained_on(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = ["--SoundImageDataset.frames", "16", "--SoundImageDataset.bins", "16"]
    assert main(["plan", "sounds", "--minutes", "1", "-o", "my.yaml", *own]) == 0
    assert main(["inspect", "sounds", "--out", "looked", *own]) == 0
    assert "T\\udcf6ne" in (folder / "looked" / "report.txt").read_text()
    assert main(["train", "sounds", *SMALL, *own, "--exp_name", "a"]) == 0
    assert "warning: report" not in capsys.readouterr().err
    assert main(["report", "results/000-a"]) == 0


def test_images_are_prepared_from_folders_and_archives(folder: Path) -> None:
    with tarfile.open("images.tar", "w") as archive:
        archive.add("images")
    for source, out in (("images", "a.h5"), ("images.tar", "b.h5")):
        assert main(["prepare", source, out, "--size", "16"]) == 0
        assert main(["train", "--config", f"{out[0]}.yaml", *SMALL, "--exp_name", out[0]]) == 0


@pytest.mark.parametrize("words", [["inspect", NAME], ["train", "sounds", "--exp_name", NAME], ["generate", NAME]])
def test_a_typed_name_is_refused_in_one_line(
    words: list[str], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(folder.rglob("*"))
    assert main(words) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: T\\udcf6ne: this name is not in UTF-8; allowed:") and error.count("\n") == 1
    assert sorted(folder.rglob("*")) == before
