"""A folder of images and its subfolders."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pggan_framework.data.images.files import SUFFIXES, Header, open_image
from pggan_framework.data.labels.tables import Table
from pggan_framework.data.manifest import Manifest, hash_file
from pggan_framework.data.sources.base import LabelChoice, PictureSource, labels_by_name
from pggan_framework.data.walk import walk
from pggan_framework.errors import UserError
from pggan_framework.storage.names import name_bytes

if TYPE_CHECKING:
    from PIL.Image import Image

THREADS, EACH = 8, 64
"""Number of threads that hash files, which mostly wait for the disk, and number of files per thread at a time."""


class FolderSource(PictureSource):
    """Every image in a folder and its subfolders, including links, sorted by name.

    Args:
        path: path of the folder.
        labels: requested labels; ``folder`` is a file's first folder below `path`.
        inside: labels stored with the images.

    Raises:
        UserError: if there is no image, or an image has no label.
    """

    words = "a folder of images"

    def __init__(self, path: Path, labels: LabelChoice, inside: Table | None = None) -> None:
        self.path = path
        try:
            self._tree = walk(path)
        except OSError as error:
            raise UserError(f"cannot read {path}: {error.strerror}, {error.filename}") from error
        self._names, self._others = self._tree.split(SUFFIXES)
        if not self._names:
            unused = "; ".join(f"{kind}: {words}" for kind, words in self.described().items()) or "it is empty"
            raise UserError(f"no readable image in {path}: {unused}; endings: {' '.join(sorted(SUFFIXES))}")
        self._manifest: Manifest | None = None
        self.labels, self.continuous, self.labels_from = labels_by_name(self._names, labels, inside)

    def __len__(self) -> int:
        return len(self._names)

    def name(self, index: int) -> str:
        """The path of the file relative to the folder."""
        return self._names[index]

    def read(self, index: int) -> Image:
        """Open the file."""
        return open_image(os.path.join(self.path, self._names[index]), self.most_pixels)

    def headers(self, indices: range, jobs: int) -> list[Header | str]:
        """Return the result of `PictureSource.headers`; the headers of unchanged files are cached."""
        place = {self._names[index]: index for index in indices}

        def compute(names: Sequence[str]) -> Iterable[Any]:
            # Unreadable files are tried again each time: another version of Pillow may read them.
            for found in self._read_headers([place[name] for name in names], jobs):
                yield ValueError(found) if isinstance(found, str) else found

        found = self._remember(f"header 2 {self.most_pixels}", list(place), compute)
        return [
            str(row) if isinstance(row, ValueError) else Header(tuple(row[0]), row[1], tuple(row[2])) for row in found
        ]

    def identity(self) -> bytes:
        """Digest of each file's name and all its bytes."""

        def compute(names: Sequence[str]) -> Iterable[str]:
            def hashes(start: int) -> list[str]:
                return [hash_file(os.path.join(self.path, name)) for name in names[start : start + EACH]]

            with ThreadPoolExecutor(THREADS) as pool:
                yield from chain.from_iterable(pool.map(hashes, range(0, len(names), EACH)))

        digest = hashlib.sha256()
        for name, own in zip(self._names, self._remember("hash", self._names, compute), strict=True):
            digest.update(name_bytes(f"\n{name} {own}"))
        return digest.digest()

    def described(self) -> dict[str, str]:
        """A description of the ignored files."""
        return self._tree.described(self._others, "images")

    def _remember(self, kind: str, names: Sequence[str], compute: Any) -> list[Any]:
        if self._manifest is None:
            self._manifest = Manifest(self.path)
        found = self._manifest.remember(kind, names, compute)
        self._manifest.save()
        return found

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_manifest": None}
