"""What every source of images can do, and how their labels are chosen."""

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
"""By the attributes' names, the value of every image as text, in the order of the images."""
TOGETHER = 128
"""Headers that a process reads at a time."""


@dataclass(frozen=True)
class LabelChoice:
    """Which labels are requested; without any of these, none are.

    Args:
        names: the attributes, by name.
        csv: a table of labels, for sources whose images have names.
        pattern: a regular expression with named groups, searched in the images' names.
        json: a JSON file of labels.
        continuous: those of the attributes that are numbers in a range.
        owner: what is before ``labels`` in messages: ``--`` or ``DefaultImageFolderDataset.``.
    """

    names: Sequence[str] | None = None
    csv: Path | None = None
    pattern: str | None = None
    json: Path | None = None
    continuous: Sequence[str] | None = None
    owner: str = "--"

    @property
    def any(self) -> bool:
        """Whether any are requested."""
        return any(given is not None for given in (self.names, self.csv, self.pattern, self.json, self.continuous))


class PictureSource(ABC):
    """Images that can be had one by one, in any order, in any process.

    A subclass is made from a path and a `LabelChoice`, and sets `labels` and `continuous`, for which there are
    `labels_by_name` and `labels_of_own`. It is passed to processes by fork, and has to be picklable: a handle is opened
    where it is first used and never shared between processes.

    Raises:
        UserError: from the constructor, if the source cannot be read, has no images or not the labels requested.
    """

    words: ClassVar[str]
    """The kind of source, for messages: ``a zip of pictures``."""
    labels: Columns | None = None
    """The value of every attribute for each of the images, the broken ones too; None where none are requested."""
    continuous: tuple[str, ...] = ()
    """The attributes that are numbers in a range."""
    labels_from: str = ""
    """Where the labels come from, in words; empty for the source itself."""
    one_size: tuple[int, int] | None = None
    """[H, W] of every image where it is known that they have one; else their headers are read."""
    most_pixels: int = MOST_PIXELS
    """Pixels that an image may have; a larger one counts as unreadable."""

    @abstractmethod
    def __len__(self) -> int:
        """How many images there are, readable or not."""

    @abstractmethod
    def name(self, index: int) -> str:
        """Where an image comes from, in the source: no two have one name. Goes into messages and into the file."""

    @abstractmethod
    def read(self, index: int) -> Image:
        """An image as it is stored, in any mode, decoded or (`PIL.Image.open`) about to be; its EXIF is heeded later.

        Raises:
            OSError: if it cannot be read.
            ValueError: if what is there is no image.
        """

    @abstractmethod
    def identity(self) -> bytes:
        """What differs where the images do, cheaply: names, lengths, checksums that are at hand. Not the labels."""

    def described(self) -> dict[str, str]:
        """Lines of the summary that say more than how many images of which size there are."""
        return {}

    def headers(self, indices: range, jobs: int) -> list[Header | str]:
        """What is known of some images before they are decoded; of those that cannot be read, why.

        Args:
            indices: which.
            jobs: how many processes read.
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
        except Exception as error:  # Pillow's readers raise many kinds of error on a broken file
            return reason(error)


def labels_by_name(
    names: Sequence[str], choice: LabelChoice, inside: Table | None = None
) -> tuple[Columns | None, tuple[str, ...], str]:
    """Labels of images with names: by folder, by the names themselves, from a table or from JSON.

    Args:
        names: of all images, relative to the source, with ``/``.
        choice: what is requested.
        inside: labels that came with the images.

    Returns:
        `PictureSource.labels`, `PictureSource.continuous`, and where they come from, in words.

    Raises:
        UserError: as `labelling.read_labels`.
    """
    try:
        found = read_labels(
            names, choice.names, choice.csv, choice.pattern, "prepare", choice.json, choice.continuous, inside
        )
    except UserError as error:
        raise UserError(str(error).replace("prepare.", choice.owner)) from error
    return (found.columns, found.continuous, found.source) if found else (None, (), "")


def labels_of_own(available: Mapping[str, Sequence[object]], choice: LabelChoice, where: str) -> Columns | None:
    """The labels requested, of those that a source has in itself.

    Args:
        available: all attributes it has, with the value of every image.
        choice: what is requested; `PictureSource.continuous` is then ``tuple(choice.continuous or ())``.
        where: the source, for messages.

    Raises:
        UserError: if there is no such attribute, or a table, a pattern or JSON is given.
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
