"""Labels and mirror images of images."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from PIL import Image

from pggan_framework.data.datasets.images import DefaultImageFolderDataset as Folder
from pggan_framework.data.datasets.sound import SoundImageDataset
from pggan_framework.data.loader import BatchLoader
from pggan_framework.data.store.prepared import load_prepared, save_prepared
from pggan_framework.errors import UserError

NAMES = ("cat/old/tom_3.png", "cat/kitty_1.png", "dog/rex_3.png")  # in order: cat/kitty_1, cat/old/tom_3, dog/rex_3


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    for name in NAMES:
        path = tmp_path / "pictures" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 256, (8, 16, 3), dtype=np.uint8)).save(path)
    return tmp_path / "pictures"


def described(data: Any) -> list[str]:
    return [data.label_space.describe(label) for label in data.labels]


def write(path: Path, content: Any) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_folders_names_and_both(folder: Path) -> None:
    plain = Folder(folder)
    assert plain.label_space is None and plain.labels is None and "labels" not in plain.summary()
    data = Folder(folder, labels=["folder"])
    assert described(data) == ["folder cat", "folder cat", "folder dog"]
    assert data.labels is not None and data.labels.dtype == np.int64
    assert data.summary()["labels"] == (
        "folder, 2 values from cat to dog, 1 to 2 images each; from the folders they are in"
    )
    assert data.fingerprint() != plain.fingerprint()
    both = Folder(folder, labels=["number", "folder"], labels_pattern=r"_(?P<number>\d)")
    assert described(both) == ["number 1, folder cat", "number 3, folder cat", "number 3, folder dog"]
    assert both.fingerprint() != data.fingerprint()


def test_a_table(folder: Path, tmp_path: Path) -> None:
    rows = ["file;eyes;fur", "cat/kitty_1.png;green;red", "cat/old/tom_3.png;blue;red", "dog\\rex_3.png;green;grey"]
    table = write(tmp_path / "t.csv", "\n".join([*rows, "no/such.png;red;red"]))
    data = Folder(folder, labels=["fur", "eyes"], labels_csv=table)
    assert described(data) == ["fur red, eyes green", "fur red, eyes blue", "fur grey, eyes green"]


def test_dataset_json_of_stylegan(folder: Path) -> None:
    entries = [["dog/rex_3.png", 10], ["cat/kitty_1.png", 9], ["./cat/old/tom_3.png", 10], ["else.png", 1]]
    write(folder / "dataset.json", {"labels": entries})
    data = Folder(folder, labels_json=folder / "dataset.json")
    assert described(data) == ["class 9", "class 10", "class 10"]
    assert "dataset.json" in data.summary()["labels"]
    named = Folder(folder, labels=["folder", "class"], labels_json=folder / "dataset.json")
    assert described(named)[2] == "folder dog, class 10"


def test_attributes_in_json(folder: Path, tmp_path: Path) -> None:
    rows = {name: {"age": age, "wild": age > 4, "owner": "Ann"} for name, age in zip(NAMES, (3, 12, 3.0), strict=True)}
    path = write(tmp_path / "a.json", rows)
    data = Folder(folder, labels=["wild", "age"], labels_json=path)
    assert described(data) == ["wild True, age 12", "wild False, age 3", "wild False, age 3"]
    only = write(tmp_path / "b.json", {name: {"age": number} for number, name in enumerate(NAMES)})
    assert described(Folder(folder, labels_json=only)) == ["age 1", "age 0", "age 2"]


def test_recordings_take_json_too(tmp_path: Path) -> None:
    for name in ("a.wav", "b.wav"):
        soundfile.write(tmp_path / name, np.full(1024, 0.1), 8000)
    path = write(tmp_path / "notes.json", {"a.wav": {"pitch": 61}, "b.wav": {"pitch": 60}})
    data = SoundImageDataset(tmp_path, n_fft=64, hop_length=32, frequency=8000, jobs=1, labels_json=path)
    assert described(data) == ["pitch 61", "pitch 60"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "a.json is not JSON: .*, line 1"),
        ("[]", r"a.json holds no labels; allowed: {\"labels\":"),
        ({"labels": None}, "has null under 'labels'; allowed:"),
        ({"labels": [["a.png", 1, 2]]}, r"has \[\"a.png\", 1, 2\] among its labels"),
        ({"labels": [["a.png", [0, 1]], ["b.png", [1]]]}, r"has labels such as \[0, 1\] and others of different lengths"),
        ({"labels": [["dog/rex_3.png", 1], ["./dog/rex_3.png", 2]]}, "names dog/rex_3.png twice, with other values"),
        ({"labels": [["cat/kitty_1.png", 1]]}, "^cat/old/tom_3.png has no label class in .*a.json, nor have 1 more"),
        ({"a.png": 3}, "has 3 for a.png; allowed"),
        ({"a.png": {"x": 3}, "b.png": 3}, "has 3 for b.png; allowed"),
        ({"a.png": {"x": [1, "a"]}}, r"has \[1, \"a\"\] for a.png, x; allowed: numbers or text, or a list of them"),
        ('{"a.png": {"x": 1, "x": 2}}', "names x twice in the same object"),
        ('{"dog/rex_3.png": {"x": 1}, "./dog/rex_3.png": {"x": 2}}', "names dog/rex_3.png twice, with other values"),
        ({name: {"x": 1, "y": 2} for name in NAMES}, "has 2 attributes: x, y; choose some with DefaultImageFolderDataset"),
        ({name: {"x": None} for name in NAMES}, "cat/kitty_1.png has no label x .* of 3 files 0 are"),
        ({name: {"x": 1} for name in NAMES}, "the label x is '1' in all data"),
    ],
)
def test_mistakes_in_json_are_one_line(folder: Path, tmp_path: Path, content: Any, said: str) -> None:
    with pytest.raises(UserError, match=said) as error:
        Folder(folder, labels_json=write(tmp_path / "a.json", content))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"labels": ["fur"]}, "Dataset.labels 'fur' is not known; allowed: folder; others need labels_"),
        ({"labels": ["old"], "labels_pattern": r"(?P<odd>\d)"}, r"did you mean 'odd'\?"),
        ({"labels_csv": "t.csv", "labels_json": "t.json"}, "labels_csv and labels_json are both given"),
        ({"labels_pattern": "x", "labels_json": "t.json"}, "labels_pattern and labels_json are both given"),
        ({"labels_json": "gone.json"}, "DefaultImageFolderDataset.labels_json gone.json cannot be read: No such file"),
        ({"labels_pattern": r"\d"}, "has no named group"),
    ],
)
def test_mistakes_in_flags_are_one_line(folder: Path, flags: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said) as error:
        Folder(folder, **flags)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("preload", [False, True])
def test_mirror_images_come_after_the_last(folder: Path, preload: bool) -> None:
    plain, data = Folder(folder), Folder(folder, mirror=True, preload=preload, labels=["folder"])
    assert len(plain) == 3 and len(data) == 6
    for depth in range(2):
        once, twice = plain.images([0, 1, 2], depth), data.images([5, 1, 3, 4, 0, 2], depth)
        for at, expected in enumerate([once[2, :, :, ::-1], once[1], once[0, :, :, ::-1], once[1, :, :, ::-1]]):
            np.testing.assert_array_equal(twice[at], expected)
        np.testing.assert_array_equal(twice[4:], once[[0, 2]])
    np.testing.assert_array_equal(data.image(4), plain.image(1)[:, :, ::-1])
    assert data.labels is not None and data.labels.tolist() == [[0], [0], [1]] * 2
    assert data.fingerprint() != Folder(folder, labels=["folder"]).fingerprint()
    assert data.summary()["images"] == "6" and "mirror image" in data.summary()["mirrored"]
    with pytest.raises(IndexError):
        data.image(6)
    with pytest.raises(IndexError):
        plain.image(3)


def test_batches_and_prepared_files_have_the_right_labels(folder: Path, tmp_path: Path) -> None:
    data = Folder(folder, mirror=True, preload=True, labels=["folder"])
    save_prepared(data, tmp_path / "all.h5")
    full = {data.image(i).tobytes(): int(data.labels[i, 0]) for i in range(6)}  # type: ignore[index]
    assert len(full) == 6
    for source in (data, load_prepared(tmp_path / "all.h5")):
        with BatchLoader(source, seed=1) as loader:
            pictures, labels = loader.batch(4, 1, 8).numpy(), loader.labels(4, 1, 8)
        assert labels is not None and [full[p.tobytes()] for p in pictures] == labels.argmax(1).tolist()
