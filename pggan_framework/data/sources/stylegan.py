"""Zips and folders of StyleGAN2-ADA's ``dataset_tool.py`` (Karras et al. 2020, arXiv 2006.06676)."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pggan_framework.data.sources.archive import BROKEN, ZipSource
from pggan_framework.data.sources.arrays import columns
from pggan_framework.data.sources.base import LabelChoice, labels_of_own
from pggan_framework.data.sources.folder import FolderSource
from pggan_framework.data.sources.packed import read_member
from pggan_framework.errors import UserError
from pggan_framework.storage.limits import parse_json

FILE = "dataset.json"
FORM = '{"labels": [["00000/img00000000.png", 6], ...]}, each a number or all of them lists of numbers, or null'

Rows = dict[str, Any]
"""The label of each picture by its name: a number, or a list of them."""


class StyleGANZip(ZipSource):
    """A zip of pictures with ``dataset.json``.

    Where that has labels, and none are asked for from elsewhere, they are the attribute ``class`` if they are numbers
    or one-hot lists, and ``label_0``, ``label_1`` ... if they are other lists.

    Args:
        path: the file.
        labels: which labels are asked for.

    Raises:
        UserError: if it is damaged, ``dataset.json`` has another form, or a picture has no label in it.
    """

    words = "a zip of StyleGAN2-ADA"

    def __init__(self, path: Path, labels: LabelChoice) -> None:
        try:
            with zipfile.ZipFile(path) as archive:
                rows = _parse(read_member(archive, FILE), f"{path}, {FILE}")
        except (*BROKEN, RuntimeError) as error:  # RuntimeError: it is encrypted
            raise UserError(f"{path} is damaged: {error}") from error
        own = rows is not None and _from_inside(labels)
        super().__init__(path, LabelChoice() if own else labels)
        if rows is not None and own:
            self.labels, self.continuous = _chosen(rows, self._names, labels, path)
            self._labels_from = FILE


class StyleGANFolder(FolderSource):
    """A folder of pictures with ``dataset.json``; see `StyleGANZip`.

    Args:
        path: the folder.
        labels: which labels are asked for.

    Raises:
        UserError: if ``dataset.json`` has another form, or a picture has no label in it.
    """

    words = "a folder of StyleGAN2-ADA"

    def __init__(self, path: Path, labels: LabelChoice) -> None:
        try:
            rows = _parse((path / FILE).read_bytes(), str(path / FILE))
        except OSError as error:
            raise UserError(f"cannot read {path / FILE}: {error.strerror}") from error
        own = rows is not None and _from_inside(labels)
        super().__init__(path, LabelChoice() if own else labels)
        if rows is not None and own:
            self.labels, self.continuous = _chosen(rows, self._names, labels, path)
            self._labels_from = FILE


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


def _from_inside(labels: LabelChoice) -> bool:
    """Whether no table, pattern or JSON is to be used instead."""
    return labels.csv is None and labels.pattern is None and labels.json is None


def _parse(content: bytes, where: str) -> Rows | None:
    """The labels; None where there are none.

    Raises:
        UserError: if they have another form.
    """
    try:
        found = parse_json(content)
    except ValueError as error:
        raise UserError(f"{where} is no JSON: {error}") from error
    labels = found.get("labels") if isinstance(found, dict) else found
    if labels is None:
        return None
    rows: Rows = {}
    for entry in labels if isinstance(labels, list) else [labels]:
        if not isinstance(entry, list) or len(entry) != 2 or not isinstance(entry[0], str):
            raise UserError(f"{where} has {_short(entry)} among its labels; allowed: {FORM}")
        rows[entry[0].replace("\\", "/")] = entry[1]
    return rows


def _chosen(
    rows: Rows, names: Sequence[str], labels: LabelChoice, path: Path
) -> tuple[dict[str, list[str]] | None, tuple[str, ...]]:
    """`PictureSource.labels` and `PictureSource.continuous` from ``dataset.json``."""
    if labels == LabelChoice():
        return None, ()
    missing = [name for name in names if name not in rows]
    if missing:
        raise UserError(f"{path}: {missing[0]} has no label in {FILE}, nor have {len(missing) - 1} more")
    values = [rows[name] for name in names]
    try:
        table = np.array(values, np.float64)
    except (TypeError, ValueError) as error:
        odd = next((value for value in values if not isinstance(value, int | float)), values[0])
        raise UserError(f"{path}: {FILE} has labels such as {_short(odd)}; allowed: {FORM}") from error
    if table.ndim > 2:
        raise UserError(f"{path}: {FILE} has labels such as {_short(values[0])}; allowed: {FORM}")
    return labels_of_own(columns(table), labels, str(path)), tuple(labels.continuous or ())


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
