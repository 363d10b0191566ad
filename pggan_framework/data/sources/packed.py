"""Packed files with limits: a few kilobytes can unpack to more than any disk holds."""

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
"""Bytes of a member beyond which it is not read: no image is that large, but what is made to fill a memory is."""
RATIO = 100
"""Bytes that a packed byte may become, beyond the first `LARGEST`: images become at most a few."""
PACKED: dict[bytes, Callable[[Path], Any]] = {
    b"\x1f\x8b": gzip.GzipFile,
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\x00": lzma.LZMAFile,
}
"""What reads a packed file that begins so."""


class Bounded:
    """A stream of an unpacked file that ends with an error where more comes out than can be meant.

    Args:
        stream: of the unpacked bytes.
        most: how many of them there may be.
    """

    def __init__(self, stream: Any, most: int) -> None:
        self._stream, self._most = stream, most

    def read(self, size: int = -1) -> bytes:
        """The next bytes.

        Raises:
            OSError: if they are too many.
        """
        if not 0 <= size <= LARGEST:
            raise OSError(f"it requests {size:,} bytes at once; allowed: {LARGEST:,}")
        self._check(self._stream.tell() + size - LARGEST)
        content: bytes = self._stream.read(size)
        return content

    def seek(self, place: int, whence: int = 0) -> int:
        """Go to a place; all before it is unpacked.

        Raises:
            OSError: if it is too far.
        """
        self._check(place)
        return int(self._stream.seek(place, whence))

    def tell(self) -> int:
        """The place."""
        return int(self._stream.tell())

    def close(self) -> None:
        """Close the file."""
        self._stream.close()

    def _check(self, place: int) -> None:
        if place > self._most:
            raise OSError(f"it unpacks to more than {self._most:,} bytes, {RATIO} times its own: no images do")


def unpacked(path: Path) -> Any:
    """A stream of a file's bytes, unpacked where it is packed by gzip, bzip2 or xz."""
    with path.open("rb") as file:
        start = file.read(max(map(len, PACKED)))
    for magic, opens in PACKED.items():
        if start.startswith(magic):
            return Bounded(opens(path), LARGEST + RATIO * path.stat().st_size)
    return path.open("rb")


def open_tar(path: Path) -> tarfile.TarFile:
    """Open a tar, plain or packed, for reading."""
    return _Tar.open(fileobj=unpacked(path), mode="r:")


class _Tar(tarfile.TarFile):
    """Closes the stream that it was given."""

    def close(self) -> None:
        super().close()
        if self.fileobj is not None:
            self.fileobj.close()


def read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo | str) -> bytes:
    """A member of a zip, unpacked.

    Raises:
        ValueError: if it is larger than is read, or than its packed bytes can be meant to be.
        KeyError: if there is no such member.
    """
    found = archive.getinfo(member) if isinstance(member, str) else member
    if found.file_size > LARGEST or found.file_size > RATIO * found.compress_size + (64 << 20):
        raise ValueError(f"{found.filename} unpacks to {found.file_size:,} bytes; allowed: {LARGEST:,}")
    return archive.read(found)
