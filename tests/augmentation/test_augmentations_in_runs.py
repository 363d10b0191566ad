"""From flags to an exact resume."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import TONES

from pggan_framework import run
from pggan_framework.cli.main import main
from pggan_framework.runs.folders import snapshots

SMALL = {
    **{name: value for name, value in TONES.items() if "TonesDataset" not in str((name, value))},
    "dataset_class": "DefaultImageFolderDataset",
    "DepthManager.tick_kimg_default": 0.012,
    "DepthManager.tick_kimg_overrides": {},
    "DepthManager.lod_training_nimg": 16,
    "DepthManager.lod_transition_nimg": 16,
    "exp_name": "short",
}
ADA = {"augmentations": ["ADA", "ColourJitter"], "loss": "LogisticGAN", "ADA.interval": 3, "ADA.speed_kimg": 0.2}
ADA |= {"ADA.target": 0.0, "ADA.initial_p": 0.5}


@pytest.fixture
def photos(tmp_path):
    random = np.random.default_rng(0)
    (tmp_path / "photos").mkdir()
    for number in range(6):
        Image.fromarray(random.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(tmp_path / "photos" / f"{number}.png")
    return {"DefaultImageFolderDataset.dir_path": str(tmp_path / "photos")}


def test_resumed_equals_uninterrupted(tmp_path, photos):
    flags = {**SMALL, **photos, **ADA}
    whole = run(overrides={**flags, "total_kimg": 0.06, "result_dir": str(tmp_path / "whole")})
    # 7 updates of D: one is counted, but p has not moved since the sixth.
    part = run(overrides={**flags, "total_kimg": 0.028, "result_dir": str(tmp_path / "parts")})
    before = torch.load(snapshots(part.path)[-1], weights_only=True)["augmentations"]["ADA"]
    assert before["updates"] == 1 and before["images"] == 4 and before["p"] != 0.5
    rest = run(overrides={"total_kimg": 0.06, "result_dir": str(tmp_path / "parts"), "resume": "latest"})
    states = [torch.load(snapshots(done.path)[-1], weights_only=True) for done in (whole, rest)]
    for network in "GD":
        weights = [state["networks"][network] for state in states]
        assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    first, second = (state["augmentations"]["ADA"] for state in states)
    assert torch.equal(first.pop("signs"), second.pop("signs")) and first == second and first["p"] != before["p"]
    figures = json.loads((whole.path / "stats.jsonl").read_text().splitlines()[-1])
    assert 0 < figures["ada.p"] <= 1 and -1 <= figures["ada.r"] <= 1


def test_a_command_line_and_its_resume(tmp_path, photos, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = [f"--{name}={value}" for name, value in {**SMALL, **photos}.items()]
    words += ["--augmentations", "DiffAugment", "--DiffAugment.policy", "[color,", "translation]"]
    assert main(["train", *words, "--total_kimg", "0.024"]) == 0
    assert main(["train", "--resume", "latest", "--total_kimg", "0.036"]) == 0
    lines = (tmp_path / "results" / "000-short" / "stats.jsonl").read_text().splitlines()
    assert json.loads(lines[-1])["nimg"] == 36
    assert "policy: [color, translation]" in (tmp_path / "results" / "000-short" / "config.yaml").read_text()
    capsys.readouterr()


def test_sounds_take_what_suits_them(tmp_path):
    flags = {**SMALL, **TONES, "augmentations": ["SpectrogramAugment"], "result_dir": str(tmp_path)}
    result = run(overrides={**flags, "total_kimg": 0.024})
    assert result.nimg == 24


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (
            "--augmentations DiffAugment",
            "the data are spectrograms, which it would corrupt; allowed: SpectrogramAugment",
        ),
        ("--augmentations DiffAugmant", "unknown augmentation 'DiffAugmant' (did you mean 'DiffAugment'?)"),
        ("--augmentations R1", "'R1' is a penalty, not a augmentation; allowed: ADA"),
        ("--augmentations [SpectrogramAugment,SpectrogramAugment]", "SpectrogramAugment is listed twice"),
        (
            "--augmentations SpectrogramAugment --SpectrogramAugment.gain -1",
            "gain -1.0 is not allowed",
        ),
        ("--augmentations ADA --ADA.transforms [blot]", "ADA.transforms"),
    ],
)
def test_errors_of_the_user(tmp_path, capsys, flags, message):
    small = [f"--{key}={value}" for key, value in TONES.items()]
    assert main(["train", *small, "--result_dir", str(tmp_path), *flags.split()]) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
