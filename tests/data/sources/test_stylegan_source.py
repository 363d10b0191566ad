"""Zips and folders with dataset.json, as StyleGAN2-ADA's tool writes them."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from foreign import png, stylegan, write_zip

from pggan_framework import UserError
from pggan_framework.data.sources.base import LabelChoice, PictureSource
from pggan_framework.data.sources.opening import open_source
from pggan_framework.data.sources.stylegan import StyleGANFolder, StyleGANZip

NAMES = [f"0000{number % 2}/img{number:08d}.png" for number in range(4)]
PICTURES = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3), dtype=np.uint8)


def write(path: Path, labels: Any) -> Path:
    """A zip where the name ends so, else a folder; its dataset.json holds `labels`, or is that text."""
    content = stylegan(NAMES, PICTURES, labels)
    if path.suffix == ".zip":
        return write_zip(path, content)
    for name, data in content.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path


def open_both(folder: Path, labels: Any, choice: LabelChoice) -> list[PictureSource]:
    return [open_source(write(folder / name, labels), choice) for name in ("a.zip", "a")]


def test_numbers_are_classes(tmp_path: Path) -> None:
    labels = [[name, number] for name, number in zip(NAMES, (6, 0, 6, 10), strict=True)][::-1]
    zipped, folder = open_both(tmp_path, [*labels, ["00009/gone.png", 3]], LabelChoice(["class"]))
    assert isinstance(zipped, StyleGANZip) and isinstance(folder, StyleGANFolder)
    for source in (zipped, folder):
        assert len(source) == 4
        assert source.labels is not None
        by_name = {source.name(index): value for index, value in enumerate(source.labels["class"])}
        assert by_name == dict(zip(NAMES, ("6", "0", "6", "10"), strict=True))
        for index in range(4):
            np.testing.assert_array_equal(np.asarray(source.read(index)), PICTURES[NAMES.index(source.name(index))])
        assert source.labels_from.endswith("dataset.json")


def test_lists_are_attributes(tmp_path: Path) -> None:
    rows = [[0.5, -1.25], [1, 0], [0.25, 3], [0, 2]]
    choice = LabelChoice(["label_1", "label_0"], continuous=["label_1"])
    for source in open_both(tmp_path, [list(pair) for pair in zip(NAMES, rows, strict=True)], choice):
        order = [NAMES.index(source.name(index)) for index in range(4)]
        assert source.labels is not None
        assert [float(value) for value in source.labels["label_1"]] == [rows[place][1] for place in order]
        assert [float(value) for value in source.labels["label_0"]] == [rows[place][0] for place in order]
        assert source.continuous == ("label_1",)


def test_no_labels_and_labels_from_elsewhere(tmp_path: Path) -> None:
    for source in open_both(tmp_path, None, LabelChoice(["folder"])):
        assert source.labels == {"folder": ["00000", "00000", "00001", "00001"]}
    for labels in (None, [[name, 1] for name in NAMES]):
        for source in open_both(tmp_path, labels, LabelChoice(pattern=r"img0*(?P<number>\d)")):
            assert source.labels == {"number": [source.name(index)[-5] for index in range(4)]}
        for source in open_both(tmp_path, labels, LabelChoice()):
            assert source.labels is None


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ("{", "is not JSON"),
        ([["a.png"]], r'has \["a.png"\] among its labels; allowed: .*or null'),
        (7, "has 7 under 'labels'"),
        (
            [[name, 1] for name in NAMES[1:]],
            "img00000000.png has no label class in .*dataset.json; of 4 files 3 are labelled",
        ),
        ([[NAMES[0], [1, 2]], *([name, 1] for name in NAMES[1:])], r"labels such as \[1, 2\]"),
    ],
    ids=range(5),
)
def test_other_forms(tmp_path: Path, labels: Any, message: str) -> None:
    for name in ("a.zip", "a"):
        with pytest.raises(UserError, match=message) as caught:
            open_source(write(tmp_path / name, labels), LabelChoice(["class"]))
        assert "\n" not in str(caught.value)


def test_labels_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"'clas' is not known \(did you mean 'class'\?\); allowed: class, folder"):
        open_source(write(tmp_path / "a.zip", [[name, 1] for name in NAMES]), LabelChoice(["clas"]))


def test_a_path_that_leads_out(tmp_path: Path) -> None:
    path = write(tmp_path / "a.zip", None)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("../../evil.png", png(PICTURES[0]))
    with pytest.raises(UserError, match=r"evil\.png'"):
        open_source(path)
    assert not (tmp_path.parent / "evil.png").exists()


def test_a_damaged_zip(tmp_path: Path) -> None:
    path = write(tmp_path / "a.zip", [[name, 1] for name in NAMES])
    content = path.read_bytes()
    at = content.index(b'{"labels"')
    path.write_bytes(content[:at] + b'["' + content[at + 2 :])
    with pytest.raises(UserError, match="is damaged: Bad CRC-32 for file 'dataset.json'"):
        open_source(path)
