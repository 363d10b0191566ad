"""Detect the kind of a source by its contents, not by its extension."""

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
        detects: fast function that returns True if an existing path is of this kind; it never raises an error.
        opens: class of the source, or a function that constructs it.
        words: name of the kind, for the message that lists the allowed kinds.
    """

    detects: Callable[[Path], bool]
    opens: Callable[[Path, LabelChoice], PictureSource]
    words: str


KINDS = [
    # The first match wins, so special kinds of zips, tars and folders precede general ones.
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
    """Open the source at `path`.

    Args:
        path: path of a file or a folder.
        labels: requested labels (default: none).

    Raises:
        UserError: if the path does not exist or its kind is unknown, and the errors of the source's class.
    """
    path = Path(path)
    if not path.exists():
        raise UserError(f"no file or folder {path}")
    for kind in KINDS:
        if kind.detects(path):
            return kind.opens(path, labels or LabelChoice())
    raise UserError(f"{path} is not a source of images; allowed: {', '.join(kind.words for kind in KINDS)}")
