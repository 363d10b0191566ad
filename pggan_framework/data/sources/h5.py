"""HDF5 files of the original PGGAN tool, and prepared files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pggan_framework.data.datasets.h5 import OldH5Dataset
from pggan_framework.data.sources.arrays import CHANNELS, to_picture
from pggan_framework.data.sources.base import LabelChoice, PictureSource, labels_of_own
from pggan_framework.data.store.h5_file import read_levels
from pggan_framework.errors import UserError
from pggan_framework.labels.attributes import LabelSpace

if TYPE_CHECKING:
    from PIL.Image import Image

MAGIC = b"\x89HDF\r\n\x1a\n"


class H5Source(PictureSource):
    """The largest images of an HDF5 file of data sets ``data{h}x{w}``, uint8 [N, C, h, w].

    Labels come from the prepared file itself, or from ``<file>-labels.npy`` as the attribute ``class``, an index.

    Args:
        path: path of the file.
        labels: requested labels.

    Raises:
        UserError: if the file is damaged, contains sounds instead of images, or lacks the requested labels.
    """

    words = "an HDF5 file of the original PGGAN tool, or a prepared file"

    def __init__(self, path: Path, labels: LabelChoice) -> None:
        self.path = path
        top = read_levels(path)[0]
        if top.dtype != np.uint8 or top.shape[1] not in CHANNELS:
            raise UserError(
                f"{path} holds no images but {top.shape[1]} channels of {top.dtype}; allowed: uint8, of"
                f" {', '.join(map(str, CHANNELS))} channels"
            )
        self._data = OldH5Dataset(path, use_labels=labels.any)
        self.one_size = (top.shape[2], top.shape[3])
        available: dict[str, list[str | float]] = {}
        space = self._data.label_space
        if isinstance(space, LabelSpace) and self._data.labels is not None:
            pairs = zip(space.attributes, self._data.labels.T.tolist(), strict=True)
            available = {attribute.name: [attribute.value(code) for code in column] for attribute, column in pairs}
        self.labels = labels_of_own(available, labels, str(path))
        self.continuous = tuple(labels.continuous or ())

    def __len__(self) -> int:
        return len(self._data)

    def name(self, index: int) -> str:
        """The image's index in the file, from 0."""
        return f"image {index}"

    def read(self, index: int) -> Image:
        """The image at its largest size."""
        try:
            return to_picture(self._data.image(index).astype(np.uint8, copy=False))
        except UserError as error:
            raise OSError(str(error)) from error

    def identity(self) -> bytes:
        """The fingerprint that a run on this file would store."""
        return self._data.fingerprint().encode()


def is_h5(path: Path) -> bool:
    """True if a path is an HDF5 file."""
    try:
        with path.open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False
