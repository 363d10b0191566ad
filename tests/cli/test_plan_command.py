"""``pggan plan DIR`` and ``pggan train DIR``: from a folder alone."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile
import yaml

from pggan_framework.cli.main import main
from pggan_framework.planning.speed import Speed

TINY = [
    *("--Generator.fmap_base", "16", "--Generator.fmap_max", "4", "--Generator.latent_size", "4"),
    *("--Discriminator.fmap_base", "16", "--Discriminator.fmap_max", "4"),
    *("--SoundImageDataset.frames", "16", "--SoundImageDataset.bins", "16", "--OutputGenerator.samples_count", "2"),
]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Twelve short hits, and a machine of known speed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        "pggan_framework.planning.command.measure_speed", lambda channels: Speed({32: 0.008, 64: 0.015})
    )
    (tmp_path / "hits").mkdir()
    random = np.random.default_rng(0)
    for number in range(12):
        length = 800 + 400 * number
        soundfile.write(
            f"hits/{number}.wav", 0.3 * random.standard_normal(length) * np.exp(-np.arange(length) / 500), 16000
        )
    return tmp_path


def run(capsys, *words):
    status = main([str(word) for word in words])
    out, error = capsys.readouterr()
    assert "Traceback" not in error
    return status, out, error.strip()


def test_a_plan_is_printed_and_written(folder, capsys):
    status, out, error = run(capsys, "plan", "hits", "--minutes", 2, "-o", "my.yaml", "--G_lr_max", "0.001")
    assert (status, error) == (0, "")
    assert out.startswith("found: 12 recordings, ") and out.endswith("train with it: pggan train --config my.yaml\n")
    config = yaml.safe_load((folder / "my.yaml").read_text())
    assert (config["minutes"], config["G_lr_max"], config["D_lr_max"]) == (2, 0.001, 0.003)
    assert config["SoundImageDataset"]["dir_path"] == "hits"
    assert run(capsys, "train", "--config", "my.yaml", "--print_config")[0] == 0
    status, _, error = run(capsys, "plan", "hits", "-o", "my.yaml")
    assert status == 2 and "exists already" in error


def test_training_from_a_folder_ends_with_sounds(folder, capsys):
    status, out, _ = run(capsys, "train", "hits", "--minutes", "0.1", "--total_kimg", "0.1", *TINY)
    assert status == 0
    assert out.startswith("found: 12 recordings, ")
    runs = list((folder / "results").iterdir())
    assert [path.name for path in runs] == ["000-hits"]
    assert list((runs[0] / "sound").glob("fakes_sound_*_00.wav"))
    assert (runs[0] / "report.html").is_file()


def test_given_flags_win_and_the_printed_config_is_yaml(folder, capsys):
    status, out, error = run(
        capsys, "train", "hits", "--SoundImageDataset.frequency", "8000", "--loss", "WGANGP", "--print_config"
    )
    assert status == 0 and error.startswith("found: ")
    config = yaml.safe_load(out)
    assert config["SoundImageDataset"]["frequency"] == 8000
    assert (config["loss"], config["minutes"], config["exp_name"]) == ("WGANGP", 10.0, "hits")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train", "hit"], "hit does not exist (did you mean 'hits'?)"),
        (["plan"], "plan needs a folder"),
        (["plan", "hits", "--minutes", "-1"], "--minutes -1 is not allowed"),
        (["train", "hits", "--minutes", "soon"], "--minutes soon is not allowed"),
        (["train", "hits", "--resume", "latest"], "allowed: one of them"),
        (["train", "hits", "--G_lr", "1"], "unknown flag --G_lr"),
    ],
)
def test_mistakes_are_one_line(folder, capsys, words, message):
    status, out, error = run(capsys, *words)
    assert status == 2
    assert error.startswith("error: ") and message in error and error.count("\n") == 0
    assert not (folder / "results").exists()
