"""CelebA, aligned: the crop and the attributes."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pggan_framework import UserError
from pggan_framework.data.sources.base import LabelChoice
from pggan_framework.data.sources.celeba import CelebASource
from pggan_framework.data.sources.folder import FolderSource
from pggan_framework.data.sources.opening import open_source

LIST = """3
Bald Eyeglasses Smiling
000001.jpg -1  1  1
000002.jpg -1 -1  1
000003.jpg  1 -1 -1
"""
CSV = "image_id,Bald,Eyeglasses,Smiling\n000001.jpg,-1,1,1\n000002.jpg,-1,-1,1\n000003.jpg,1,-1,-1\n"
LABELS = {"Smiling": ["yes", "yes", "no"], "Bald": ["no", "no", "yes"]}
CHOICE = LabelChoice(["Smiling", "Bald"])


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    """Three images in which red is the column and green the row."""
    folder = tmp_path / "celeba" / "img_align_celeba"
    folder.mkdir(parents=True)
    pixels = np.zeros((218, 178, 3), np.uint8)
    pixels[..., 0], pixels[..., 1] = np.arange(178), np.arange(218)[:, None]
    for number in range(1, 4):
        pixels[..., 2] = 60 * number
        Image.fromarray(pixels).save(folder / f"00000{number}.jpg", quality=100, subsampling=0)
    return folder


def zipped(faces: Path, path: Path, more: dict[str, str] | None = None) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(faces.iterdir()):
            archive.write(file, f"img_align_celeba/{file.name}")
        for name, text in (more or {}).items():
            archive.writestr(name, text)
    return path


def test_the_crop_of_the_original_tool(faces: Path, tmp_path: Path) -> None:
    sources = [open_source(faces), open_source(faces.parent), open_source(zipped(faces, tmp_path / "faces.zip"))]
    for source in sources:
        assert isinstance(source, CelebASource)
        assert (
            len(source) == 3
            and source.one_size == (128, 128) == source.headers(range(1), 1)[0][0]
            and source.labels is None
        )
        pixels = np.asarray(source.read(1)).astype(int)
        assert pixels.shape == (128, 128, 3)
        # img[cy - 64 : cy + 64, cx - 64 : cx + 64] with cx = 89, cy = 121
        assert np.abs(pixels[..., 0] - np.arange(25, 153)).max() <= 3
        assert np.abs(pixels[..., 1] - np.arange(57, 185)[:, None]).max() <= 3
        assert np.abs(pixels[..., 2] - 120).max() <= 3
        assert source.described()["crop"].startswith("128x128 around (89, 121)")


def test_attributes_by_name(faces: Path, tmp_path: Path) -> None:
    for place, name, text in (
        (faces.parent, "list_attr_celeba.txt", LIST),
        (faces.parent / "Anno", "list_attr_celeba.txt", LIST),
        (faces.parent, "list_attr_celeba.csv", CSV),
    ):
        place.mkdir(exist_ok=True)
        (place / name).write_text(text)
        for path in (faces, faces.parent, zipped(faces, faces.parent / "img_align_celeba.zip")):
            source = open_source(path, CHOICE)
            assert source.labels == LABELS
            assert source.labels_from == str(place / name)
        (place / name).unlink()
    kaggle = zipped(faces, tmp_path / "archive.zip", {"list_attr_celeba.csv": CSV})
    assert open_source(kaggle, CHOICE).labels == LABELS


def test_mistakes(faces: Path) -> None:
    with pytest.raises(UserError, match=r"no list_attr_celeba\.txt in .* or next to it"):
        open_source(faces, CHOICE)
    table = faces.parent / "list_attr_celeba.txt"
    table.write_text(LIST)
    with pytest.raises(UserError, match=r"'smiling' is not known \(did you mean 'Smiling'\?\); .* has: Bald, Eyegl"):
        open_source(faces, LabelChoice(["smiling"]))
    for text, message in (
        (LIST.replace("000002.jpg -1", "000002.jpg 5"), "the line of 000002.jpg is not 3 values of 1 or -1"),
        (LIST.replace("000002.jpg -1", "000002.jpg"), "the line of 000002.jpg is not 3 values"),
        ("\n".join(LIST.splitlines()[:4]), "000003.jpg is not in .*list_attr_celeba.txt, nor are 0 more"),
        ("3\n", "is not a list of attributes"),
    ):
        table.write_text(text)
        with pytest.raises(UserError, match=message) as caught:
            open_source(faces, CHOICE)
        assert "\n" not in str(caught.value)


def test_a_picture_of_another_size(faces: Path) -> None:
    Image.new("RGB", (64, 64)).save(faces / "000002.jpg")
    source = open_source(faces)
    source.read(0)
    with pytest.raises(ValueError, match="64x64, and CelebA's are 178x218"):
        source.read(1)


def test_another_name_is_a_plain_folder(faces: Path) -> None:
    (faces.parent / "whole").symlink_to(faces.name)
    source = open_source(faces.parent / "whole")
    assert type(source) is FolderSource and source.read(0).size == (178, 218)
