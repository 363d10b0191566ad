"""TFRecords of the original PGGAN's ``dataset_tool.py``, which are read without TensorFlow."""

from __future__ import annotations

import hashlib
import os
import re
import struct
from pathlib import Path
from typing import TYPE_CHECKING

import google_crc32c
import numpy as np
from numpy.typing import NDArray

from pggan_framework.data.sources.arrays import load_labels, to_picture
from pggan_framework.data.sources.base import LabelChoice, PictureSource, labels_of_own
from pggan_framework.data.sources.example import parse_example
from pggan_framework.errors import UserError

if TYPE_CHECKING:
    from PIL.Image import Image

NAME = re.compile(r"(?P<name>.*)-r(?P<log2>\d\d)\.tfrecords")
"""Pattern of file names, which contain the binary logarithm of the images' side."""
HEADER, FOOTER = 12, 4
"""Number of bytes of a record before its data (length as uint64, checksum of the length) and after (its checksum)."""


class TFRecordsSource(PictureSource):
    """Images of a file ``name-r07.tfrecords``, or of the file with the largest images in a folder.

    Each record is an Example with the features ``shape``, int64 [3], and ``data``, uint8 [C, H, W]. Both checksums of a
    record are verified: the checksum of the length when the file is opened, the checksum of the data when the record is
    read. Labels, one-hot or other rows, are in the first ``*.labels`` file next to the images.

    Args:
        path: path of the file or the folder.
        labels: requested labels: ``class``, or ``label_0``, ``label_1`` ...

    Raises:
        UserError: if a file is truncated or damaged, contains other records, or the labels do not exist.
    """

    words = "TFRecords of the original PGGAN tool"

    def __init__(self, path: Path, labels: LabelChoice) -> None:
        self.path = path
        self.file = _largest(path) if path.is_dir() else path
        self._records = _scan(self.file)
        if not self._records:
            raise UserError(f"no image in {self.file}")
        try:
            _, height, width = self._pixels(0).shape
        except (OSError, ValueError) as error:
            raise UserError(f"{self.file}, {self.name(0)}: {error}") from error
        self.one_size = (height, width)
        self._labels_file = next(iter(sorted(self.file.parent.glob("*.labels"))), None)
        available = {}
        if labels.any and self._labels_file:
            available = load_labels(self._labels_file, len(self))
        self.labels = labels_of_own(available, labels, str(path))
        self.continuous = tuple(labels.continuous or ())

    def __len__(self) -> int:
        return len(self._records)

    def name(self, index: int) -> str:
        """The record's index in the file, from 0."""
        return f"record {index}"

    def read(self, index: int) -> Image:
        """Read the record's image."""
        return to_picture(self._pixels(index))

    def identity(self) -> bytes:
        """Digest of the file's length and of every record's checksum."""
        digest = hashlib.sha256(str(self.file.stat().st_size).encode())
        with self.file.open("rb", buffering=0) as file:
            for offset, length in self._records:
                file.seek(offset + length)
                digest.update(file.read(FOOTER))
        return digest.digest()

    def described(self) -> dict[str, str]:
        """A description of the files that are read."""
        files = [self.file.name, *([self._labels_file.name] if self.labels and self._labels_file else [])]
        return {"read from": ", ".join(files)}

    def _pixels(self, index: int) -> NDArray[np.uint8]:
        """Read the pixels [C, H, W] of a record.

        Raises:
            ValueError: if the record is damaged, or was not written by the tool.
        """
        offset, length = self._records[index]
        with self.file.open("rb") as file:
            file.seek(offset)
            data = file.read(length + FOOTER)
        if _checksum(data[:length]) != int.from_bytes(data[length:], "little"):
            raise ValueError("it is damaged: its data have another checksum (CRC-32C) than is written behind them")
        features = parse_example(data[:length])
        shape, pixels = features.get("shape"), features.get("data")
        if not shape or not pixels or not isinstance(shape[0], int) or not isinstance(pixels[0], bytes):
            found = ", ".join(features) or "nothing"
            raise ValueError(f"it has {found}; due are the features shape (three integers) and data (bytes)")
        if len(shape) != 3 or np.prod(np.array(shape, np.float64)) != len(pixels[0]) or not pixels[0]:
            raise ValueError(f"it has {len(pixels[0])} bytes of data for the shape {shape}")
        return np.frombuffer(pixels[0], np.uint8).reshape([int(side) for side in shape])


def _checksum(data: bytes) -> int:
    """CRC-32C as stored in a TFRecord: rotated right by 15 bits, plus a constant."""
    checksum = int(google_crc32c.value(data))
    return ((checksum >> 15 | checksum << 17) + 0xA282EAD8) & 0xFFFFFFFF


def is_tfrecords(path: Path) -> bool:
    """True if a path is a TFRecords file, or a folder with TFRecords files from the tool."""
    if path.is_dir():
        return any(NAME.fullmatch(file.name) for file in path.glob("*.tfrecords"))
    if path.suffix == ".tfrecords" or not path.is_file():
        return path.is_file()
    try:
        with path.open("rb") as file:
            header = file.read(HEADER)
    except OSError:
        return False
    return len(header) == HEADER and _checksum(header[:8]) == int.from_bytes(header[8:], "little")


def _largest(folder: Path) -> Path:
    """The file with the largest images in a folder.

    Raises:
        UserError: if there are files of two data sets.
    """
    matches = [match for file in folder.glob("*.tfrecords") if (match := NAME.fullmatch(file.name))]
    names = sorted({match["name"] for match in matches})
    if len(names) > 1:
        raise UserError(f"{folder} holds the TFRecords of {', '.join(names)}; give a file of one of them")
    return folder / max(matches, key=lambda match: int(match["log2"])).string


def _scan(path: Path) -> list[tuple[int, int]]:
    """Offset and length of the data of every record.

    Raises:
        UserError: if the file ends within a record, or the checksum of a length is wrong.
    """
    records: list[tuple[int, int]] = []
    try:
        with path.open("rb", buffering=0) as file:
            size, place = file.seek(0, os.SEEK_END), 0
            while place < size:
                file.seek(place)
                header = file.read(HEADER)
                what = f"{path} is damaged: record {len(records)} (the first is 0)"
                if len(header) < HEADER:
                    raise UserError(f"{what} ends early, after {len(header)} bytes")
                length, checksum = struct.unpack("<QI", header)
                if _checksum(header[:8]) != checksum:
                    raise UserError(f"{what} has a length with a wrong checksum (CRC-32C)")
                if place + HEADER + length + FOOTER > size:
                    there = size - place - HEADER
                    raise UserError(f"{what} is cut off: {there} of {length + FOOTER} bytes are left")
                records.append((place + HEADER, length))
                place += HEADER + length + FOOTER
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    return records
