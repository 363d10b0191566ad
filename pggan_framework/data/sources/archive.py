"""Zip and tar archives of images, which are read without being unpacked to disk."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
import zipfile
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, TYPE_CHECKING, Any

from pggan_framework.data.images.files import SUFFIXES, open_image
from pggan_framework.data.labels.tables import Table
from pggan_framework.data.sources.base import LabelChoice, PictureSource, labels_by_name
from pggan_framework.data.sources.packed import LARGEST, open_tar, read_member, unpacked
from pggan_framework.data.walk import tree_of
from pggan_framework.errors import UserError
from pggan_framework.storage.names import name_bytes
from pggan_framework.storage.zips import RAISED

if TYPE_CHECKING:
    from PIL.Image import Image

BROKEN = (*RAISED, tarfile.TarError)
"""Exceptions of damaged archives."""


class ArchiveSource(PictureSource):
    """Images in an archive, sorted by name; hidden members and members that are not images are skipped.

    Args:
        path: path of the archive.
        labels: requested labels; ``folder`` is an image's first folder inside the archive.
        names: names of all members that are files.
        inside: labels stored with the images.

    Raises:
        UserError: if a member's path leads out of the archive, there is no image, or an image has no label.
    """

    def __init__(self, path: Path, labels: LabelChoice, names: Sequence[str], inside: Table | None = None) -> None:
        self.path = path
        places: dict[str, list[int]] = {}
        for place, given in enumerate(names):
            places.setdefault(_inside(given, path), []).append(place)
        self._tree = tree_of(path, sorted(places))
        self._names, self._others = self._tree.split(SUFFIXES)
        if twice := next((name for name in self._names if len(places[name]) > 1), None):
            raise UserError(f"{path} holds {twice} twice; allowed: once")
        if not self._names:
            raise UserError(f"no readable image in {path}; endings: {' '.join(sorted(SUFFIXES))}")
        self._places = [places[name][0] for name in self._names]
        self._handle: tuple[int, Any] | None = None
        self.labels, self.continuous, self.labels_from = labels_by_name(self._names, labels, inside)

    def __len__(self) -> int:
        return len(self._names)

    def name(self, index: int) -> str:
        """The path of the member in the archive."""
        return self._names[index]

    def read(self, index: int) -> Image:
        """Read the member into memory and open it."""
        try:
            content = self._member(self._places[index])
        except BROKEN as error:
            raise ValueError(str(error)) from error
        return open_image(io.BytesIO(content), self.most_pixels)

    def described(self) -> dict[str, str]:
        """A description of the ignored files."""
        return self._tree.described(self._others, "images")

    @abstractmethod
    def _member(self, place: int) -> bytes:
        """The contents of a member, by its index in the archive."""

    @abstractmethod
    def _open(self) -> Any:
        """Open the archive for one process."""

    def _own(self) -> Any:
        """The handle of this process; forked processes would share the position of a handle opened before the fork."""
        if self._handle is None or self._handle[0] != os.getpid():
            self._handle = os.getpid(), self._open()
        return self._handle[1]

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_handle": None}


class ZipSource(ArchiveSource):
    """Images in a zip archive.

    Args:
        path: path of the zip archive.
        labels: requested labels.
        inside: labels stored with the images.

    Raises:
        UserError: if the archive is damaged, and the errors of `ArchiveSource`.
    """

    words = "a zip of images"

    def __init__(self, path: Path, labels: LabelChoice, inside: Table | None = None) -> None:
        try:
            with zipfile.ZipFile(path) as archive:
                self._members = [member for member in archive.infolist() if not member.is_dir()]
        except BROKEN as error:
            raise UserError(f"{path} is damaged: {error}") from error
        super().__init__(path, labels, [member.filename for member in self._members], inside)

    def identity(self) -> bytes:
        """Digest of each image's name, length and checksum."""
        digest = hashlib.sha256()
        for name, place in zip(self._names, self._places, strict=True):
            digest.update(name_bytes(f"\n{name} {self._members[place].file_size} {self._members[place].CRC}"))
        return digest.digest()

    def _open(self) -> zipfile.ZipFile:
        return zipfile.ZipFile(self.path)

    def _member(self, place: int) -> bytes:
        member = self._members[place]
        archive: zipfile.ZipFile = self._own()
        return read_member(archive, member)


class TarSource(ArchiveSource):
    """Images in a tar archive, uncompressed or compressed by gzip, bzip2 or xz.

    Links and devices in the archive are skipped. A compressed tar archive does not support seeking, so each process
    decompresses it once, in memory, as it reads.

    Args:
        path: path of the tar archive.
        labels: requested labels.

    Raises:
        UserError: if the archive is damaged, and the errors of `ArchiveSource`.
    """

    words = "a tar of images (plain, gz, bz2, xz)"

    def __init__(self, path: Path, labels: LabelChoice) -> None:
        try:
            with open_tar(path) as archive:
                files = [member for member in archive if member.isreg() and not member.issparse()]
        except BROKEN as error:
            raise UserError(f"{path} is damaged: {error}") from error
        self._members = [(member.offset_data, member.size, member.mtime) for member in files]
        super().__init__(path, labels, [member.name for member in files])

    def identity(self) -> bytes:
        """Digest of the archive's length, and each image's name, length and date."""
        digest = hashlib.sha256(str(self.path.stat().st_size).encode())
        for name, place in zip(self._names, self._places, strict=True):
            digest.update(name_bytes(f"\n{name} {self._members[place][1:]}"))
        return digest.digest()

    def _open(self) -> Any:
        return unpacked(self.path)

    def _member(self, place: int) -> bytes:
        offset, size, _ = self._members[place]
        _check_size(size)
        stream: IO[bytes] = self._own()
        stream.seek(offset)
        return stream.read(size)


def is_zip(path: Path) -> bool:
    """True if a path is a zip archive."""
    return path.is_file() and zipfile.is_zipfile(path)


def is_tar(path: Path) -> bool:
    """True if a path is a tar archive, uncompressed or compressed."""
    try:
        if not path.is_file():
            return False
        with open_tar(path):
            return True
    except BROKEN:
        return False


def _inside(name: str, archive: Path) -> str:
    """A member's name without a leading ``./``.

    Raises:
        UserError: if the name leads out of the archive.
    """
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or PureWindowsPath(name).drive or ".." in path.parts:
        raise UserError(f"{archive} holds '{name}', a path that leads out of it; it is refused, and nothing is read")
    return path.as_posix()


def _check_size(size: int) -> None:
    if size > LARGEST:
        raise ValueError(f"{size / 2**30:.1f} GiB")
