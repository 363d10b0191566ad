"""Limits for compressed files, since a few kilobytes can unpack to more than any disk can store."""

from __future__ import annotations

import bz2
import gzip
import lzma
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

LARGEST = 256 << 20
"""Largest size of a member in bytes; a larger member is not an image, but perhaps an attempt to exhaust memory."""
RATIO = 100
"""Largest compression ratio beyond the first `LARGEST` bytes; images have ratios of at most a few."""
PACKED: dict[bytes, Callable[[Path], Any]] = {
    b"\x1f\x8b": gzip.GzipFile,
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\x00": lzma.LZMAFile,
}
"""Readers of compressed files by their first bytes."""


class Bounded:
    """A stream of a decompressed file that raises an error beyond a maximum size.

    Args:
        stream: stream of the decompressed bytes.
        most: largest number of bytes.
    """

    def __init__(self, stream: Any, most: int) -> None:
        self._stream, self._most = stream, most

    def read(self, size: int = -1) -> bytes:
        """Read the next bytes.

        Raises:
            OSError: if the bytes exceed the maximum size.
        """
        if not 0 <= size <= LARGEST:
            raise OSError(f"it requests {size:,} bytes at once; allowed: {LARGEST:,}")
        self._check(self._stream.tell() + size - LARGEST)
        content: bytes = self._stream.read(size)
        return content

    def seek(self, place: int, whence: int = 0) -> int:
        """Seek to a position; everything before it is decompressed.

        Raises:
            OSError: if the position exceeds the maximum size.
        """
        self._check(place)
        return int(self._stream.seek(place, whence))

    def tell(self) -> int:
        """The current position."""
        return int(self._stream.tell())

    def close(self) -> None:
        """Close the file."""
        self._stream.close()

    def _check(self, place: int) -> None:
        if place > self._most:
            raise OSError(f"it unpacks to more than {self._most:,} bytes, {RATIO} times its own: no images do")


def unpacked(path: Path) -> Any:
    """Open a stream of a file's bytes, decompressed if it is gzip, bzip2 or xz."""
    with path.open("rb") as file:
        start = file.read(max(map(len, PACKED)))
    for magic, opens in PACKED.items():
        if start.startswith(magic):
            return Bounded(opens(path), LARGEST + RATIO * path.stat().st_size)
    return path.open("rb")


def open_tar(path: Path) -> tarfile.TarFile:
    """Open a tar archive, uncompressed or compressed, for reading."""
    return _Tar.open(fileobj=unpacked(path), mode="r:")


class _Tar(tarfile.TarFile):
    """A tar archive that also closes the stream that it reads."""

    def close(self) -> None:
        super().close()
        if self.fileobj is not None:
            self.fileobj.close()


def read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo | str) -> bytes:
    """Read and decompress a member of a zip.

    Raises:
        ValueError: if the member is too large, or larger than its compressed bytes can plausibly unpack to.
        KeyError: if the member does not exist.
    """
    found = archive.getinfo(member) if isinstance(member, str) else member
    if found.file_size > LARGEST or found.file_size > RATIO * found.compress_size + (64 << 20):
        raise ValueError(f"{found.filename} unpacks to {found.file_size:,} bytes; allowed: {LARGEST:,}")
    return archive.read(found)
