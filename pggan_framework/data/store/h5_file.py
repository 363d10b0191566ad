"""HDF5 files of images at several sizes: their layout, and reading images from them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pggan_framework.data.base import Pixels
from pggan_framework.data.store.checksums import PREFIX, Checksums, check_small, checksums
from pggan_framework.errors import DamagedError, LocalError, UserError
from pggan_framework.storage.limits import parse_json

if TYPE_CHECKING:
    import h5py

FORMAT = 1
"""Version of the prepared file format, stored in the attribute ``format_version``."""
RECORD = "pggan_framework"
"""Name of the scalar JSON string with all other facts of a prepared file; an HDF5 attribute is limited to 64 KiB."""


LARGEST = 256 << 20
"""Largest sizes in bytes of an image, a chunk and a small data set; files that exceed one of them are rejected."""
_PACKED = 2000
"""Upper bound of the compression ratio of HDF5 filters; a data set that exceeds it is not really stored in the file."""
_FILTERS = {1: "gzip", 2: "shuffle", 3: "fletcher32", 32000: "lzf"}
"""HDF5's numbers of the allowed chunk filters; other filters have had vulnerabilities, or are loaded as plugins."""


class Level:
    """One data set of images and its position in the file.

    Args:
        data: open data set of the images.
        sums: open data set of their checksums.
    """

    def __init__(self, data: h5py.Dataset, sums: h5py.Dataset | None = None) -> None:
        self.name = str(data.name).lstrip("/")
        self.shape: tuple[int, int, int, int] = tuple(data.shape)
        self.dtype: np.dtype[Any] = data.dtype
        plain = data.chunks is None and data.compression is None and data.dtype.isnative
        self.offset: int | None = data.id.get_offset() if plain else None
        self.sums: int | None = None if sums is None else sums.id.get_offset()

    def write(self, file: Any, start: int, pictures: NDArray[Any]) -> None:
        """Write images [n, C, h, w] and their checksums to their positions in a file whose layout is complete.

        Args:
            file: file that is open for writing bytes.
            start: index of the first image.
            pictures: images, contiguous and in the level's dtype.
        """
        assert self.offset is not None
        file.seek(self.offset + start * pictures[:1].nbytes)
        file.write(pictures.data)
        if self.sums is not None:
            file.seek(self.sums + start * 4)
            file.write(checksums(pictures).data)


class H5File:
    """The images of a file, read on demand.

    Args:
        path: path of the file.
        levels: levels of the file.
    """

    def __init__(self, path: Path, levels: Sequence[Level]) -> None:
        self.path = path
        self._levels = {level.name: level for level in levels}
        self._handle: tuple[int, h5py.File] | None = None
        self._sums: dict[str, Checksums] = {}
        self._open()

    def read(self, name: str, rows: NDArray[np.int64]) -> Pixels:
        """Read images [N, C, h, w] of the level `name`; a contiguous data set is read directly from its position."""
        level = self._levels[name]
        if level.offset is None or not hasattr(os, "preadv"):
            unique, back = np.unique(rows, return_inverse=True)
            pictures: Pixels = self._h5()[name][unique.tolist()]
            if (sums := self._checksums(level)) is not None:
                for row, picture in zip(unique.tolist(), pictures, strict=True):
                    sums.check(row, picture)
            found: Pixels = pictures[back]
            return found
        batch: Pixels = np.empty((len(rows), *level.shape[1:]), level.dtype)
        self.fill(name, batch, range(len(rows)), rows.tolist())
        return batch

    def fill(self, name: str, batch: Pixels, places: Sequence[int], rows: Sequence[int]) -> None:
        """Read images of the level `name` into the positions `places` of `batch`, [N, C, h, w]."""
        level = self._levels[name]
        if level.offset is None or not hasattr(os, "preadv"):
            batch[places] = self.read(name, np.array(rows))
            return
        descriptor, stride = self._file.fileno(), batch[:1].nbytes
        sums = self._checksums(level)
        for place, row in zip(places, rows, strict=True):
            # Positional reads share no state between processes and, unlike a memory map, do not count as memory use.
            if os.preadv(descriptor, [batch[place]], level.offset + row * stride) != stride:
                raise UserError(f"{self.path} became shorter while it was being read")
            if sums is not None:
                sums.check(row, batch[place])

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        self._handle = None

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_handle": None, "_file": None, "_sums": {}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._open()

    def _open(self) -> None:
        self._file = self.path.open("rb", buffering=0)

    def _checksums(self, level: Level) -> Checksums | None:
        """The checksums of a level, read at first use; None if the file has none."""
        if level.sums is None:
            return None
        if level.name not in self._sums:
            self._file.seek(level.sums)
            content = self._file.read(4 * level.shape[0])
            if len(content) != 4 * level.shape[0]:
                raise DamagedError(f"{self.path} is cut short: its checksums are not all there")
            self._sums[level.name] = Checksums(self.path, level.name, np.frombuffer(content, np.uint32))
        return self._sums[level.name]

    def _h5(self) -> h5py.File:
        """The handle of this process; a handle that was opened before a fork must not be used after it."""
        if self._handle is None or self._handle[0] != os.getpid():
            self._handle = os.getpid(), open_h5(self.path)
        return self._handle[1]


def open_h5(path: Path) -> h5py.File:
    """Open a file for reading.

    Raises:
        UserError: if the file is missing, truncated or not an HDF5 file.
    """
    import h5py

    if not path.is_file():
        raise LocalError(f"no file {path}")
    if not h5py.is_hdf5(path):
        raise LocalError(f"{path} is not an HDF5 file")
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise LocalError(f"cannot open {path}: {error}") from error


@contextmanager
def new_h5(path: Path) -> Iterator[h5py.File]:
    """Create an HDF5 file for small data sets and the layout of large data sets.

    Raises:
        OSError: if the disk fails, including failures that HDF5 reports as RuntimeError, for example on closing.
    """
    import h5py

    try:
        with h5py.File(path, "w") as file:
            yield file
    except RuntimeError as error:
        number = re.search(r"errno = (\d+)", str(error))
        if number is None:
            raise
        raise OSError(int(number[1]), os.strerror(int(number[1])), str(path)) from error


@contextmanager
def damage(path: Path) -> Iterator[None]:
    """Convert the errors of h5py on a damaged file, which have many types, to one-line errors.

    Raises:
        DamagedError: instead of h5py's errors.
    """
    try:
        yield
    except UserError:
        raise
    except (OSError, RuntimeError, LookupError, ValueError, TypeError, AttributeError, ArithmeticError) as error:
        raise DamagedError(f"{path} is damaged: {str(error)[:200] or type(error).__name__}") from error


def read_levels(path: Path) -> list[Level]:
    """The levels of a file, largest first.

    Raises:
        UserError: if the file cannot be read or has no levels.
    """
    with damage(path), open_h5(path) as file:
        return find_levels(file, path)


def find_levels(file: h5py.File, path: Path) -> list[Level]:
    """Find the levels in an open file, largest first.

    Raises:
        UserError: if there are no levels, they do not fit together, or they are not stored as their metadata indicate.
    """
    index = "shards" in read_record(file, path)
    levels = []
    for name in file:
        match = re.fullmatch(r"data(\d+)x(\d+)", name)
        data = own_data(file, path, name, index) if match else None
        if not match or data is None:
            continue
        if data.ndim != 4 or data.shape[2:] != (int(match[1]), int(match[2])):
            raise UserError(f"{path}: {name} has shape {data.shape}; due: [N, C, {match[1]}, {match[2]}]")
        if data.dtype not in (np.uint8, np.float16):
            raise UserError(f"{path}: {name} is {data.dtype}; allowed: uint8, float16")
        if data.nbytes > LARGEST * max(data.shape[0], 1):
            raise UserError(
                f"{path}: an image of {name} takes {data.nbytes // data.shape[0]:,} bytes; allowed: {LARGEST:,}"
            )
        sums = own_data(file, path, PREFIX + name) if PREFIX + name in file else None
        if sums is not None and (
            sums.shape != data.shape[:1] or sums.dtype != np.uint32 or sums.id.get_offset() is None
        ):
            raise DamagedError(f"{path} is damaged: the checksums of {name} are not as they were written")
        levels.append(Level(data, sums))
    if not levels:
        found = ", ".join(list(file)[:5]) or "nothing"
        raise UserError(f"{path} has no data sets data{{h}}x{{w}}, such as data64x64; it has {found}")
    if len({(level.shape[:2], level.dtype) for level in levels}) > 1 or levels[0].shape[0] == 0:
        found = ", ".join(f"{level.name} {level.shape[:2]} {level.dtype}" for level in levels)
        raise UserError(f"{path}: the sizes differ in number, channels or type, or are empty: {found}")
    return sorted(levels, key=lambda level: (level.shape[2] * level.shape[3], level.shape[2]), reverse=True)


def own_data(file: h5py.File, path: Path, name: str, index: bool = False) -> h5py.Dataset | None:
    """A data set whose values are all stored in the file itself; None if `name` is a group.

    Args:
        file: open file.
        path: path of the file, for messages.
        name: name of the data set.
        index: whether the data set may consist of links to data sets in other files; they are not read through it.

    Raises:
        UserError: if the data set leads to another file, or its declared size exceeds what the file stores.
    """
    import h5py

    if not isinstance(file.get(name, getlink=True), h5py.HardLink):
        raise UserError(f"{path}: {name} is a link, perhaps to another file; allowed: data in the file itself")
    data = file[name]
    if not isinstance(data, h5py.Dataset):
        return None
    if index and data.is_virtual:
        return data
    if data.is_virtual or data.external:
        raise UserError(f"{path}: {name} is stored in other files; allowed: data in the file itself")
    pipeline = data.id.get_create_plist()
    filters = [pipeline.get_filter(number)[0] for number in range(pipeline.get_nfilters())]
    if not _FILTERS.keys() >= set(filters):
        raise UserError(f"{path}: {name} is packed by filter {filters}; allowed: {', '.join(_FILTERS.values())}")
    stored, most = data.id.get_storage_size(), data.nbytes
    if data.chunks is not None:
        most = -(-most // _PACKED)
        if int(np.prod(data.chunks, dtype=np.float64)) * data.dtype.itemsize > LARGEST:
            raise UserError(f"{path}: {name} has chunks of {data.chunks}; allowed: {LARGEST:,} bytes")
    offset = data.id.get_offset()
    if stored < most or (offset is not None and offset + stored > path.stat().st_size):
        raise DamagedError(f"{path} is damaged or cut short: {name} has {data.shape}, and {stored:,} bytes are stored")
    return data


def read_small(file: h5py.File, path: Path, name: str) -> Any:
    """Read a small data set and verify its checksum; None if it does not exist.

    Raises:
        UserError: if the data set is invalid, not small, or damaged.
    """
    data = own_data(file, path, name) if name in file else None
    if data is None:
        return None
    if data.nbytes > LARGEST:
        raise UserError(f"{path}: {name} has {data.nbytes:,} bytes; allowed: {LARGEST:,}")
    value = data[()]
    check_small(file, path, name, value)
    return value


def read_record(file: h5py.File, path: Path) -> dict[str, Any]:
    """Read the description in an open prepared file; empty for other files.

    Raises:
        UserError: if the description has a different version, or cannot be read.
    """
    version = file.attrs.get("format_version")
    if version is None and RECORD not in file:
        return {}
    if version != FORMAT or RECORD not in file:
        raise UserError(f"{path} is a prepared file of format {version}; this version reads {FORMAT}")
    try:
        record = parse_json(read_small(file, path, RECORD))
    except (ValueError, TypeError, OSError) as error:
        raise UserError(f"{path} is damaged: its description cannot be read ({error})") from error
    if not isinstance(record, dict):
        raise UserError(f"{path} is damaged: its description cannot be read")
    return record
