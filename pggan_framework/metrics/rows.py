"""Arrays collected batch by batch without a second copy; large arrays are stored in a temporary file."""

from __future__ import annotations

from tempfile import TemporaryFile, gettempdir
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pggan_framework.errors import UserError
from pggan_framework.storage.space import reserve

LARGE = 1 << 28
"""Bytes from which an array is stored in an unnamed file in the system's temporary folder (TMPDIR)."""


class Rows:
    """`count` rows of an array, added in parts.

    Args:
        count: the expected number of rows; fewer are allowed.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._array: NDArray[Any] | None = None
        self._filled = 0

    def add(self, part: NDArray[Any]) -> None:
        """Add the next rows [n, ...].

        Raises:
            UserError: if the rows exceed the memory and the folder for temporary files is full.
        """
        if self._array is None:
            shape = (self.count, *part.shape[1:])
            if part.itemsize * int(np.prod(shape)) < LARGE:
                self._array = np.empty(shape, part.dtype)
            else:
                with TemporaryFile() as file:
                    try:  # accessing a page without disk space would kill the process
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
        """Return all rows so far, [N, ...].

        Raises:
            ValueError: if there are no rows.
        """
        if self._array is None:
            raise ValueError("there is nothing to measure")
        return self._array[: self._filled]
