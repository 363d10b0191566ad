"""The shipped configs: all resolve, and GANSynth's is built at full size and takes steps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml

from pggan_framework import run
from pggan_framework.cli.main import main
from pggan_framework.config import resolve_overrides
from pggan_framework.pretrained import load_generator
from pggan_framework.runs import snapshots

CONFIGS = sorted((Path(__file__).parents[1] / "configs").glob("*.yaml"))
GANSYNTH = next(path for path in CONFIGS if path.stem == "gansynth")


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_config_says_what_it_means(path: Path) -> None:
    given = yaml.safe_load(path.read_text())
    resolved = resolve_overrides(path, {}).to_dict()
    for name, value in given.items():
        found = resolved[name]
        if isinstance(value, dict):
            assert {parameter: found[parameter] for parameter in value} == value, name
        else:
            assert found == value, name


@pytest.fixture
def nsynth(tmp_path: Path) -> Path:
    """Eight notes with the names and the length of NSynth's."""
    folder = tmp_path / "nsynth"
    folder.mkdir()
    time = np.arange(64000) / 16000
    for number, pitch in enumerate((24, 48, 60, 84) * 2):
        tone = 0.3 * np.sin(2 * np.pi * 440 * 2 ** ((pitch - 69) / 12) * time) * np.exp(-time)
        soundfile.write(folder / f"keyboard_acoustic_{number:03d}-{pitch:03d}-100.wav", tone, 16000)
    return folder


def test_gansynth_at_full_size(nsynth: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["train", "--config", str(GANSYNTH), "--SoundImageDataset.dir_path", str(nsynth), "--dry_run"]
    assert main([*words, "--SoundImageDataset.prepared_dir", "None"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines() if line[:5].strip().isdigit()]
    assert [row[1] for row in rows] == [f"2x{16 << d}x{2 << d}" for d in range(7)]
    assert {row[2] for row in rows} == {"8"}
    assert [float(row[3].replace(",", "")) for row in rows] == [800, *[1600] * 5, 2200]


@pytest.mark.slow
def test_gansynth_takes_steps(nsynth: Path, tmp_path: Path) -> None:
    flags = {
        "SoundImageDataset.dir_path": nsynth,
        "SoundImageDataset.prepared_dir": None,
        "total_kimg": 0.024,
        "result_dir": str(tmp_path / "results"),
        "postprocessors": [],
        "DepthManager.tick_kimg_default": 0.008,
        "DepthManager.lod_training_nimg": 8,
        "DepthManager.lod_transition_nimg": 8,
    }
    result = run(GANSYNTH, flags)
    assert np.isfinite([result.stats["D_loss"], result.stats["G_loss"], result.stats["D_label"]]).all()
    pretrained = load_generator(snapshots(result.path)[-1])
    assert pretrained.label_space is not None and pretrained.label_space.attributes[0].values == (
        "24",
        "48",
        "60",
        "84",
    )
    picture = pretrained.sample(1)
    assert picture.shape == (1, 2, 32, 4)
    assert pretrained.decode(picture, refine_iter=0).shape == (1, 128 * 512)
