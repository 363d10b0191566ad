"""One HDF5 file of pictures at several sizes: what is in it, and reading pictures at their places."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pggan_framework.data.base import Pixels
from pggan_framework.errors import LocalError, UserError

if TYPE_CHECKING:
    import h5py

FORMAT = 1
"""Version of the prepared file, in its attribute ``format_version``."""
RECORD = "pggan_framework"
"""Name of the scalar string (JSON) that says all else of a prepared file; an HDF5 attribute ends at 64 KiB."""


class Level:
    """One data set of pictures and where it lies in the file.

    Args:
        data: the open data set.
    """

    def __init__(self, data: h5py.Dataset) -> None:
        self.name = str(data.name).lstrip("/")
        self.shape: tuple[int, int, int, int] = tuple(data.shape)
        self.dtype: np.dtype[Any] = data.dtype
        plain = data.chunks is None and data.compression is None and data.dtype.isnative
        self.offset: int | None = data.id.get_offset() if plain else None


class H5File:
    """Pictures of a file, read when they are asked for.

    Args:
        path: the file.
        levels: its levels.
    """

    def __init__(self, path: Path, levels: Sequence[Level]) -> None:
        self.path = path
        self._levels = {level.name: level for level in levels}
        self._handle: tuple[int, h5py.File] | None = None
        self._open()

    def read(self, name: str, rows: NDArray[np.int64]) -> Pixels:
        """Pictures [N, C, h, w] of the level `name`; a contiguous data set is read at its place in the file."""
        level = self._levels[name]
        if level.offset is None or not hasattr(os, "preadv"):
            unique, back = np.unique(rows, return_inverse=True)
            pictures: Pixels = self._h5()[name][unique.tolist()][back]
            return pictures
        batch: Pixels = np.empty((len(rows), *level.shape[1:]), level.dtype)
        self.fill(name, batch, range(len(rows)), rows.tolist())
        return batch

    def fill(self, name: str, batch: Pixels, places: Sequence[int], rows: Sequence[int]) -> None:
        """Read pictures of the level `name` into these places of `batch`, [N, C, h, w]."""
        level = self._levels[name]
        if level.offset is None or not hasattr(os, "preadv"):
            batch[places] = self.read(name, np.array(rows))
            return
        descriptor, stride = self._file.fileno(), batch[:1].nbytes
        for place, row in zip(places, rows, strict=True):
            # Positional reads share no state between processes, and unlike a memory map they do not count as memory.
            if os.preadv(descriptor, [batch[place]], level.offset + row * stride) != stride:
                raise UserError(f"{self.path} has become shorter while it was read")

    def close(self) -> None:
        """Read no more."""
        self._file.close()
        self._handle = None

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_handle": None, "_file": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._open()

    def _open(self) -> None:
        self._file = self.path.open("rb", buffering=0)

    def _h5(self) -> h5py.File:
        """This process's own handle: one that was open before a fork must not be used after it."""
        if self._handle is None or self._handle[0] != os.getpid():
            self._handle = os.getpid(), open_h5(self.path)
        return self._handle[1]


def open_h5(path: Path) -> h5py.File:
    """Open a file for reading.

    Raises:
        UserError: if it is missing, truncated or no HDF5 file.
    """
    import h5py

    if not path.is_file():
        raise LocalError(f"no file {path}")
    if not h5py.is_hdf5(path):
        raise LocalError(f"{path} is no HDF5 file")
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise LocalError(f"cannot open {path}: {error}") from error


def read_levels(path: Path) -> list[Level]:
    """The levels of a file, largest first.

    Raises:
        UserError: if it cannot be read or has none.
    """
    with open_h5(path) as file:
        return find_levels(file, path)


def find_levels(file: h5py.File, path: Path) -> list[Level]:
    """The levels in an open file, largest first.

    Raises:
        UserError: if it has none, or they do not fit together.
    """
    import h5py

    levels = []
    for name, data in file.items():
        match = re.fullmatch(r"data(\d+)x(\d+)", name)
        if not match or not isinstance(data, h5py.Dataset):
            continue
        if data.ndim != 4 or data.shape[2:] != (int(match[1]), int(match[2])):
            raise UserError(f"{path}: {name} has shape {data.shape}; due: [N, C, {match[1]}, {match[2]}]")
        if data.dtype not in (np.uint8, np.float16):
            raise UserError(f"{path}: {name} is {data.dtype}; allowed: uint8, float16")
        levels.append(Level(data))
    if not levels:
        found = ", ".join(list(file)[:5]) or "nothing"
        raise UserError(f"{path} has no data sets data{{h}}x{{w}}, such as data64x64; it has {found}")
    if len({(level.shape[:2], level.dtype) for level in levels}) > 1 or levels[0].shape[0] == 0:
        found = ", ".join(f"{level.name} {level.shape[:2]} {level.dtype}" for level in levels)
        raise UserError(f"{path}: the sizes differ in number, channels or type, or are empty: {found}")
    return sorted(levels, key=lambda level: (level.shape[2] * level.shape[3], level.shape[2]), reverse=True)


def read_record(file: h5py.File, path: Path) -> dict[str, Any]:
    """What an open prepared file says of itself; empty for another file.

    Raises:
        UserError: if it is of another version, or cannot be read.
    """
    version = file.attrs.get("format_version")
    if version is None:
        return {}
    if version != FORMAT or RECORD not in file:
        raise UserError(f"{path} is a prepared file of format {version}; this version reads {FORMAT}")
    try:
        record = json.loads(file[RECORD][()])
    except (ValueError, TypeError, OSError) as error:
        raise UserError(f"{path} is damaged: what it says of itself cannot be read ({error})") from error
    if not isinstance(record, dict):
        raise UserError(f"{path} is damaged: what it says of itself cannot be read")
    return record
