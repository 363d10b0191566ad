"""A file as a sequence of parts: ranges of its bytes, and bytes inserted between them."""

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
"""Inserted bytes, or the offset and length of a range in the file."""


class Splice(io.RawIOBase):
    """Reads a file as if it contained only `segments`, one after another.

    Args:
        path: path of the file.
        segments: parts to read.

    Raises:
        OSError: if the file cannot be opened.
    """

    def __init__(self, path: str, segments: Sequence[Segment]) -> None:
        self._file = open(path, "rb")  # noqa: SIM115 - closed with the splice
        self._segments = list(segments)
        self._ends = list(accumulate(len(part) if isinstance(part, bytes) else part[1] for part in segments))
        self._size = self._ends[-1] if self._ends else 0
        self._at = 0

    def readable(self) -> bool:
        """True, since the stream can be read."""
        return True

    def seekable(self) -> bool:
        """True, since the stream can seek to any position."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to a position in the concatenated segments."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        self._at = max(base + offset, 0)
        return self._at

    def tell(self) -> int:
        """The position of the next byte."""
        return self._at

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Fill `buffer` with as many bytes as remain; returns their number."""
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
                    break  # the file was truncated meanwhile
            filled += count
            self._at += count
        return filled

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()


def patched(segments: Sequence[tuple[int, bytes]], size: int) -> list[Segment]:
    """The segments of a file of `size` bytes with some bytes replaced; the replacements have ascending offsets."""
    parts: list[Segment] = []
    at = 0
    for offset, new in segments:
        parts += [(at, offset - at), new]
        at = offset + len(new)
    return [*parts, (at, size - at)]
