"""Training on labelled data, from the flags to a checkpoint that plays a label."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny import TONES

from pggan_framework import UserError, register, run
from pggan_framework.labels.attributes import collect
from pggan_framework.models.pretrained import load_generator
from pggan_framework.networks import Generator
from pggan_framework.plugins.output import evenly
from pggan_framework.registry import REGISTRY
from pggan_framework.runs.folders import snapshots
from pggan_framework.training.checkpoint import load_checkpoint

LABELLED: dict[str, Any] = {
    **TONES,
    "TonesDataset.count": 30,
    "TonesDataset.labels": ["pitch"],
    "DepthManager.tick_kimg_default": 0.02,
    "DepthManager.tick_kimg_overrides": {},
    "DepthManager.lod_training_nimg": 20,
    "DepthManager.lod_transition_nimg": 20,
    "exp_name": "labelled",
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    flags = {**LABELLED, "total_kimg": 0.12, "result_dir": str(tmp_path_factory.mktemp("results"))}
    result = run(overrides=flags)
    assert {"D_label", "G_label", "D_label_right", "G_label_right"} <= set(result.stats)
    return result.path


def test_a_checkpoint_plays_a_label(trained: Path) -> None:
    pretrained = load_generator(snapshots(trained)[-1])
    space, rows = pretrained.label_space, pretrained.label_rows
    assert space is not None and rows is not None
    (pitch,) = space.attributes
    assert pitch.name == "pitch" and len(pitch.values) == len(rows)
    assert 67 <= int(pitch.values[0]) < int(pitch.values[-1]) <= 91  # 400 to 1600 Hz
    first = np.tile(space.find({"pitch": pitch.values[0]}), (3, 1))
    latents = pretrained.latents(3, seed=1)
    pictures = pretrained.generate(latents, first)
    assert pictures.shape[0] == 3 and np.abs(pictures).max() <= 1
    assert not np.array_equal(pictures, pretrained.generate(latents, first + 1))
    np.testing.assert_array_equal(pictures, pretrained.sample(3, seed=1, labels=first))
    np.testing.assert_array_equal(pretrained.latents(5, seed=1)[:3], latents)
    with pytest.raises(ValueError, match="due are"):
        pretrained.generate(latents)


def test_labels_are_drawn_as_the_data_have_them(trained: Path) -> None:
    pretrained = load_generator(snapshots(trained)[-1])
    assert pretrained.label_rows is not None and pretrained.label_counts is not None
    assert pretrained.label_counts.sum() == 30
    drawn = pretrained.draw_labels(20000, seed=3)
    assert drawn is not None
    shares = [np.mean(np.all(drawn == row, axis=1)) for row in pretrained.label_rows]
    np.testing.assert_allclose(shares, pretrained.label_counts / 30, atol=0.01)


def test_it_goes_on_bit_for_bit(tmp_path: Path) -> None:
    flags = {**LABELLED, "SaverPlugin.network_snapshot_ticks": 1, "SaverPlugin.keep_old_checkpoints": True}
    whole = run(overrides={**flags, "total_kimg": 0.12, "result_dir": str(tmp_path / "a")})
    part = run(overrides={**flags, "total_kimg": 0.06, "result_dir": str(tmp_path / "b")})
    run(overrides={"resume": str(part.path), "total_kimg": 0.12})
    ends = [load_checkpoint(snapshots(path)[-1]) for path in (whole.path, part.path)]
    for network in ("G", "D"):
        first, second = (end["networks"][network] for end in ends)
        assert all(torch.equal(first[name], second[name]) for name in first)


def test_without_labels_the_classifier_has_nothing_to_do(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="AuxiliaryClassifier.weight is given, but the data have no labels"):
        run(overrides={**TONES, "AuxiliaryClassifier.weight": 10, "result_dir": str(tmp_path)})
    assert not list(tmp_path.iterdir())


def test_a_generator_that_knows_no_labels_is_refused(tmp_path: Path) -> None:
    class Deaf(Generator):
        """Takes no labels."""

        def __init__(self, shape: Any) -> None:
            super().__init__(shape, 32, latent_size=4, fmap_max=4)

    register("generator")(Deaf)
    try:
        with pytest.raises(UserError, match="Deaf cannot be conditioned, but the data are labelled with pitch"):
            run(overrides={**LABELLED, "generator": "Deaf", "result_dir": str(tmp_path)})
    finally:
        REGISTRY.remove("Deaf")
    assert not list(tmp_path.iterdir())


def test_samples_go_from_the_first_label_to_the_last() -> None:
    _, labels = collect({"a": [3, 1, 2, 1, 5, 4, 3], "b": [0, 1, 0, 0, 0, 0, 1]})
    assert evenly(labels, 3).tolist() == [[0, 0], [2, 0], [4, 0]]
    assert len(evenly(labels, 20)) == 20
    assert evenly(labels, 1).tolist() == [[2, 0]]
