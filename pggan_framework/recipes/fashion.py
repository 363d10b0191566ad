"""Fashion-MNIST: 60,000 small grey pictures of clothes in ten classes, from Debian's ``dataset-fashion-mnist``.

The pictures are Zalando's (Xiao et al. 2017, arXiv 1708.07747), MIT licence. They come as IDX files: two zero bytes,
the type (8: uint8), how many dimensions, each dimension as a big-endian 32-bit number, and the values.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pggan_framework.errors import UserError
from pggan_framework.recipes import Progress, at_least, new_folder

FOLDER = Path("/usr/share/datasets/fashion-mnist")
"""Where the Debian package puts the files."""
PICTURES = "train-images-idx3-ubyte.gz"
CLASSES = "train-labels-idx1-ubyte.gz"
INSTALL = (
    "run 'apt-get install dataset-fashion-mnist' (31 MB; pictures by Zalando, MIT licence), or unpack the package of"
    " Debian or Ubuntu with 'dpkg-deb -x' and give the folder with --from"
)
CREDIT = "Fashion-MNIST by Zalando (Xiao et al. 2017, arXiv 1708.07747), MIT licence."

NAMES = ("t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle-boot")
"""The classes, in the order of their numbers."""
SIDE = 28
BORDER = 2
"""Black pixels on each side, which make 28x28 a power of two, 32x32."""


def make_fashion(
    out: Path, count: int | None = None, source: Path | None = None, progress: Progress | None = None
) -> int:
    """Write the training pictures as grey 32x32 ``coat/00017.png`` ... into the new folder `out`, a folder a class.

    The file's number is the picture's place in the data set, whose order is random: the first `count` are of all
    classes.

    Args:
        out: the folder to make.
        count: how many, the first ones; all 60,000 by default.
        source: the unpacked package, or any folder on the way to its files; without it the installed package is used.
        progress: called after each picture.

    Returns:
        How many pictures were written.

    Raises:
        UserError: if the files are not found, are damaged or are other data, there are fewer than `count`, or `out`
            exists.
    """
    from PIL import Image

    if count is not None:
        at_least("count", count, 1)
    folder = find_files(source)
    pictures, classes = read_idx(folder / PICTURES, 3), read_idx(folder / CLASSES, 1)
    if pictures.shape[1:] != (SIDE, SIDE):
        raise UserError(f"{folder / PICTURES} has pictures of {pictures.shape[1]}x{pictures.shape[2]}; allowed: 28x28")
    if len(pictures) != len(classes):
        raise UserError(f"{folder} has {len(pictures)} pictures but {len(classes)} classes; allowed: as many")
    if len(classes) and classes.max() >= len(NAMES):
        raise UserError(f"{folder / CLASSES} has the class {classes.max()}; allowed: 0 to {len(NAMES) - 1}")
    count = len(pictures) if count is None else count
    if not 1 <= count <= len(pictures):
        raise UserError(f"count is {count}; there are {len(pictures)} pictures in {folder / PICTURES}")

    with new_folder(out) as made:
        for name in NAMES:
            (made / name).mkdir()
        for index, (picture, number) in enumerate(zip(pictures[:count], classes[:count], strict=True)):
            # Level 1: three times as fast as the default, files a tenth larger.
            Image.fromarray(np.pad(picture, BORDER)).save(made / NAMES[number] / f"{index:05d}.png", compress_level=1)
            if progress:
                progress(index + 1, count)
        for name in NAMES:
            if not any((made / name).iterdir()):
                (made / name).rmdir()
    return count


def find_files(source: Path | None) -> Path:
    """The folder that holds both files.

    Raises:
        UserError: if there is none, saying what to install.
    """
    start = FOLDER if source is None else source
    for inner in (".", "fashion-mnist", "usr/share/datasets/fashion-mnist", "share/datasets/fashion-mnist"):
        if all((start / inner / file).is_file() for file in (PICTURES, CLASSES)):
            return start / inner
    raise UserError(f"no Fashion-MNIST ({PICTURES}, {CLASSES}) in {start}; {INSTALL}")


def read_idx(file: Path, dimensions: int) -> NDArray[np.uint8]:
    """An IDX file of uint8 values, compressed by gzip; an array of so many `dimensions`.

    Raises:
        UserError: if it cannot be read, is no such file, or is longer or shorter than its header says.
    """
    try:
        content = gzip.decompress(file.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"cannot read {file}: {error}; {INSTALL}") from error
    start, wanted = 4 + 4 * dimensions, bytes([0, 0, 8, dimensions])
    if len(content) < start or content[:4] != wanted:
        raise UserError(
            f"{file} is no IDX file of uint8 in {dimensions} dimensions: it begins with"
            f" {content[:4].hex() or 'nothing'}, and {wanted.hex()} is due"
        )
    shape = struct.unpack_from(f">{dimensions}I", content, 4)
    size = int(np.prod(shape, dtype=np.float64))
    if len(content) - start != size:
        words = " x ".join(map(str, shape))
        raise UserError(f"{file} is damaged: its header says {words} = {size} bytes, and {len(content) - start} follow")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)
