"""IDX files of MNIST and the data sets in its format: Fashion-MNIST, KMNIST, EMNIST, QMNIST.

Format: two zero bytes, the type (8: uint8), the number of dimensions, each dimension as a big-endian 32-bit number, and
the values.
"""

from __future__ import annotations

import lzma
import re
import struct
import zlib
from contextlib import closing
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pggan_framework.data.sources.arrays import ArraySource
from pggan_framework.data.sources.base import LabelChoice
from pggan_framework.data.sources.packed import unpacked
from pggan_framework.errors import UserError

PICTURES = re.compile(r"(?P<set>.*)images[-.]idx3-ubyte(\.gz)?")
"""Names such as ``train-images-idx3-ubyte.gz``, compressed or not; some files are named ``images.idx3``."""
TRAINING = "train-"
_CHUNK = 16 << 20
SIDE, BORDER = 28, 2
"""Side of MNIST's images in pixels, and the padding on each side."""


class IDXSource(ArraySource):
    """Grey images of an IDX file; if a folder has several files, the images of the training set.

    Images of 28x28 are padded by two black pixels on each side, as in the original PGGAN tool, so that they can grow to
    32x32. Labels come from ``train-labels-idx1-ubyte`` next to ``train-images-idx3-ubyte``, compressed or not, as the
    attribute ``class``, an index.

    Args:
        path: path of the file or the folder.
        labels: requested labels.

    Raises:
        UserError: if a file is damaged, or its contents do not match its name.
    """

    words = "IDX files (MNIST)"

    def __init__(self, path: Path, labels: LabelChoice) -> None:
        self.file = _chosen(path) if path.is_dir() else path
        pictures = read_idx(self.file, 3)
        available = {}
        if labels.any and (labels_file := _labels_of(self.file)):
            classes = read_idx(labels_file, 1)
            if len(classes) != len(pictures):
                raise UserError(f"{self.file} has {len(pictures)} images, but {labels_file} has {len(classes)} labels")
            available = {"class": classes.tolist()}
        names = [f"image {index}" for index in range(len(pictures))]
        self._padded = pictures.shape[1:] == (SIDE, SIDE)
        if self._padded:
            pictures = np.pad(pictures, ((0, 0), (BORDER, BORDER), (BORDER, BORDER)))
        super().__init__(path, pictures[:, None], names, available, labels)

    def described(self) -> dict[str, str]:
        """The file that is read, and the padding of the images."""
        around = {"border": f"{BORDER} black pixels around 28x28, as the original PGGAN tool"} if self._padded else {}
        return {"read from": self.file.name} | around


def is_idx(path: Path) -> bool:
    """True if a path is an IDX file of images by its name, or a folder with one."""
    if path.is_dir():
        return any(PICTURES.fullmatch(file.name) for file in path.glob("*images*ubyte*"))
    return path.is_file() and PICTURES.fullmatch(path.name) is not None


def read_idx(file: Path, dimensions: int) -> NDArray[np.uint8]:
    """Read an IDX file of uint8 values, uncompressed or gzip, as an array with this number of `dimensions`.

    Raises:
        UserError: if the file cannot be read, is not of this type, or is longer or shorter than its header indicates.
    """
    try:
        with closing(unpacked(file)) as stream:
            content = b"".join(iter(partial(stream.read, _CHUNK), b""))
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise UserError(f"cannot read {file}: {error}") from error
    start, wanted = 4 + 4 * dimensions, bytes([0, 0, 8, dimensions])
    if len(content) < start or content[:4] != wanted:
        raise UserError(
            f"{file} is not an IDX file of uint8 in {dimensions} dimensions: it begins with"
            f" {content[:4].hex() or 'nothing'}, and {wanted.hex()} is due"
        )
    shape = struct.unpack_from(f">{dimensions}I", content, 4)
    size = int(np.prod(shape, dtype=np.float64))
    if len(content) - start != size:
        words = " x ".join(map(str, shape))
        raise UserError(f"{file} is damaged: its header says {words} = {size} bytes, but {len(content) - start} follow")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def _chosen(folder: Path) -> Path:
    """The image file to read in a folder.

    Raises:
        UserError: if there are several image files, and not exactly one belongs to a training set.
    """
    sets = {match["set"]: file for file in sorted(folder.iterdir()) if (match := PICTURES.fullmatch(file.name))}
    training = [name for name in sets if name.endswith(TRAINING)] or list(sets)
    if len(training) > 1:
        raise UserError(f"{folder} holds several sets: {', '.join(sets[name].name for name in training)}; give a file")
    return sets[training[0]]


def _labels_of(pictures: Path) -> Path | None:
    """The label file next to an image file."""
    name = pictures.name.removesuffix(".gz").replace("images", "labels").replace("idx3", "idx1")
    return next((file for end in ("", ".gz") if (file := pictures.with_name(name + end)).is_file()), None)
