"""Arrays that are gathered batch by batch, without ever being in memory twice, and large ones not even once."""

from __future__ import annotations

from tempfile import TemporaryFile
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
        """Take the next rows [n, ...]."""
        if self._array is None:
            shape = (self.count, *part.shape[1:])
            if part.itemsize * int(np.prod(shape)) < LARGE:
                self._array = np.empty(shape, part.dtype)
            else:
                with TemporaryFile() as file:
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
