"""CelebA, aligned and cropped (Liu et al. 2015, arXiv 1411.7766): 202,599 faces of 178x218, 40 attributes each."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from pggan_framework.data.sources.archive import BROKEN, ZipSource
from pggan_framework.data.sources.base import Columns, LabelChoice, PictureSource, labels_of_own
from pggan_framework.data.sources.folder import FolderSource
from pggan_framework.data.sources.packed import read_member
from pggan_framework.errors import UserError

if TYPE_CHECKING:
    from PIL.Image import Image

FOLDER = "img_align_celeba"
ATTRIBUTES = ("list_attr_celeba.txt", "list_attr_celeba.csv")
"""File names of the list of attributes, in the published version and in the version on Kaggle."""
SIZE = (178, 218)
"""Width and height of the images."""
BOX = (89 - 64, 121 - 64, 89 + 64, 121 + 64)
"""Left, top, right, bottom of the 128x128 crop around (89, 121) of the original PGGAN tool."""


class CelebASource(PictureSource):
    """The folder or zip ``img_align_celeba``, or a folder that contains it, directly or in ``Img``.

    Each image is cropped to the middle 128x128 of the face, as in the original PGGAN tool and the GAN zoo's
    ``celeba_cropped``. Labels are the attributes in ``list_attr_celeba.txt`` by name, each yes or no; the list is next
    to the folder, in ``Anno``, or in the zip.

    Args:
        path: path of the folder or the zip.
        labels: requested labels.

    Raises:
        UserError: if the source is damaged, there is no image, or a requested label does not exist.
    """

    words = "CelebA (the folder or zip img_align_celeba)"

    def __init__(self, path: Path, labels: LabelChoice) -> None:
        folder = _folder(path)
        self._whole = FolderSource(folder, LabelChoice()) if folder else ZipSource(path, LabelChoice())
        beside = [path, (folder or path).parent, (folder or path).parent.parent]
        names = [self.name(index) for index in range(len(self))]
        self.labels_from, self.labels = _labels(beside, names, labels, path)
        self.continuous = tuple(labels.continuous or ())
        self.one_size = (128, 128)

    def __len__(self) -> int:
        return len(self._whole)

    def name(self, index: int) -> str:
        """The path of the file in the folder or in the zip."""
        return self._whole.name(index)

    def read(self, index: int) -> Image:
        """Read the cropped image.

        Raises:
            OSError: if the image cannot be read.
            ValueError: if the size of the image is not 178x218.
        """
        with self._whole.read(index) as picture:
            if picture.size != SIZE:
                raise ValueError(f"{picture.size[0]}x{picture.size[1]}, and CelebA's are {SIZE[0]}x{SIZE[1]}")
            cut: Image = picture.crop(BOX)
        return cut

    def identity(self) -> bytes:
        """Digest of the files and the crop."""
        return self._whole.identity() + repr(BOX).encode()

    def described(self) -> dict[str, str]:
        """A description of the cropped region and the ignored files."""
        lines = {"crop": "128x128 around (89, 121) of 178x218, as the original PGGAN tool"}
        return self._whole.described() | lines


def is_celeba(path: Path) -> bool:
    """True if a path is CelebA's folder of faces, a folder that contains it, or a zip whose first image is in it."""
    try:
        if path.is_dir():
            return _folder(path) is not None
        if not path.is_file() or not zipfile.is_zipfile(path):
            return False
        with zipfile.ZipFile(path) as archive:
            pictures = (PurePosixPath(name) for name in archive.namelist() if name.endswith(".jpg"))
            first = next(pictures, None)
    except BROKEN:
        return False
    return first is not None and FOLDER in first.parts


def _folder(path: Path) -> Path | None:
    """The folder of faces: the path itself, or a folder in it."""
    candidates = [path / FOLDER, path / "Img" / FOLDER, *([path] if path.absolute().name == FOLDER else [])]
    return next((folder for folder in candidates if folder.is_dir()), None)


def _labels(
    places: Sequence[Path], names: Sequence[str], labels: LabelChoice, where: Path
) -> tuple[str, Columns | None]:
    """A description of the list that was used, and `PictureSource.labels`."""
    if not labels.any:
        return "", None
    file, text = _find_list(places)
    if file is None:
        raise UserError(f"no {ATTRIBUTES[0]} in {where} or next to it; labels need it")
    attributes, rows = _parse(text, file, set(labels.names or ()))
    missing = [name for name in names if PurePosixPath(name).name not in rows]
    if missing and labels.names:
        raise UserError(f"{missing[0]} is not in {file}, nor are {len(missing) - 1} more")
    chosen = [attribute for attribute in attributes if attribute in (labels.names or ())]
    available: dict[str, list[str]] = {attribute: [] for attribute in attributes}
    for place, attribute in enumerate(chosen):
        available[attribute] = [rows[PurePosixPath(name).name][place] for name in names]
    return file, labels_of_own(available, labels, str(where))


def _find_list(places: Sequence[Path]) -> tuple[str | None, str]:
    """Find the list's name and text in a folder, its ``Anno``, or a zip; the name is None if there is no list."""
    for place in places:
        for name in ATTRIBUTES:
            try:
                if place.is_file():
                    with zipfile.ZipFile(place) as archive:
                        inside = next((member for member in archive.namelist() if member.endswith(name)), None)
                        if inside:
                            return f"{place}, {inside}", read_member(archive, inside).decode("utf-8-sig")
                for file in (place / name, place / "Anno" / name):
                    if file.is_file():
                        return str(file), file.read_text(encoding="utf-8-sig")
            except BROKEN as error:
                raise UserError(f"cannot read {name} in {place}: {error}") from error
    return None, ""


def _parse(text: str, file: str, wanted: set[str]) -> tuple[list[str], dict[str, list[str]]]:
    """The attributes' names, and yes or no for each image and requested attribute, in the order of the names.

    Raises:
        UserError: if the text is not a list of attributes.
    """
    lines = [line.replace(",", " ").split() for line in text.splitlines() if line.strip()]
    if lines and len(lines[0]) == 1 and lines[0][0].isdigit():  # the number of images
        lines = lines[1:]
    if len(lines) < 2:
        raise UserError(f"{file} is not a list of attributes; expected: a line of names and a line for each image")
    attributes = lines[0][1:] if len(lines[0]) == len(lines[1]) else lines[0]
    places = [place for place, attribute in enumerate(attributes, 1) if attribute in wanted]
    rows: dict[str, list[str]] = {}
    for line in lines[1:]:
        if len(line) != len(attributes) + 1 or not {line[place] for place in places} <= {"1", "-1", "0"}:
            raise UserError(f"{file}: the line of {line[0]} is not {len(attributes)} values of 1 or -1")
        rows[line[0]] = ["yes" if line[place] == "1" else "no" for place in places]
    return attributes, rows
