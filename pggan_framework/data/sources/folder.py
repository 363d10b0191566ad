"""A folder of pictures, and the folders below it."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from pggan_framework.data.images.files import SUFFIXES, TAIL
from pggan_framework.data.images.headers import HEAD, plain_size
from pggan_framework.data.sources.base import LabelChoice, PictureSource, labels_by_name
from pggan_framework.data.walk import walk
from pggan_framework.errors import UserError

if TYPE_CHECKING:
    from PIL.Image import Image


class FolderSource(PictureSource):
    """Every picture in a folder and the folders below it, in order of their names, as `DefaultImageFolderDataset`.

    Args:
        path: the folder.
        labels: which labels are asked for; ``folder`` is the first folder below `path` that a file lies in.

    Raises:
        UserError: if there is no picture, or one has no label.
    """

    words = "a folder of pictures"

    def __init__(self, path: Path, labels: LabelChoice) -> None:
        self.path = path
        try:
            self._tree = walk(path)
        except OSError as error:
            raise UserError(f"cannot read {path}: {error.strerror}, {error.filename}") from error
        self._names, self._others = self._tree.split(SUFFIXES)
        if not self._names:
            raise UserError(f"no picture in {path}; endings: {' '.join(sorted(SUFFIXES))}")
        self.labels, self.continuous, self._labels_from = labels_by_name(self._names, labels)

    def __len__(self) -> int:
        return len(self._names)

    def name(self, index: int) -> str:
        """The file, relative to the folder."""
        return self._names[index]

    def read(self, index: int) -> Image:
        """The file, opened."""
        from PIL import Image

        return Image.open(self._file(index))

    def content(self, index: int) -> bytes:
        """The file's bytes."""
        with open(self._file(index), "rb", buffering=0) as file:
            return file.readall()

    def size(self, index: int) -> tuple[int, int]:
        """[H, W] of the upright picture; of the common kinds from a look at the first bytes."""
        with open(self._file(index), "rb", buffering=0) as file:
            return plain_size(file.read(HEAD)) or super().size(index)

    def identity(self) -> bytes:
        """Digest of each file's name, length and last bytes."""
        digest = hashlib.sha256()
        for index, name in enumerate(self._names):
            digest.update(f"\n{name} ".encode("utf-8", "surrogateescape"))
            try:
                with open(self._file(index), "rb", buffering=0) as file:
                    length = file.seek(0, os.SEEK_END)
                    file.seek(max(0, length - TAIL))
                    digest.update(f"{length} ".encode() + file.readall())
            except OSError as error:  # it is skipped later
                digest.update(str(error.errno).encode())
        return digest.digest()

    def described(self) -> dict[str, str]:
        """What is not used, and where the labels come from."""
        lines = {"labels from": self._labels_from} if self.labels else {}
        return lines | self._tree.described(self._others, "images")

    def _file(self, index: int) -> str:
        return os.path.join(self.path, self._names[index])
