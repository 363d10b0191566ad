"""Fashion-MNIST: 60,000 small grey images of clothes in ten classes, from Debian's ``dataset-fashion-mnist``.

The images are Zalando's (Xiao et al. 2017, arXiv 1708.07747), MIT licence, in IDX files.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from pggan_framework.data.sources.idx import read_idx
from pggan_framework.errors import UserError
from pggan_framework.recipes import Progress, at_least, new_folder

FOLDER = Path("/usr/share/datasets/fashion-mnist")
"""The folder of the Debian package."""
PICTURES = "train-images-idx3-ubyte.gz"
CLASSES = "train-labels-idx1-ubyte.gz"
INSTALL = (
    "run 'apt-get install dataset-fashion-mnist' (31 MB; images by Zalando, MIT licence), or unpack the package of"
    " Debian or Ubuntu with 'dpkg-deb -x' and give the folder with --from"
)
CREDIT = "Fashion-MNIST by Zalando (Xiao et al. 2017, arXiv 1708.07747), MIT licence."

THINGS = "pictures"
EXAMPLE = """  apt-get install dataset-fashion-mnist
  pggan prepare fashion datasets/fashion
"""

NAMES = ("t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle-boot")
"""The classes, in the order of their indices."""
SIDE = 28
BORDER = 2
"""Black pixels on each side, which pad 28x28 to 32x32, a power of two."""


def summary(_: argparse.Namespace, made: int) -> str:
    """Describe what was created with these flags."""
    return f"{made} images of 32x32. {CREDIT}"


def make_fashion(
    out: Path, count: int | None = None, source: Path | None = None, progress: Progress | None = None
) -> int:
    """Write the training images as grey 32x32 ``coat/00017.png`` ... into the new folder `out`, one folder per class.

    The number in a file's name is the image's index in the data set, whose order is random: the first `count` images
    cover all classes.

    Args:
        out: the folder to create.
        count: number of images, the first ones (default: all 60,000).
        source: the unpacked package, or any folder on the path to its files (default: the installed package).
        progress: called after each image.

    Returns:
        The number of images.

    Raises:
        UserError: if the files are missing, are damaged or hold other data, there are fewer than `count`, or `out`
            exists.
    """
    from PIL import Image

    if count is not None:
        at_least("count", count, 1)
    folder = find_files(source)
    pictures, classes = read_idx(folder / PICTURES, 3), read_idx(folder / CLASSES, 1)
    if pictures.shape[1:] != (SIDE, SIDE):
        raise UserError(f"{folder / PICTURES} has images of {pictures.shape[1]}x{pictures.shape[2]}; allowed: 28x28")
    if len(pictures) != len(classes):
        raise UserError(f"{folder} has {len(pictures)} images but {len(classes)} classes; allowed: equal numbers")
    if len(classes) and classes.max() >= len(NAMES):
        raise UserError(f"{folder / CLASSES} has the class {classes.max()}; allowed: 0 to {len(NAMES) - 1}")
    count = len(pictures) if count is None else count
    if not 1 <= count <= len(pictures):
        raise UserError(f"count is {count}; there are {len(pictures)} images in {folder / PICTURES}")

    with new_folder(out) as made:
        for name in NAMES:
            (made / name).mkdir()
        for index, (picture, number) in enumerate(zip(pictures[:count], classes[:count], strict=True)):
            # Level 1: three times as fast as the default, files 10 % larger.
            Image.fromarray(np.pad(picture, BORDER)).save(made / NAMES[number] / f"{index:05d}.png", compress_level=1)
            if progress:
                progress(index + 1, count)
        for name in NAMES:
            if not any((made / name).iterdir()):
                (made / name).rmdir()
    return count


def find_files(source: Path | None) -> Path:
    """The folder with both files.

    Raises:
        UserError: if there is none; the message says what to install.
    """
    start = FOLDER if source is None else source
    for inner in (".", "fashion-mnist", "usr/share/datasets/fashion-mnist", "share/datasets/fashion-mnist"):
        if all((start / inner / file).is_file() for file in (PICTURES, CLASSES)):
            return start / inner
    raise UserError(f"no Fashion-MNIST ({PICTURES}, {CLASSES}) in {start}; {INSTALL}")
