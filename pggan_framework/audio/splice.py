"""A file as its parts: ranges of bytes that are used, those between left out, and bytes put in their place."""

from __future__ import annotations

import io
import os
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

Segment = bytes | tuple[int, int]
"""Bytes, or the offset and the length of a range in the file."""


class Splice(io.RawIOBase):
    """Reads a file as if it held only `segments`, one after another.

    Args:
        path: the file.
        segments: what is read.

    Raises:
        OSError: if it cannot be opened.
    """

    def __init__(self, path: str, segments: Sequence[Segment]) -> None:
        self._file = open(path, "rb")  # noqa: SIM115 - closed with the splice
        self._segments = list(segments)
        self._ends = list(accumulate(len(part) if isinstance(part, bytes) else part[1] for part in segments))
        self._size = self._ends[-1] if self._ends else 0
        self._at = 0

    def readable(self) -> bool:
        """It can be read."""
        return True

    def seekable(self) -> bool:
        """Any place can be read."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place, counted in what is read."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        self._at = max(base + offset, 0)
        return self._at

    def tell(self) -> int:
        """The place of the next byte."""
        return self._at

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Fill `buffer` as far as there are bytes; returns how many."""
        view = memoryview(buffer).cast("B")
        filled = 0
        while filled < len(view) and self._at < self._size:
            index = bisect_right(self._ends, self._at)
            part, left = self._segments[index], self._ends[index] - self._at
            count = min(left, len(view) - filled)
            if isinstance(part, bytes):
                start = len(part) - left
                view[filled : filled + count] = part[start : start + count]
            else:
                self._file.seek(part[0] + part[1] - left)
                count = self._file.readinto(view[filled : filled + count])
                if not count:
                    break  # the file has become shorter
            filled += count
            self._at += count
        return filled

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()


def patched(segments: Sequence[tuple[int, bytes]], size: int) -> list[Segment]:
    """Segments of a file of `size` bytes in which some bytes, at rising offsets, are other ones."""
    parts: list[Segment] = []
    at = 0
    for offset, new in segments:
        parts += [(at, offset - at), new]
        at = offset + len(new)
    return [*parts, (at, size - at)]
