"""Training on label maps, from the flags to a checkpoint that draws a map."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from maps import COLOURS, random_maps, write_pairs
from PIL import Image

from pggan_framework import UserError, register, run
from pggan_framework.cli.main import main
from pggan_framework.labels.maps import MapSpace
from pggan_framework.models.pretrained import load_generator
from pggan_framework.networks import Discriminator
from pggan_framework.registry import REGISTRY
from pggan_framework.runs.folders import snapshots
from pggan_framework.training.checkpoint import load_checkpoint

SMALL: dict[str, Any] = {
    "dataset_class": "LabelMapDataset",
    "generator": "SPADEGenerator",
    "discriminator": "MapDiscriminator",
    **{f"{network}.fmap_base": 32 for network in ("SPADEGenerator", "MapDiscriminator")},
    **{f"{network}.fmap_max": 4 for network in ("SPADEGenerator", "MapDiscriminator")},
    "SPADEGenerator.hidden": 4,
    "SPADEGenerator.latent_size": 3,
    "minibatch_size": 4,
    "DepthManager.tick_kimg_default": 0.02,
    "DepthManager.tick_kimg_overrides": {},
    "DepthManager.lod_training_nimg": 16,
    "DepthManager.lod_transition_nimg": 16,
    "OutputGenerator.samples_count": 4,
    "ImageSaver.resolution": 1,
    "loggers": ["JSONLLogger"],
    "exp_name": "maps",
}
MAPS = random_maps(80)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    images, labels = write_pairs(tmp_path_factory.mktemp("data"), MAPS)
    folders = {"LabelMapDataset.image_dir": images, "LabelMapDataset.label_dir": labels}
    return {**SMALL, **folders, "LabelMapDataset.preload": True}


@pytest.fixture(scope="module")
def trained(data: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(overrides={**data, "total_kimg": 0.08, "result_dir": str(tmp_path_factory.mktemp("results"))}).path


def weights(path: Path) -> dict[str, torch.Tensor]:
    networks = load_checkpoint(snapshots(path)[-1])["networks"]
    return {f"{name}.{key}": value for name in ("G", "D") for key, value in networks[name].items()}


def test_samples_and_their_maps_lie_side_by_side(trained: Path) -> None:
    sheets = [np.asarray(Image.open(trained / f"{kind}.png")) for kind in ("reals", "maps")]
    assert sheets[0].shape == sheets[1].shape
    # The images' grey is 100 times the class, and so is the tile's place in both grids.
    tiles = [np.asarray(sheet)[:16, :16] for sheet in sheets]
    classes = np.array([[COLOURS.index(tuple(pixel)) for pixel in row] for row in tiles[1].tolist()])
    np.testing.assert_array_equal(tiles[0][..., 0], classes * 100)


def test_a_checkpoint_draws_without_the_data(trained: Path) -> None:
    pretrained = load_generator(snapshots(trained)[-1])
    space = pretrained.label_space
    assert isinstance(space, MapSpace) and len(space) == 64 and space.size == (16, 16)
    assert [entry.colour for entry in space.classes] == COLOURS
    np.testing.assert_array_equal(space.read(0), MAPS[0])
    np.testing.assert_array_equal(space.read(63), MAPS[79])
    pictures = pretrained.sample(3, seed=1)
    assert pictures.shape == (3, 3, 16, 16)
    np.testing.assert_array_equal(pictures, pretrained.sample(3, seed=1))
    assert not np.allclose(pictures, pretrained.sample(3, seed=2))
    latents = pretrained.latents(2)
    own = pretrained.with_maps(MAPS[40:42])
    first, second = own.generate(latents, np.array([[0], [1]])), own.generate(latents, np.array([[1], [1]]))
    np.testing.assert_allclose(first[1], second[1], atol=1e-5)
    assert not np.allclose(first[0], second[0])
    with pytest.raises(ValueError, match=r"up to class 2; expected \(16, 16\), 3"):
        pretrained.with_maps(MAPS[:2, :8])


@pytest.mark.parametrize("more", [{}, {"SPADEGenerator.latent_size": 0, "LabelMapDataset.map_resize": "shares"}])
def test_it_goes_on_bit_for_bit(data: dict[str, Any], more: dict[str, Any], tmp_path: Path) -> None:
    flags = {**data, **more, "postprocessors": [], "loss": "HingeGAN"}
    whole = run(overrides={**flags, "total_kimg": 0.08, "result_dir": str(tmp_path / "a")})
    assert np.isfinite([whole.stats["D_loss"], whole.stats["G_loss"]]).all() and whole.stats["depth"] == 2
    part = run(overrides={**flags, "total_kimg": 0.04, "result_dir": str(tmp_path / "b")})
    run(overrides={"resume": str(part.path), "total_kimg": 0.08})
    first, second = weights(whole.path), weights(part.path)
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("more", [{"loss": "RelativisticAverageGAN"}, {"loss": "WGANGP", "penalties": ["UnrolledD"]}])
def test_losses_that_see_more_than_one_batch_take_maps(
    data: dict[str, Any], more: dict[str, Any], tmp_path: Path
) -> None:
    stats = run(overrides={**data, **more, "total_kimg": 0.02, "result_dir": str(tmp_path), "postprocessors": []}).stats
    assert np.isfinite([stats["D_loss"], stats["G_loss"]]).all()


def test_a_dry_run_says_what_it_costs(data: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [word for name, value in data.items() if name != "loggers" for word in (f"--{name}", str(value))]
    assert main(["train", *words, "--result_dir", str(tmp_path), "--total_kimg", "0.08", "--dry_run"]) == 0
    out = capsys.readouterr().out
    assert "label maps: 3 classes (class 0, class 1, class 2)" in out and "3x16x16" in out


def test_generate_draws_stored_and_given_maps(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["generate", str(trained), "--count", "2", "--out", str(out)]) == 0
    files = sorted(path.name for path in out.iterdir())
    assert files[:1] == ["maps.png"] and len(files) == 4 and files[1].startswith("seed0000_map")
    _, labels = write_pairs(tmp_path / "given", MAPS[50:53], coloured=True)
    drawn = tmp_path / "drawn"
    assert main(["generate", str(trained), "--maps", str(labels), "--out", str(drawn)]) == 0
    assert sorted(path.name for path in drawn.glob("seed*")) == [f"seed000{i}_map{i}.png" for i in range(3)]
    capsys.readouterr()
    assert main(["generate", str(trained), "--maps", str(labels), "--label", "map=2"]) == 2
    assert "--label map=2 is given with --maps" in capsys.readouterr().err
    assert main(["generate", str(trained), "--maps", str(tmp_path / "gone")]) == 2
    assert "is not an image or a folder of images" in capsys.readouterr().err


def test_the_inspector_counts_pixels(data: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images, labels = (str(data[f"LabelMapDataset.{kind}"]) for kind in ("image_dir", "label_dir"))
    words = [
        "--dataset_class",
        "LabelMapDataset",
        "--LabelMapDataset.label_dir",
        labels,
        "--out",
        str(tmp_path / "out"),
    ]
    assert main(["inspect", images, *words]) == 0
    chosen = np.linspace(0, 79, 64).round().astype(int)
    assert f"class 1 {np.mean(MAPS[chosen] == 1):.2%}" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    "networks",
    [
        {"generator": "Generator"},
        {"discriminator": "Discriminator"},
        {"discriminator": "ProjectionDiscriminator"},
        {"generator": "DCGANGenerator", "progressive_growing": False},
    ],
)
def test_networks_that_know_no_maps_are_refused(data: dict[str, Any], networks: dict[str, Any], tmp_path: Path) -> None:
    general = {name: value for name, value in data.items() if "." not in name or name.startswith("LabelMap")}
    with pytest.raises(
        UserError, match="does not support label maps, but the data have them; allowed: .*MapDiscriminator"
    ):
        run(overrides={**general, **networks, "result_dir": str(tmp_path)})
    assert not list(tmp_path.iterdir())


def test_a_discriminator_may_say_that_it_does_not_look(data: dict[str, Any], tmp_path: Path) -> None:
    class Blind(Discriminator):
        """Discriminators images whatever their maps."""

        takes_maps, classifies = True, False

        def __init__(self, shape: Any, label_space: Any = None) -> None:
            super().__init__(shape, 32, fmap_max=4)

        def judge(self, images: Any, labels: Any = None, parts: int = 1) -> Any:
            return super().judge(images, None, parts)

    register("discriminator")(Blind)
    general = {name: value for name, value in data.items() if not name.startswith("MapD")}
    try:
        stats = run(
            overrides={**general, "discriminator": "Blind", "total_kimg": 0.02, "result_dir": str(tmp_path)}
        ).stats
    finally:
        REGISTRY.remove("Blind")
    assert np.isfinite(stats["D_loss"])
