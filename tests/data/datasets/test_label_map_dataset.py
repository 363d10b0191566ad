"""Folders of images and label maps: what is read, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from maps import COLOURS, random_maps, write_pairs
from PIL import Image

from pggan_framework.config.parameters import parameters
from pggan_framework.data.datasets.label_maps import LabelMapDataset
from pggan_framework.data.images.map_files import read_maps
from pggan_framework.data.loader import BatchLoader
from pggan_framework.data.store.prepared import load_prepared, save_prepared
from pggan_framework.errors import UserError
from pggan_framework.labels.maps import MapSpace
from pggan_framework.registry import REGISTRY

MAPS = random_maps(6)
NAMED = ["red", "#00ff00", "blue"]


@pytest.fixture
def pairs(tmp_path: Path) -> tuple[Path, Path]:
    return write_pairs(tmp_path, MAPS)


def maps_of(dataset: LabelMapDataset) -> list[list[list[int]]]:
    return [dataset.label_map(number).tolist() for number in range(len(dataset))]


@pytest.mark.parametrize("coloured", [False, True])
@pytest.mark.parametrize("preload", [False, True])
def test_pairs_belong_together_at_every_depth(tmp_path: Path, coloured: bool, preload: bool) -> None:
    folders = write_pairs(tmp_path / "data", MAPS, coloured)
    more: dict[str, Any] = {"label_colours": NAMED} if coloured else {}
    dataset = LabelMapDataset(*folders, preload=preload, **more)
    assert isinstance(dataset.label_space, MapSpace) and len(dataset.label_space.classes) == 3
    assert [entry.colour for entry in dataset.label_space.classes] == COLOURS
    loader = BatchLoader(dataset, seed=3)
    pictures, maps = loader.batch(4, 2, 6).numpy(), loader.labels(4, 2, 6)
    assert maps is not None and maps.shape == (6, 3, 16, 16)
    np.testing.assert_array_equal(pictures[:, 0], maps.argmax(1).numpy() * 100)
    small = loader.labels(4, 0, 6)
    assert small is not None
    np.testing.assert_array_equal(small.numpy(), maps.numpy()[:, :, ::4, ::4])


def test_a_mirrored_pair_is_mirrored_together(pairs: tuple[Path, Path]) -> None:
    dataset = LabelMapDataset(*pairs, mirror=True)
    assert len(dataset) == 12 and dataset.labels is not None and dataset.labels[:, 0].tolist() == list(range(12))
    np.testing.assert_array_equal(dataset.image(8)[0], dataset.label_map(8) * 100)
    np.testing.assert_array_equal(dataset.label_map(8), MAPS[2, :, ::-1])


@pytest.mark.parametrize(("policy", "size"), [("stretch", 8), ("crop", 8), ("pad", (16, 32))])
def test_maps_are_resized_as_their_pictures_without_blending(
    tmp_path: Path, policy: Any, size: int | tuple[int, int]
) -> None:
    blocks = np.kron(random_maps(4, 2, 3), np.ones((16, 16), np.uint8)).astype(np.uint8)
    dataset = LabelMapDataset(*write_pairs(tmp_path, blocks), size=size, resize=policy, background="black")
    for number in range(4):
        found, picture = dataset.label_map(number), dataset.image(number)[0].astype(int)
        assert set(np.unique(found)) <= {0, 1, 2}
        # Lanczos rings at the blocks' edges only.
        assert np.mean(np.abs(picture - 100 * found.astype(int)) < 50) > 0.85


def test_grey_and_sixteen_bit_maps_and_other_endings(tmp_path: Path) -> None:
    images, labels = write_pairs(tmp_path, MAPS[:2])
    (images / "sub").mkdir()
    (images / "0.png").rename(images / "sub" / "0.png")
    for file in labels.iterdir():
        file.unlink()
    (labels / "sub").mkdir()
    Image.fromarray(MAPS[0].astype(np.uint16)).save(labels / "sub" / "0.tif")
    Image.fromarray(MAPS[1]).save(labels / "1.bmp")
    dataset = LabelMapDataset(images, labels)
    assert maps_of(dataset) == [MAPS[1].tolist(), MAPS[0].tolist()]


def test_the_fingerprint_follows_the_maps(pairs: tuple[Path, Path]) -> None:
    first = LabelMapDataset(*pairs).fingerprint()
    assert LabelMapDataset(*pairs, preload=True).fingerprint() == first
    assert LabelMapDataset(*pairs, classes=5).fingerprint() != first
    assert LabelMapDataset(*pairs, map_resize="shares").fingerprint() != first
    Image.fromarray(MAPS[0][::-1].copy()).save(pairs[1] / "0.png")
    assert LabelMapDataset(*pairs).fingerprint() != first


def test_a_prepared_file_has_the_maps(pairs: tuple[Path, Path], tmp_path: Path) -> None:
    dataset = LabelMapDataset(*pairs, map_resize="shares", label_names=["a", "b", "c"])
    save_prepared(dataset, tmp_path / "data.h5")
    prepared = load_prepared(tmp_path / "data.h5")
    assert prepared.label_space == dataset.label_space and prepared.labels is not None
    assert prepared.label_space is not None and dataset.label_space is not None
    first, second = (s.condition(prepared.labels, (8, 8)) for s in (prepared.label_space, dataset.label_space))
    np.testing.assert_array_equal(first, second)


def test_its_flags() -> None:
    assert REGISTRY.get("Pix2pixDataset").cls is LabelMapDataset
    flags = parameters(LabelMapDataset)
    assert {"image_dir", "label_dir", "size", "resize", "imread_mode", "mirror"} <= set(flags)
    assert not {"dir_path", "labels", "labels_csv", "labels_pattern", "labels_json", "options"} & set(flags)
    assert "continuous_labels" not in flags
    assert all(flag.help for flag in flags.values())


def spoil(images: Path, labels: Path, how: str) -> dict[str, Any]:
    """Put something wrong into the folders or the flags; returns the flags."""
    if how == "no map":
        (labels / "3.png").unlink()
    elif how == "no image":
        (images / "3.png").unlink()
    elif how == "size":
        Image.fromarray(MAPS[3, :8]).save(labels / "3.png")
    elif how == "two":
        Image.fromarray(MAPS[3]).save(labels / "3.bmp")
    elif how == "colours":
        Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(labels / "3.png")
    elif how == "unknown":
        return {"label_colours": ["red", "blue"]}
    elif how == "folder":
        labels.rename(labels.parent / "other")
    elif how == "broken":
        (labels / "3.png").write_bytes(b"no image")
    elif how == "single":
        for file in labels.iterdir():
            Image.fromarray(MAPS[0] * 0).save(file)
    return {
        "class": {"classes": 2},
        "few": {"classes": 1},
        "twice": {"label_colours": ["red", "#ff0000"]},
        "both": {"label_colours": NAMED, "classes": 4},
        "names": {"label_names": ["a"]},
    }.get(how, {})


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("no map", "3.png has no label map: there is no image 3"),
        ("no image", "labels/3.png has no image 3"),
        ("size", r"3.png is 8x16, but its image 3.png is 16x16"),
        ("two", "3.bmp and 3.png have one name"),
        ("colours", "3.png is in colours .*label_colours"),
        ("unknown", r"0.png has the colour #00ff00 at row \d+, column \d+"),
        ("folder", "no folder .*label_dir"),
        ("broken", "label map .*3.png cannot be read"),
        ("single", "have class 0 only"),
        ("class", "has class 2; allowed: 0 to 1"),
        ("few", "classes is 1; allowed: 2 to 256"),
        ("twice", "2 colours, 1 different"),
        ("both", "label_colours names 3; leave classes out"),
        ("names", "label_names has 1 name; there are 3 classes"),
    ],
)
def test_what_does_not_fit_is_named(pairs: tuple[Path, Path], how: str, said: str) -> None:
    with pytest.raises(UserError, match=said) as error:
        dataset = LabelMapDataset(*pairs, **spoil(*pairs, how))
        maps_of(dataset)
    assert "\n" not in str(error.value)


def test_maps_to_draw_are_read_from_a_file_or_a_folder(tmp_path: Path) -> None:
    for coloured in (False, True):
        _, labels = write_pairs(tmp_path / str(coloured), MAPS, coloured)
        np.testing.assert_array_equal(read_maps(labels, (16, 16), COLOURS, "--maps"), MAPS)
        larger = read_maps(labels / "2.png", (32, 16), COLOURS, "--maps")
        np.testing.assert_array_equal(larger, MAPS[2:3].repeat(2, 1))
    with pytest.raises(UserError, match="is not an image or a folder of images"):
        read_maps(tmp_path / "gone", (16, 16), COLOURS, "--maps")
    with pytest.raises(UserError, match="has class 2; allowed: 0 to 1"):
        read_maps(tmp_path / "False" / "labels", (16, 16), COLOURS[:2], "--maps")
    with pytest.raises(UserError, match="allowed: #ff0000, #00ff00$"):
        read_maps(tmp_path / "True" / "labels", (16, 16), COLOURS[:2], "--maps")
