"""Zips and folders of StyleGAN2-ADA's ``dataset_tool.py`` (Karras et al. 2020, arXiv 2006.06676)."""

from __future__ import annotations

import zipfile
from pathlib import Path

from pggan_framework.data.labels.tables import parse_json
from pggan_framework.data.sources.archive import BROKEN, ZipSource
from pggan_framework.data.sources.base import LabelChoice
from pggan_framework.data.sources.folder import FolderSource
from pggan_framework.data.sources.packed import read_member
from pggan_framework.errors import UserError

FILE = "dataset.json"


class StyleGANZip(ZipSource):
    """A zip of images with ``dataset.json``.

    The labels in ``dataset.json`` are used if no table, pattern or JSON is given: the attribute ``class`` for numbers,
    texts and one-hot lists, and ``label_0``, ``label_1`` ... for other lists. If it has no labels, the folder names are
    used.

    Args:
        path: path of the zip.
        labels: requested labels.

    Raises:
        UserError: if the zip is damaged, ``dataset.json`` has a different structure, or it has no label for an image.
    """

    words = "a zip of StyleGAN2-ADA"

    def __init__(self, path: Path, labels: LabelChoice) -> None:
        try:
            with zipfile.ZipFile(path) as archive:
                text = read_member(archive, FILE).decode("utf-8-sig", "replace")
        except BROKEN as error:
            raise UserError(f"{path} is damaged: {error}") from error
        super().__init__(path, labels, parse_json(text, f"{path}, {FILE}"))


class StyleGANFolder(FolderSource):
    """A folder of images with ``dataset.json``; see `StyleGANZip`.

    Args:
        path: path of the folder.
        labels: requested labels.

    Raises:
        UserError: if ``dataset.json`` has a different structure, or it has no label for an image.
    """

    words = "a folder of StyleGAN2-ADA"

    def __init__(self, path: Path, labels: LabelChoice) -> None:
        try:
            text = (path / FILE).read_text(encoding="utf-8-sig", errors="replace")
        except OSError as error:
            raise UserError(f"cannot read {path / FILE}: {error.strerror}") from error
        super().__init__(path, labels, parse_json(text, str(path / FILE)))


def is_stylegan_zip(path: Path) -> bool:
    """True if a path is a zip with ``dataset.json``."""
    try:
        if not path.is_file() or not zipfile.is_zipfile(path):
            return False
        with zipfile.ZipFile(path) as archive:
            return FILE in archive.namelist()
    except BROKEN:
        return False


def is_stylegan_folder(path: Path) -> bool:
    """True if a path is a folder with ``dataset.json``."""
    return path.is_dir() and (path / FILE).is_file()
