"""The interface of image sources, and the selection of their labels."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pggan_framework.data.images.files import MOST_PIXELS, Header, read_header, reason
from pggan_framework.data.labels.labelling import read_labels
from pggan_framework.data.labels.tables import Table
from pggan_framework.data.prepare.parallel import in_order
from pggan_framework.errors import UserError, nearest

if TYPE_CHECKING:
    from PIL.Image import Image

Columns = dict[str, list[str]]
"""Attribute name -> the value of every image as text, in the order of the images."""
TOGETHER = 128
"""Number of headers that a process reads at a time."""


@dataclass(frozen=True)
class LabelChoice:
    """The requested labels; none by default.

    Args:
        names: names of the attributes.
        csv: table of labels, for sources whose images have names.
        pattern: regular expression with named groups, searched in the images' names.
        json: JSON file of labels.
        continuous: attributes that are numbers in a range.
        owner: prefix of ``labels`` in messages: ``--`` or ``DefaultImageFolderDataset.``.
    """

    names: Sequence[str] | None = None
    csv: Path | None = None
    pattern: str | None = None
    json: Path | None = None
    continuous: Sequence[str] | None = None
    owner: str = "--"

    @property
    def any(self) -> bool:
        """True if any labels are requested."""
        return any(given is not None for given in (self.names, self.csv, self.pattern, self.json, self.continuous))


class PictureSource(ABC):
    """Images that can be read individually, in any order and in any process.

    A subclass is constructed from a path and a `LabelChoice`, and sets `labels` and `continuous` with `labels_by_name`
    or `labels_of_own`. Forked processes inherit the source, and it must be picklable. A source therefore opens its
    handle at first use and never shares it between processes.

    Raises:
        UserError: from the constructor, if the source cannot be read, has no images, or lacks the requested labels.
    """

    words: ClassVar[str]
    """The kind of source, for messages, such as ``a zip of pictures``."""
    labels: Columns | None = None
    """The value of every attribute for every image, including broken images; None if no labels are requested."""
    continuous: tuple[str, ...] = ()
    """The attributes that are numbers in a range."""
    labels_from: str = ""
    """A description of where the labels come from; empty if they come from the source itself."""
    one_size: tuple[int, int] | None = None
    """[H, W] of all images, if they are known to have one size; otherwise headers are read."""
    most_pixels: int = MOST_PIXELS
    """Largest number of pixels of an image; larger images count as unreadable."""

    @abstractmethod
    def __len__(self) -> int:
        """The number of images, readable or not."""

    @abstractmethod
    def name(self, index: int) -> str:
        """The unique name of an image in the source, for messages and the prepared file."""

    @abstractmethod
    def read(self, index: int) -> Image:
        """Read a stored image, in any mode, decoded or lazily opened (`PIL.Image.open`), without applying EXIF.

        Raises:
            OSError: if the image cannot be read.
            ValueError: if the data are not an image.
        """

    @abstractmethod
    def identity(self) -> bytes:
        """Bytes that identify the images and are cheap to compute: names, lengths, existing checksums; no labels."""

    def described(self) -> dict[str, str]:
        """Additional summary lines, beyond the number and size of the images."""
        return {}

    def headers(self, indices: range, jobs: int) -> list[Header | str]:
        """The headers of some images; for unreadable images, the reasons.

        Args:
            indices: indices of the images.
            jobs: number of processes that read headers.
        """
        if self.one_size is not None:
            return [Header(self.one_size)] * len(indices)
        return self._read_headers(indices, jobs)

    def _read_headers(self, indices: Sequence[int], jobs: int) -> list[Header | str]:
        starts = range(0, len(indices), TOGETHER)

        def look(batch: int) -> list[Header | str]:
            return [self._header(index) for index in indices[starts[batch] : starts[batch] + TOGETHER]]

        with closing(in_order(look, range(len(starts)), jobs)) as batches:
            return [header for batch in batches for header in batch]

    def _header(self, index: int) -> Header | str:
        try:
            with self.read(index) as image:
                return read_header(image)
        except Exception as error:  # Pillow raises many exception types on a broken file
            return reason(error)


def labels_by_name(
    names: Sequence[str], choice: LabelChoice, inside: Table | None = None
) -> tuple[Columns | None, tuple[str, ...], str]:
    """Labels of images with names, read from folders, the names themselves, a table or JSON.

    Args:
        names: names of all images, relative to the source, with ``/``.
        choice: requested labels.
        inside: labels stored with the images.

    Returns:
        `PictureSource.labels`, `PictureSource.continuous`, and a description of where the labels come from.

    Raises:
        UserError: the errors of `labelling.read_labels`.
    """
    try:
        found = read_labels(
            names, choice.names, choice.csv, choice.pattern, "prepare", choice.json, choice.continuous, inside
        )
    except UserError as error:
        raise UserError(str(error).replace("prepare.", choice.owner)) from error
    return (found.columns, found.continuous, found.source) if found else (None, (), "")


def labels_of_own(available: Mapping[str, Sequence[object]], choice: LabelChoice, where: str) -> Columns | None:
    """The requested labels, selected from the labels that a source contains itself.

    Args:
        available: all attributes of the source, with the value of every image.
        choice: requested labels; `PictureSource.continuous` is then ``tuple(choice.continuous or ())``.
        where: name of the source, for messages.

    Raises:
        UserError: if a requested attribute does not exist, or a table, a pattern or JSON is given.
    """
    for name, value in (("csv", choice.csv), ("pattern", choice.pattern), ("json", choice.json)):
        if value is not None:
            raise UserError(
                f"{choice.owner}labels_{name} {value} is for images in files; {where} contains labels:"
                f" {', '.join(available) or 'none'}"
            )
    for name in choice.continuous or ():
        if name not in (choice.names or ()):
            raise UserError(
                f"{choice.owner}continuous_labels '{name}' is none of {choice.owner}labels"
                f" {' '.join(choice.names or ['(none)'])}"
            )
    if choice.names is None:
        return None
    for name in choice.names:
        if name not in available:
            raise UserError(
                f"{choice.owner}labels '{name}' is not known{nearest(name, available)}; {where} has:"
                f" {', '.join(available) or 'none'}"
            )
    return {name: [str(value) for value in available[name]] for name in dict.fromkeys(choice.names)}
