"""A run on labels that are numbers: from a table of labels to images of a number that is requested."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from pggan_framework import UserError, run
from pggan_framework.cli.main import main
from pggan_framework.config import resolve_overrides
from pggan_framework.data.datasets.images import DefaultImageFolderDataset
from pggan_framework.data.store.prepared import load_prepared, save_prepared
from pggan_framework.launch.experiment import Experiment
from pggan_framework.models.pretrained import load_generator
from pggan_framework.runs.folders import snapshots
from pggan_framework.training.checkpoint import load_checkpoint

COUNT = 12


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Grey images, all of one level, which is their label; three times as many dark ones as light ones."""
    folder = tmp_path_factory.mktemp("grey")
    rows = ["file,level,kind"]
    for number in range(COUNT):
        level = number / 20 if number < 9 else number / 11
        Image.new("L", (8, 8), round(255 * level)).save(folder / f"{number:02d}.png")
        rows.append(f"{number:02d}.png,{level},{'dark' if number < 9 else 'light'}")
    (folder / "labels.csv").write_text("\n".join(rows) + "\n")
    return folder


@pytest.fixture
def flags(pictures: Path, tmp_path: Path) -> dict[str, Any]:
    return {
        "dataset_class": "DefaultImageFolderDataset",
        "DefaultImageFolderDataset.dir_path": str(pictures),
        "DefaultImageFolderDataset.imread_mode": "L",
        "DefaultImageFolderDataset.labels": ["kind", "level"],
        "DefaultImageFolderDataset.continuous_labels": ["level"],
        "DefaultImageFolderDataset.labels_csv": str(pictures / "labels.csv"),
        "AuxiliaryClassifier.attribute_weights": {"level": 2.0},
        "AuxiliaryClassifier.class_weights": "balanced",
        "Trainer.label_sampling": "uniform",
        "Generator.fmap_base": 32,
        "Generator.fmap_max": 4,
        "Generator.latent_size": 4,
        "Discriminator.fmap_base": 32,
        "Discriminator.fmap_max": 4,
        "minibatch_size": 4,
        "DepthManager.lod_training_nimg": 8,
        "DepthManager.lod_transition_nimg": 8,
        "DepthManager.tick_kimg_default": 0.012,
        "SaverPlugin.network_snapshot_ticks": 1,
        "SaverPlugin.keep_old_checkpoints": True,
        "ImageSaver.resolution": 8,
        "loggers": ["JSONLLogger"],
        "total_kimg": 0.048,
        "result_dir": str(tmp_path / "results"),
    }


def options(flags: dict[str, Any]) -> dict[str, Any]:
    prefix = "DefaultImageFolderDataset."
    return {name.removeprefix(prefix): value for name, value in flags.items() if name.startswith(prefix)}


def test_it_trains_goes_on_and_plays_a_number(
    flags: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = run(overrides=flags)
    assert {"D_label", "D_label_right", "D_label_off", "G_label_off"} <= set(whole.stats)
    part = run(overrides={**flags, "total_kimg": 0.024})
    run(overrides={"resume": str(part.path), "total_kimg": 0.048})
    ends = [load_checkpoint(snapshots(path)[-1]) for path in (whole.path, part.path)]
    for network in ("G", "D"):
        first, second = (end["networks"][network] for end in ends)
        assert all(torch.equal(first[name], second[name]) for name in first)

    model = load_generator(snapshots(whole.path)[-1])
    assert model.label_space is not None and model.label_rows is not None and model.label_counts is not None
    assert model.label_space.attributes[1].span == (0.0, 1.0)
    assert model.label_rows.shape == (COUNT, 2) and model.label_counts.tolist() == [1] * COUNT
    label = model.label_space.find({"kind": "light", "level": 0.123456})
    latents = model.latents(1, 0)
    first_picture = model.generate(latents, label[None])
    assert not np.array_equal(first_picture, model.generate(latents, np.array([[1, 0.9]])))

    out = tmp_path / "made"
    words = ["generate", str(whole.path), "--count", "2", "--out", str(out), "--label", "level=0.123456"]
    assert main([*words, "--label", "kind=light"]) == 0
    names = {"seed0000_kind-light_level0.123456.png", "seed0001_kind-light_level0.123456.png", "sheet.png"}
    assert {path.name for path in out.iterdir()} == names
    capsys.readouterr()
    assert main([*words[:5], str(out), "--label", "level=1.5"]) == 2
    assert "level '1.5' is not allowed; allowed: a number from 0 to 1" in capsys.readouterr().err


def test_a_prepared_file_has_them(flags: dict[str, Any], tmp_path: Path) -> None:
    data = DefaultImageFolderDataset(**options(flags))
    assert data.labels is not None and "level, continuous, 0 to 1; from the table" in data.summary()["labels"]
    save_prepared(data, tmp_path / "data.h5")
    again = load_prepared(tmp_path / "data.h5")
    assert again.labels is not None and again.label_space == data.label_space and again.labels.dtype == np.float64
    np.testing.assert_array_equal(again.labels, data.labels)
    as_values = DefaultImageFolderDataset(**{**options(flags), "continuous_labels": None})
    assert as_values.fingerprint() != data.fingerprint() and as_values.label_space.width == 2 + COUNT


def test_labels_are_drawn_as_asked(flags: dict[str, Any]) -> None:
    # The levels' mean is (0 + 1 + ... + 8) / 20 and 9 / 11, 10 / 11 and 1, by 12.
    for sampling, light, mean in (("uniform", 0.5, 0.5), ("data", 3 / 12, (36 / 20 + 30 / 11) / 12)):
        experiment = Experiment(resolve_overrides(None, {**flags, "Trainer.label_sampling": sampling}))
        torch.manual_seed(0)
        drawn = experiment.labels(20000).numpy()
        assert drawn[:, 1].mean() == pytest.approx(light, abs=0.02)
        assert (drawn[:, 2].mean() + 1) / 2 == pytest.approx(mean, abs=0.01)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"DefaultImageFolderDataset.continuous_labels": ["kind"]}, "00.png has the kind 'dark' in the table"),
        ({"DefaultImageFolderDataset.continuous_labels": ["levle"]}, "'levle' is not a label (did you mean 'level'?)"),
        ({"AuxiliaryClassifier.attribute_weights": {"knd": 2.0}}, "no label 'knd' (did you mean 'kind'?)"),
        ({"loss": "RelativisticGAN"}, "RelativisticGAN compares G's fakes with reals"),
        (
            {"DefaultImageFolderDataset.labels": None, "DefaultImageFolderDataset.labels_csv": None},
            "continuous_labels level is given without DefaultImageFolderDataset.labels",
        ),
    ],
)
def test_mistakes_are_named(flags: dict[str, Any], more: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as caught:
        run(overrides={**flags, **more})
    assert message in str(caught.value) and not Path(flags["result_dir"]).exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AuxiliaryClassifier.attribute_weights", {"level": 2.0}),
        ("AuxiliaryClassifier.class_weights", "balanced"),
        ("Trainer.label_sampling", "uniform"),
    ],
)
def test_without_labels_they_have_nothing_to_do(flags: dict[str, Any], name: str, value: object) -> None:
    kept = {n: v for n, v in flags.items() if "label" not in n and not n.startswith("AuxiliaryClassifier")}
    with pytest.raises(UserError, match=rf"{name} .*is given, but the data have no labels"):
        run(overrides={**kept, name: value})
