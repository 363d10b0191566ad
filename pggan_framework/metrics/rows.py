"""Arrays that are gathered batch by batch, without ever being in memory twice, and large ones not even once."""

from __future__ import annotations

from tempfile import TemporaryFile, gettempdir
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pggan_framework.errors import UserError
from pggan_framework.storage.space import reserve

LARGE = 1 << 28
"""Bytes from which an array lies in a file without a name, in the system's folder for such (TMPDIR)."""


class Rows:
    """`count` rows of an array, which come in parts.

    Args:
        count: how many are to come; fewer may.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._array: NDArray[Any] | None = None
        self._filled = 0

    def add(self, part: NDArray[Any]) -> None:
        """Take the next rows [n, ...].

        Raises:
            UserError: if they are too many for the memory, and the folder for temporary files has no room.
        """
        if self._array is None:
            shape = (self.count, *part.shape[1:])
            if part.itemsize * int(np.prod(shape)) < LARGE:
                self._array = np.empty(shape, part.dtype)
            else:
                with TemporaryFile() as file:
                    try:  # access to a page that finds no room would end the process
                        reserve(file.fileno(), part.itemsize * int(np.prod(shape)))
                    except OSError as error:
                        raise UserError(
                            f"{gettempdir()} has no room for {part.itemsize * np.prod(shape) / 1e9:.1f} GB of"
                            f" intermediate values ({error.strerror}); set TMPDIR to a folder on another disk"
                        ) from error
                    self._array = np.memmap(file, part.dtype, "w+", shape=shape)
        self._array[self._filled : self._filled + len(part)] = part
        self._filled += len(part)

    def array(self) -> NDArray[Any]:
        """All rows so far, [N, ...].

        Raises:
            ValueError: if none came.
        """
        if self._array is None:
            raise ValueError("there is nothing to measure")
        return self._array[: self._filled]
