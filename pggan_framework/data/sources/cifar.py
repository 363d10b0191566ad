"""CIFAR-10 and CIFAR-100 (Krizhevsky 2009) as published: Python or binary version, packed or as a folder."""

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
"""Size of an image in bytes."""
LARGEST = 1 << 28
"""Largest allowed size in bytes of a file in the archive; the largest file of CIFAR has 154 MB."""

Files = dict[str, bytes]
"""Contents of the files by name."""


class Layout(NamedTuple):
    """A published version of the data set.

    Args:
        training: regular expression of the training files.
        names: files with the names of the classes.
        columns: for each attribute, the pickle keys of its indices and its names.
    """

    training: str
    names: tuple[str, ...]
    columns: dict[str, tuple[str, str]]


FINE = {"class": ("fine_labels", "fine_label_names"), "superclass": ("coarse_labels", "coarse_label_names")}
LAYOUTS = {
    "cifar-10-batches-py": Layout(r"data_batch_\d", ("batches.meta",), {"class": ("labels", "label_names")}),
    "cifar-10-batches-bin": Layout(r"data_batch_\d\.bin", ("batches.meta.txt",), {"class": ("", "batches.meta.txt")}),
    "cifar-100-python": Layout(r"train", ("meta",), FINE),
    # Two bytes precede each image: the coarse class, then the fine class.
    "cifar-100-binary": Layout(
        r"train\.bin",
        ("coarse_label_names.txt", "fine_label_names.txt"),
        {"superclass": ("", "coarse_label_names.txt"), "class": ("", "fine_label_names.txt")},
    ),
}
"""The published versions, by the name of the packed folder."""


class CIFARSource(ArraySource):
    """The 50,000 RGB images of the training set, 32x32.

    The label ``class`` is the name of the class; CIFAR-100 also has ``superclass``. The pickles of the Python version
    are read without running any code in them.

    Args:
        path: ``cifar-10-python.tar.gz``, ``cifar-100-binary.tar.gz`` ..., or the unpacked folder.
        labels: requested labels.

    Raises:
        UserError: if a file is missing or damaged, or a pickle tries to run code.
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
            raise UserError(f"{path} is an incomplete {name}: there is no {', '.join(missing)}")
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
        """The version of the data set."""
        return {"read from": f"the training set of {self.layout}"}


def is_cifar(path: Path) -> bool:
    """True if a path is CIFAR, packed or as a folder."""
    return (_folder_in(path) if path.is_dir() else _packed_in(path)) is not None


def _folder_in(path: Path) -> str | None:
    """The published version in a folder, detected by its files."""
    try:
        present = {file.name for file in path.iterdir()}
    except OSError:
        return None
    for name, layout in LAYOUTS.items():
        if present.issuperset(layout.names) and any(re.fullmatch(layout.training, file) for file in present):
            return name
    return None


def _packed_in(path: Path) -> str | None:
    """The published version in a tar archive, detected by the folder in its first members."""
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
    """The requested files of a folder or a tar.

    Raises:
        UserError: if a file cannot be read, or is larger than any file of CIFAR.
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
        raise UserError(f"{path}: {name} has {size} bytes, more than any file of CIFAR")


Read = tuple[NDArray[np.uint8], dict[str, NDArray[np.int64]], dict[str, list[str]]]
"""Images [N, `SIZE`]; for each attribute, the index of each image's value; and the names of the values."""


def _read_pickles(path: Path, files: Files, batches: list[str], layout: Layout) -> Read:
    """Read the Python version.

    Raises:
        UserError: if a file is not a pickle of the Python version.
    """
    meta = _unpickled(path, layout.names[0], files)
    pictures, numbers = [], {attribute: list[Any]() for attribute in layout.columns}
    for name in batches:
        batch = _unpickled(path, name, files)
        data = batch.get("data")
        if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.ndim != 2 or data.shape[1] != SIZE:
            raise UserError(f"{path}: {name} has no images under 'data'; expected: an array of uint8 [N, {SIZE}]")
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
    """A pickled dict, with arrays converted from their recorded calls."""
    where = f"{path}: {name}"
    found = read_pickle(BytesIO(files[name]), where, names_arrays)
    if not isinstance(found, dict):
        raise UserError(f"{where} holds no dict, but a {type(found).__name__}")
    try:
        return {_text(key): _value(value) for key, value in found.items()}
    except (TypeError, ValueError) as error:
        raise damaged(where, error) from error


def _value(value: Any) -> Any:
    """Convert a recorded array, or the bytes in a list to text; other values are unchanged."""
    if isinstance(value, Made):
        return as_array(value)
    return list(map(_text, value)) if isinstance(value, list) else value


def _text(value: Any) -> Any:
    """Convert bytes to text; other values are unchanged. Python 3 stores names as bytes, Python 2 as bytes or text."""
    if isinstance(value, bytes | Made):
        return as_bytes(value).decode("utf-8", "replace")
    return value


def _read_binary(path: Path, files: Files, batches: list[str], layout: Layout) -> Read:
    """Read the binary version: for each image one byte per attribute, then its pixels.

    Raises:
        UserError: if the size of a file is not a multiple of the size of an image.
    """
    row = len(layout.columns) + SIZE
    for name in batches:
        if len(files[name]) % row or not files[name]:
            raise UserError(f"{path}: {name} is damaged: {len(files[name])} bytes are not a multiple of {row}")
    rows = np.concatenate([np.frombuffer(files[name], np.uint8).reshape(-1, row) for name in batches])
    numbers = {attribute: rows[:, place].astype(np.int64) for place, attribute in enumerate(layout.columns)}
    words = {name: files[key].decode("utf-8", "replace").split() for name, (_, key) in layout.columns.items()}
    return rows[:, len(layout.columns) :], numbers, words
