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

    Its labels are used where no table, pattern or JSON is given: the attribute ``class`` for numbers, texts and one-hot
    lists, and ``label_0``, ``label_1`` ... for other lists. Where it has none, folders are.

    Args:
        path: the file.
        labels: which labels are requested.

    Raises:
        UserError: if it is damaged, ``dataset.json`` has another form, or an image has no label in it.
    """

    words = "a zip of StyleGAN2-ADA"

    def __init__(self, path: Path, labels: LabelChoice) -> None:
        try:
            with zipfile.ZipFile(path) as archive:
                text = read_member(archive, FILE).decode("utf-8-sig", "replace")
        except (*BROKEN, RuntimeError) as error:  # RuntimeError: it is encrypted
            raise UserError(f"{path} is damaged: {error}") from error
        super().__init__(path, labels, parse_json(text, f"{path}, {FILE}"))


class StyleGANFolder(FolderSource):
    """A folder of images with ``dataset.json``; see `StyleGANZip`.

    Args:
        path: the folder.
        labels: which labels are requested.

    Raises:
        UserError: if ``dataset.json`` has another form, or an image has no label in it.
    """

    words = "a folder of StyleGAN2-ADA"

    def __init__(self, path: Path, labels: LabelChoice) -> None:
        try:
            text = (path / FILE).read_text(encoding="utf-8-sig", errors="replace")
        except OSError as error:
            raise UserError(f"cannot read {path / FILE}: {error.strerror}") from error
        super().__init__(path, labels, parse_json(text, str(path / FILE)))


def is_stylegan_zip(path: Path) -> bool:
    """Whether a path is a zip that has ``dataset.json``."""
    try:
        if not path.is_file() or not zipfile.is_zipfile(path):
            return False
        with zipfile.ZipFile(path) as archive:
            return FILE in archive.namelist()
    except BROKEN:
        return False


def is_stylegan_folder(path: Path) -> bool:
    """Whether a path is a folder that has ``dataset.json``."""
    return path.is_dir() and (path / FILE).is_file()
