"""CRC-32 of every image of a prepared file, verified the first time a process reads the image.

Each level, for example ``data64x64``, has a data set ``crc32_data64x64``, uint32 [N]; the file's attribute ``crc32``
contains the checksums of the other data sets as JSON. Files of earlier releases have no checksums and are read without
a check.
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
"""Prefix that turns the name of a level into the name of its checksums."""
ATTRIBUTE = "crc32"
"""File attribute with the checksums of the small data sets."""


class Checksums:
    """The checksums of a level's images.

    Args:
        path: path of the file, for messages.
        name: name of the level.
        sums: checksums, uint32 [N].
    """

    def __init__(self, path: Path, name: str, sums: NDArray[np.uint32]) -> None:
        self._path, self._name, self._sums = path, name, sums
        self._seen = bytearray(len(sums))

    def check(self, row: int, picture: NDArray[Any]) -> None:
        """Verify an image, [C, h, w] and contiguous, the first time it is read.

        Raises:
            DamagedError: if the image differs from the written image.
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
    """The CRC-32 of images [N, C, h, w], uint32 [N]."""
    return np.array([crc32(picture.data) for picture in np.ascontiguousarray(pictures)], np.uint32)


def mark(file: h5py.File, names: tuple[str, ...]) -> None:
    """Store the checksums of the existing small data sets among `names`."""
    file.attrs[ATTRIBUTE] = json.dumps({name: crc32(_bytes(file[name][()])) for name in names if name in file})


def check_small(file: h5py.File, path: Path, name: str, value: Any) -> None:
    """Verify the value of a small data set against its stored checksum, if the file has one.

    Raises:
        DamagedError: if the value differs from the written value.
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
    """Unambiguous bytes of a text, or of an array of numbers or of texts of any length."""
    if isinstance(value, bytes):
        return value
    array = np.asarray(value)
    return repr(array.tolist()).encode() if array.dtype.kind == "O" else array.tobytes()
