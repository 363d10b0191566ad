"""Images and labels in numeric arrays."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pggan_framework.data.sources.base import LabelChoice, PictureSource, labels_of_own
from pggan_framework.errors import UserError

if TYPE_CHECKING:
    from PIL.Image import Image

CHANNELS = (1, 3, 4)
"""Allowed numbers of channels: grey, RGB, RGBA."""


class ArraySource(PictureSource):
    """Images that are completely in memory.

    Args:
        path: file or folder that the images come from.
        pictures: images, uint8 [N, C, H, W], with a C in `CHANNELS`.
        names: name of every image.
        available: all attributes, with the value of every image.
        labels: requested labels.

    Raises:
        UserError: if there are no images, or a requested label does not exist.
    """

    def __init__(
        self,
        path: Path,
        pictures: NDArray[np.uint8],
        names: Sequence[str],
        available: Mapping[str, Sequence[object]],
        labels: LabelChoice,
    ) -> None:
        if not len(pictures):
            raise UserError(f"no image in {path}")
        self.path = path
        self.one_size = (pictures.shape[2], pictures.shape[3])
        self.labels = labels_of_own(available, labels, str(path))
        self.continuous = tuple(labels.continuous or ())
        self._pictures = pictures
        self._names = names

    def __len__(self) -> int:
        return len(self._pictures)

    def name(self, index: int) -> str:
        """The name of the image if it has one, otherwise its index."""
        return self._names[index]

    def read(self, index: int) -> Image:
        """The image, in grey, RGB or RGBA."""
        return to_picture(self._pictures[index])

    def identity(self) -> bytes:
        """Digest of all pixels."""
        return hashlib.sha256(np.ascontiguousarray(self._pictures).data).digest()


def to_picture(pixels: NDArray[np.uint8]) -> Image:
    """Convert pixels [C, H, W] to an image.

    Raises:
        ValueError: if C is not in `CHANNELS`.
    """
    from PIL import Image

    if pixels.ndim != 3 or pixels.shape[0] not in CHANNELS:
        raise ValueError(f"pixels of shape {pixels.shape}; allowed: [C, H, W], C one of {CHANNELS}")
    return Image.fromarray(np.ascontiguousarray(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0)))


def load_labels(file: Path, count: int) -> dict[str, list[str]]:
    """Read labels from a file in NumPy's ``.npy`` format, whatever its extension.

    Args:
        file: path of the file.
        count: number of images.

    Returns:
        The result of `columns`.

    Raises:
        UserError: if the file cannot be read, would run code, or has labels for a different number of images.
    """
    try:
        with file.open("rb") as opened:
            labels: NDArray[Any] = np.load(opened, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"cannot read the labels {file}: {error}") from error
    if not isinstance(labels, np.ndarray) or labels.ndim not in (1, 2) or labels.dtype.kind not in "biuf":
        raise UserError(f"{file} holds no labels; allowed: an array of numbers, [N] or [N, K]")
    if len(labels) != count:
        raise UserError(f"{file} has labels of shape {list(labels.shape)}; there are {count} images")
    return columns(labels)


def columns(labels: NDArray[Any]) -> dict[str, list[str]]:
    """Convert labels to attributes.

    Numbers [N] and one-hot rows [N, K] become the attribute ``class``, an index. Other rows become ``label_0``,
    ``label_1`` ... ``label_K-1``. Empty rows, [N, 0], give no attribute.
    """
    rows = labels.reshape(len(labels), -1)
    if rows.shape[1] > 1 and np.isin(rows, (0, 1)).all() and (rows.sum(axis=1) == 1).all():
        rows = rows.argmax(axis=1)[:, None]
    if np.array_equal(rows, np.rint(rows)):
        rows = rows.astype(np.int64)
    names = ["class"] if rows.shape[1] == 1 else [f"label_{place}" for place in range(rows.shape[1])]
    return {name: [str(value) for value in column] for name, column in zip(names, rows.T.tolist(), strict=True)}
