"""``pggan import``: what comes out of it serves the other commands, and nothing is left behind where it cannot be."""

from __future__ import annotations

import json
import sys
from types import ModuleType

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from test_karras import dump, tensorflow

from pggan_framework import run as train
from pggan_framework.cli.main import main
from pggan_framework.models.importing.convert import build_generator
from pggan_framework.models.importing.detect import read_foreign
from pggan_framework.models.pretrained import load_generator
from pggan_framework.runs.folders import snapshots


@pytest.fixture
def pickled(tmp_path, monkeypatch):
    """A pickle of the original PGGAN in mid-fade with three classes, in the folder one is in; and its model."""
    monkeypatch.chdir(tmp_path)

    class Network:
        __module__, __qualname__ = "tfutil", "Network"

        def __init__(self, state):
            self.state = state

        def __getstate__(self):
            return self.state

    module = ModuleType("tfutil")
    module.Network = Network
    monkeypatch.setitem(sys.modules, "tfutil", module)
    made = [tensorflow(Network, name, 0.5, 3, seed=seed, channels=3)[0] for seed, name in enumerate("GDG")]
    return read_foreign(dump(tmp_path / "network-snapshot-000120.pkl", tuple(made)))


def test_a_checkpoint_and_a_config_are_written(pickled, tmp_path, capsys):
    assert main(["import", "network-snapshot-000120.pkl", "new/faces.pt"]) == 0
    out, error = capsys.readouterr()
    assert out.splitlines() == [
        "the original PGGAN, TensorFlow version: 3x16x16, depth 2, fading in at alpha 0.50, 120 kimg",
        "written to new/faces.pt, new/faces.yaml",
    ]
    assert not error
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["faces.pt", "faces.yaml"]
    latents = torch.randn(3, 24)
    for weights, layers in (("ema", pickled.averaged), ("raw", pickled.G)):
        model = load_generator(tmp_path / "new/faces.pt", weights)
        labels = np.array([[0], [2], [1]])
        with torch.no_grad():
            expected = build_generator(pickled, layers)(latents, torch.eye(3)[[0, 2, 1]])
        np.testing.assert_allclose(model.generate(latents, labels), expected.clamp(-1, 1).numpy(), atol=1e-6)
    assert (model.generator.depth, float(model.generator.alpha), model.nimg) == (2, 0.5, 120_000)


def test_other_commands_take_it(pickled, capsys):
    assert main(["import", "network-snapshot-000120.pkl", "faces.pt"]) == 0
    capsys.readouterr()
    assert main(["info", "faces.pt"]) == 0
    out = capsys.readouterr().out
    assert "imported       from network-snapshot-000120.pkl, of the original PGGAN, TensorFlow version" in out
    assert "trained        depth 2, 3x16x16, fading in at alpha 0.50" in out and "3 values: 0 (1), 1 (1), 2 (1)" in out
    assert "stopped at     120 kimg (120000 images)" in out and "data           unknown" in out
    assert main(["info", "faces.pt", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["imported"]["file"] == "network-snapshot-000120.pkl"
    assert main(["generate", "faces.pt", "--seeds", "0-3", "--label", "label=1", "--depth", "1", "--out", "made"]) == 0
    assert main(["export", "faces.pt", "faces.safetensors"]) == 0


def test_it_can_be_grown(pickled, tmp_path, capsys):
    assert main(["import", "network-snapshot-000120.pkl", "faces.pt"]) == 0
    pictures(tmp_path / "pictures")
    own = ["--DefaultImageFolderDataset.dir_path", "pictures", "--minibatch_size", "4"]
    assert main(["grow", "faces.pt", "--to", "size=32", *own, "--dry_run"]) == 0
    out = capsys.readouterr().out
    rows = {line.split()[0]: line.split()[1] for line in out.splitlines() if line.startswith(("G.", "D."))}
    # Its labels are not those of the folder, so that their mean is drawn.
    assert rows["G.blocks.0.dense"] == "mapped" and rows["D.classify"] == "dropped"
    assert rows["G.blocks.2.first"] == "kept" and rows["G.blocks.3.first"] == rows["D.from_rgb.3"] == "added"


def pictures(folder):
    for number in range(12):
        (folder / str(number % 3)).mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 255, (16, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / str(number % 3) / f"{number}.png")


@pytest.mark.slow
def test_training_goes_on_from_it(pickled, tmp_path):
    assert main(["import", "network-snapshot-000120.pkl", "faces.pt"]) == 0
    pictures(tmp_path / "photos")
    start = yaml.safe_load((tmp_path / "faces.yaml").read_text())["Trainer"]["resume_nimg"]
    assert start == 350_000  # between two fades of 100,000 images, in the middle of the second
    overrides = {
        "DefaultImageFolderDataset.dir_path": "photos",
        "DefaultImageFolderDataset.labels": ["label"],  # by which the file's labels go
        "DefaultImageFolderDataset.labels_pattern": r"(?P<label>\d)/",
        "minibatch_size": 4,
        "DepthManager.tick_kimg_default": 0.008,
        "total_kimg": start / 1000 + 0.016,
        "loggers": ["JSONLLogger"],
        "G_lr_max": 1e-12,
        "D_lr_max": 1e-12,
    }
    result = train(config="faces.yaml", overrides=overrides)
    assert result.nimg == start + 16
    before, after = (load_generator(path, "raw") for path in (tmp_path / "faces.pt", snapshots(result.path)[-1]))
    assert after.generator.depth == 2 and float(after.generator.alpha) == pytest.approx(0.5, abs=1e-3)
    # With such a learning rate they are still the same, but for alpha.
    after.generator.alpha = 0.5
    latents, labels = before.latents(4), np.array([[0], [1], [2], [0]])
    np.testing.assert_allclose(after.generate(latents, labels), before.generate(latents, labels), atol=1e-5)


@pytest.mark.slow
def test_evaluate_takes_the_folder_of_data(pickled, tmp_path, capsys):
    assert main(["import", "network-snapshot-000120.pkl", "faces.pt"]) == 0
    pictures(tmp_path / "photos")
    words = ["evaluate", "faces.pt", "--count", "6", "--metrics", "swd"]
    assert main(words) == 2
    assert "give their new location with --data PATH" in capsys.readouterr().err
    assert main([*words, "--data", "photos"]) == 0
    assert "swd" in capsys.readouterr().out


def test_a_run_of_another_shape_is_told(pickled, tmp_path, capsys):
    assert main(["import", "network-snapshot-000120.pkl", "faces.pt"]) == 0
    pictures(tmp_path / "photos")
    words = ["train", "--config", "faces.yaml", "--DefaultImageFolderDataset.dir_path", "photos"]
    assert main([*words, "--Generator.fmap_max", "8", "--loggers", "[]"]) == 2
    assert "does not fit these networks" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["none.pkl", "a.pt"], "none.pkl does not exist"),
        (["network-snapshot-000120.pkl", "a.pth"], "allowed: a new file that ends in .pt"),
        (["network-snapshot-000120.pkl", "there.pt"], "exists already"),
        (["network-snapshot-000120.pkl", "a.pt", "--discriminator", "there.pt"], "holds both networks"),
        (["network-snapshot-000120.pkl", "a.pt", "--discriminator", "none"], "--discriminator none does not exist"),
        (["there.pt", "a.pt"], "not a model file of a supported system"),
        (["network-snapshot-000120.pkl"], "OUT.pt"),
        (["ours.pt", "a.pt"], "is a checkpoint of this project already"),
    ],
    ids=range(8),
)
def test_bad_input_leaves_nothing_behind(words, message, pickled, tmp_path, capsys):
    (tmp_path / "there.pt").write_bytes(b"there")
    assert main(["import", "network-snapshot-000120.pkl", "ours.pt"]) == 0
    (tmp_path / "ours.yaml").unlink()
    before = sorted(path.name for path in tmp_path.iterdir())
    capsys.readouterr()
    assert main(["import", *words]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_help_has_examples(capsys):
    assert main(["import", "--help"]) == 0
    assert "examples:" in capsys.readouterr().out
    assert main(["--help"]) == 0
    assert "import" in capsys.readouterr().out
