"""CRC-32 of every image of a prepared file, compared the first time that a process reads the image.

Each level ``data64x64`` has a data set ``crc32_data64x64``, uint32 [N]; the file's attribute ``crc32`` has, as JSON,
those of the other data sets. Files of earlier releases have none and are read without.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from pggan_framework.errors import DamagedError

if TYPE_CHECKING:
    import h5py

PREFIX = "crc32_"
"""In front of a level's name: the name of its checksums."""
ATTRIBUTE = "crc32"
"""Attribute of the file: the checksums of its small data sets."""


class Checksums:
    """The checksums of a level's images.

    Args:
        path: the file, for messages.
        name: the level.
        sums: uint32 [N].
    """

    def __init__(self, path: Path, name: str, sums: NDArray[np.uint32]) -> None:
        self._path, self._name, self._sums = path, name, sums
        self._seen = bytearray(len(sums))

    def check(self, row: int, picture: NDArray[Any]) -> None:
        """Compare an image, [C, h, w] and contiguous, if it is read for the first time.

        Raises:
            DamagedError: if it is not what was written.
        """
        if self._seen[row]:
            return
        if crc32(picture.data) != self._sums[row]:
            raise DamagedError(
                f"{self._path} is damaged: image {row} of {self._name} is not what was written (its checksum"
                " differs); prepare the file again, and check the disk"
            )
        self._seen[row] = 1


def checksums(pictures: NDArray[Any]) -> NDArray[np.uint32]:
    """The CRC-32 of each of some images [N, C, h, w], uint32 [N]."""
    return np.array([crc32(picture.data) for picture in np.ascontiguousarray(pictures)], np.uint32)


def mark(file: h5py.File, names: tuple[str, ...]) -> None:
    """Store the checksums of the small data sets `names`, those that are there."""
    file.attrs[ATTRIBUTE] = json.dumps({name: crc32(_bytes(file[name][()])) for name in names if name in file})


def check_small(file: h5py.File, path: Path, name: str, value: Any) -> None:
    """Compare what was read from a small data set with its stored checksum, where the file has one.

    Raises:
        DamagedError: if it is not what was written.
    """
    text = file.attrs.get(ATTRIBUTE)
    if text is None:
        return
    try:
        known = json.loads(text)
    except (ValueError, TypeError, RecursionError) as error:
        raise DamagedError(f"{path} is damaged: its checksums cannot be read") from error
    if not isinstance(known, Mapping) or known.get(name) != crc32(_bytes(value)):
        raise DamagedError(f"{path} is damaged: its {name} is not what was written; prepare the file again")


def _bytes(value: Any) -> bytes:
    """Text, and arrays of numbers or of texts of any length, as bytes that say all of them."""
    if isinstance(value, bytes):
        return value
    array = np.asarray(value)
    return repr(array.tolist()).encode() if array.dtype.kind == "O" else array.tobytes()
