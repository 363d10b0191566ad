"""Finds out what kind of source a path is: by what is in it, not by its ending."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from pggan_framework.data.sources.archive import TarSource, ZipSource, is_tar, is_zip
from pggan_framework.data.sources.base import LabelChoice, PictureSource
from pggan_framework.data.sources.celeba import CelebASource, is_celeba
from pggan_framework.data.sources.cifar import CIFARSource, is_cifar
from pggan_framework.data.sources.folder import FolderSource
from pggan_framework.data.sources.h5 import H5Source, is_h5
from pggan_framework.data.sources.idx import IDXSource, is_idx
from pggan_framework.data.sources.stylegan import StyleGANFolder, StyleGANZip, is_stylegan_folder, is_stylegan_zip
from pggan_framework.data.sources.tfrecords import TFRecordsSource, is_tfrecords
from pggan_framework.errors import UserError


class Kind(NamedTuple):
    """A kind of source.

    Args:
        detects: whether an existing path is of this kind; quick, and False rather than an error.
        opens: the class, or what makes one.
        words: the kind, for the message that lists what is allowed.
    """

    detects: Callable[[Path], bool]
    opens: Callable[[Path, LabelChoice], PictureSource]
    words: str


KINDS = [
    # The first one that detects takes it: special kinds of zips, tars and folders are before the general ones.
    Kind(is_h5, H5Source, H5Source.words),
    Kind(is_tfrecords, TFRecordsSource, TFRecordsSource.words),
    Kind(is_stylegan_zip, StyleGANZip, StyleGANZip.words),
    Kind(is_stylegan_folder, StyleGANFolder, StyleGANFolder.words),
    Kind(is_celeba, CelebASource, CelebASource.words),
    Kind(is_idx, IDXSource, IDXSource.words),
    Kind(is_cifar, CIFARSource, CIFARSource.words),
    Kind(is_zip, ZipSource, ZipSource.words),
    Kind(is_tar, TarSource, TarSource.words),
    Kind(Path.is_dir, FolderSource, FolderSource.words),
]


def open_source(path: Path, labels: LabelChoice | None = None) -> PictureSource:
    """The source at `path`.

    Args:
        path: a file or a folder.
        labels: which labels are requested; none by default.

    Raises:
        UserError: if there is nothing, it is of no known kind, or what its class raises.
    """
    path = Path(path)
    if not path.exists():
        raise UserError(f"no file or folder {path}")
    for kind in KINDS:
        if kind.detects(path):
            return kind.opens(path, labels or LabelChoice())
    raise UserError(f"{path} is not a source of images; allowed: {', '.join(kind.words for kind in KINDS)}")
