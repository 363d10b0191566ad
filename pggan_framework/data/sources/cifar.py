"""CIFAR-10 and CIFAR-100 (Krizhevsky 2009), as they are published: for Python, or binary; packed, or as a folder."""

from __future__ import annotations

import re
from collections.abc import Callable
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pggan_framework.data.sources.archive import BROKEN
from pggan_framework.data.sources.arrays import ArraySource
from pggan_framework.data.sources.base import LabelChoice
from pggan_framework.data.sources.packed import open_tar
from pggan_framework.errors import UserError
from pggan_framework.storage.arrays import as_array, as_bytes, names_arrays
from pggan_framework.storage.pickles import Made, damaged, read_pickle

SHAPE = (3, 32, 32)
SIZE = 3 * 32 * 32
"""Bytes of an image."""
LARGEST = 1 << 28
"""Bytes of a file in it beyond which it is not one of CIFAR's: the largest has 154 MB."""

Files = dict[str, bytes]
"""What the files hold, by their names."""


class Layout(NamedTuple):
    """A form in which they are published.

    Args:
        training: the files of the training set, as a regular expression.
        names: the files of the classes' names.
        columns: for each attribute, the key of its numbers in the pickles, and of its names.
    """

    training: str
    names: tuple[str, ...]
    columns: dict[str, tuple[str, str]]


FINE = {"class": ("fine_labels", "fine_label_names"), "superclass": ("coarse_labels", "coarse_label_names")}
LAYOUTS = {
    "cifar-10-batches-py": Layout(r"data_batch_\d", ("batches.meta",), {"class": ("labels", "label_names")}),
    "cifar-10-batches-bin": Layout(r"data_batch_\d\.bin", ("batches.meta.txt",), {"class": ("", "batches.meta.txt")}),
    "cifar-100-python": Layout(r"train", ("meta",), FINE),
    # Two bytes are before each image's, the coarse class first.
    "cifar-100-binary": Layout(
        r"train\.bin",
        ("coarse_label_names.txt", "fine_label_names.txt"),
        {"superclass": ("", "coarse_label_names.txt"), "class": ("", "fine_label_names.txt")},
    ),
}
"""By the folder that is packed."""


class CIFARSource(ArraySource):
    """The 50,000 images of the training set, in colour, 32x32.

    The label ``class`` is the name of the class; CIFAR-100 has ``superclass`` as well. The pickles of the version for
    Python are read without running any code of theirs.

    Args:
        path: ``cifar-10-python.tar.gz``, ``cifar-100-binary.tar.gz`` ..., or the folder it was unpacked to.
        labels: which labels are requested.

    Raises:
        UserError: if a file is missing, damaged, or a pickle that wants to run code.
    """

    words = "CIFAR-10 or CIFAR-100 (tar.gz or folder)"

    def __init__(self, path: Path, labels: LabelChoice) -> None:
        name = _folder_in(path) if path.is_dir() else _packed_in(path)
        assert name is not None
        self.layout, layout = name, LAYOUTS[name]
        training = re.compile(layout.training)
        files = _files(path, lambda name: name in layout.names or training.fullmatch(name) is not None)
        batches = sorted(name for name in files if training.fullmatch(name))
        missing = [*(name for name in layout.names if name not in files), *([] if batches else ["the training set"])]
        if missing:
            raise UserError(f"{path} is not a whole {name}: there is no {', '.join(missing)}")
        read = _read_binary if name.endswith(("bin", "binary")) else _read_pickles
        pictures, numbers, words = read(path, files, batches, layout)
        for attribute, column in numbers.items():
            if column.size and not 0 <= column.min() <= column.max() < len(words[attribute]):
                raise UserError(f"{path} has the {attribute} {column.max()}; it names {len(words[attribute])}")
        available = {
            attribute: [words[attribute][number] for number in column.tolist()] for attribute, column in numbers.items()
        }
        names = [f"image {index}" for index in range(len(pictures))]
        super().__init__(path, pictures.reshape(-1, *SHAPE), names, available, labels)

    def described(self) -> dict[str, str]:
        """Which of the forms it is."""
        return {"read from": f"the training set of {self.layout}"}


def is_cifar(path: Path) -> bool:
    """Whether a path is CIFAR, packed or a folder."""
    return (_folder_in(path) if path.is_dir() else _packed_in(path)) is not None


def _folder_in(path: Path) -> str | None:
    """The form that a folder has, by its files."""
    try:
        present = {file.name for file in path.iterdir()}
    except OSError:
        return None
    for name, layout in LAYOUTS.items():
        if present.issuperset(layout.names) and any(re.fullmatch(layout.training, file) for file in present):
            return name
    return None


def _packed_in(path: Path) -> str | None:
    """The form that a tar holds, by the folder in its first members."""
    try:
        if not path.is_file():
            return None
        with open_tar(path) as archive:
            member = archive.next()
            return (
                next((part for part in PurePosixPath(member.name).parts if part in LAYOUTS), None) if member else None
            )
    except BROKEN:
        return None


def _files(path: Path, wanted: Callable[[str], bool]) -> Files:
    """The files that are requested, of a folder or a tar.

    Raises:
        UserError: if one cannot be read, or is larger than any of CIFAR's.
    """
    files: Files = {}
    try:
        if path.is_dir():
            found = [file for file in path.iterdir() if wanted(file.name) and file.is_file()]
            for file in found:
                _check(path, file.name, file.stat().st_size)
                files[file.name] = file.read_bytes()
            return files
        with open_tar(path) as archive:
            for member in archive:
                name = PurePosixPath(member.name).name
                if member.isreg() and wanted(name):
                    _check(path, name, member.size)
                    opened = archive.extractfile(member)
                    files[name] = opened.read() if opened else b""
    except BROKEN as error:
        raise UserError(f"{path} cannot be read, or is damaged: {error}") from error
    return files


def _check(path: Path, name: str, size: int) -> None:
    if size > LARGEST:
        raise UserError(f"{path}: {name} has {size} bytes, more than any file of CIFAR's")


Read = tuple[NDArray[np.uint8], dict[str, NDArray[np.int64]], dict[str, list[str]]]
"""Images [N, `SIZE`], the number of each image's value by attribute, and the values' names."""


def _read_pickles(path: Path, files: Files, batches: list[str], layout: Layout) -> Read:
    """The version for Python.

    Raises:
        UserError: if a file is no such pickle.
    """
    meta = _unpickled(path, layout.names[0], files)
    pictures, numbers = [], {attribute: list[Any]() for attribute in layout.columns}
    for name in batches:
        batch = _unpickled(path, name, files)
        data = batch.get("data")
        if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.ndim != 2 or data.shape[1] != SIZE:
            raise UserError(f"{path}: {name} has no images under 'data'; due: an array of uint8 [N, {SIZE}]")
        pictures.append(data)
        for attribute, (key, _) in layout.columns.items():
            column = batch.get(key)
            if column is None or len(column) != len(data):
                raise UserError(f"{path}: {name} has no {key} of its {len(data)} images")
            numbers[attribute].append(np.array(column, np.int64))
    words = {}
    for attribute, (_, key) in layout.columns.items():
        if not isinstance(meta.get(key), list):
            raise UserError(f"{path}: {layout.names[0]} has no {key}")
        words[attribute] = list(map(str, meta[key]))
    return np.concatenate(pictures), {name: np.concatenate(parts) for name, parts in numbers.items()}, words


def _unpickled(path: Path, name: str, files: Files) -> dict[str, Any]:
    """A pickled dict, with arrays for those that it says how to make."""
    where = f"{path}: {name}"
    found = read_pickle(BytesIO(files[name]), where, names_arrays)
    if not isinstance(found, dict):
        raise UserError(f"{where} holds no dict, but a {type(found).__name__}")
    try:
        return {_text(key): _value(value) for key, value in found.items()}
    except (TypeError, ValueError) as error:
        raise damaged(where, error) from error


def _value(value: Any) -> Any:
    """An array where a pickle says how to make one, a list with its bytes as text, anything else unchanged."""
    if isinstance(value, Made):
        return as_array(value)
    return list(map(_text, value)) if isinstance(value, list) else value


def _text(value: Any) -> Any:
    """Bytes as text, anything else unchanged: Python 3 writes the names as bytes, Python 2 as either."""
    if isinstance(value, bytes | Made):
        return as_bytes(value).decode("utf-8", "replace")
    return value


def _read_binary(path: Path, files: Files, batches: list[str], layout: Layout) -> Read:
    """The binary version: for each image a byte for each attribute, then its pixels.

    Raises:
        UserError: if a file holds no whole number of images.
    """
    row = len(layout.columns) + SIZE
    for name in batches:
        if len(files[name]) % row or not files[name]:
            raise UserError(f"{path}: {name} is damaged: {len(files[name])} bytes are not a multiple of {row}")
    rows = np.concatenate([np.frombuffer(files[name], np.uint8).reshape(-1, row) for name in batches])
    numbers = {attribute: rows[:, place].astype(np.int64) for place, attribute in enumerate(layout.columns)}
    words = {name: files[key].decode("utf-8", "replace").split() for name, (_, key) in layout.columns.items()}
    return rows[:, len(layout.columns) :], numbers, words
