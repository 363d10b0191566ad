"""The folder plugins/ is read by the commands that train or list components, and by no other unless it is named."""

from __future__ import annotations

from pathlib import Path

import pytest
import soundfile
import torch
from tiny import TONES

from pggan_framework import run
from pggan_framework.cli.main import main

MINE = """
import torch
from pggan_framework import register
from pggan_framework.networks.pggan import Generator

@register("generator")
class MyGenerator(Generator):
    def __init__(self, shape, **kwargs):
        super().__init__(shape, **kwargs)
"""
BROKEN = "raise RuntimeError('plugins were read')\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with a generator of plugins/ and one without, and a folder of sounds."""
    from forgotten import forgotten_plugins

    place = tmp_path_factory.mktemp("own")
    (place / "mine").mkdir()
    (place / "mine/networks.py").write_text(MINE)
    flags = {**TONES, "total_kimg": 0.004, "result_dir": str(place / "results"), "progressive_growing": False}
    with forgotten_plugins():
        run(overrides={**flags, "plugin_dirs": []})
        given = {name.replace("Generator.", "MyGenerator."): value for name, value in flags.items()}
        run(overrides={**given, "generator": "MyGenerator", "plugin_dirs": [str(place / "mine")]})
    (place / "plugins").mkdir()
    (place / "plugins/broken.py").write_text(BROKEN)
    (place / "sounds").mkdir()
    for number in range(4):
        soundfile.write(place / f"sounds/{number}.wav", 0.3 * torch.sin(torch.arange(9000) / 9).numpy(), 16000)
    return place


@pytest.fixture(autouse=True)
def inside(folder: Path, monkeypatch: pytest.MonkeyPatch, own_plugins: None) -> None:
    monkeypatch.chdir(folder)


@pytest.mark.slow
@pytest.mark.parametrize(
    "line",
    [
        "generate results/000-TonesDataset --count 1 --out samples",
        "evaluate results/000-TonesDataset --count 4 --metrics silence",
        "info results/000-TonesDataset",
        "export results/000-TonesDataset model.safetensors",
        "inspect sounds --clips 1 --out looked --SoundImageDataset.frames 16 --SoundImageDataset.n_fft 64"
        " --SoundImageDataset.hop_length 16",
    ],
)
def test_other_commands_do_not_read_it(line: str) -> None:
    assert main(line.split()) == 0


@pytest.mark.parametrize("line", ["train --dry_run", "components Generator"])
def test_those_that_train_or_list_read_it(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(line.split()) == 2
    assert "broken.py:1: RuntimeError: plugins were read" in capsys.readouterr().err


def test_a_model_that_needs_a_class_says_how_to_name_its_folder(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["generate", "results/001-TonesDataset", "--count", "1", "--out", "own"]
    assert main(words) == 2
    error = capsys.readouterr().err
    assert "needs the generator 'MyGenerator', which is not part of this package" in error
    assert "give the folder of its file with --plugin_dirs DIR" in error and error.count("\n") == 1
    assert not (folder / "own").exists()
    assert main([*words, "--plugin_dirs", "mine"]) == 0
    assert (folder / "own/sheet.png").is_file()
