"""Before pictures are prepared: which can be read, which shape they get, what they are labelled with."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Generator
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pggan_framework.data.images.files import colour, reason
from pggan_framework.data.images.fitting import CHANNELS, POLICIES, Filter, Fitting, Mode, Policy
from pggan_framework.data.labels.labelling import FileLabels
from pggan_framework.data.prepare.parallel import in_order
from pggan_framework.data.sources.base import PictureSource
from pggan_framework.errors import UserError
from pggan_framework.labels.attributes import Labels, LabelSpace
from pggan_framework.schedules.growth import Growth

FORMAT = 1
"""Goes into the fingerprint: another one where the same source would give other pictures."""
LOOKED_AT = 128
"""Pictures whose sizes are asked for at a time."""
SHOWN = 5
"""Names that a line of the summary has."""

Size = tuple[int, int]


@dataclass(frozen=True)
class Options:
    """How pictures are prepared.

    Args:
        size: [H, W] of the pictures at full depth; by default that of all pictures, or where they are resized the
            largest square with a side of a power of two that none has to be enlarged for.
        resize: what to do with pictures of other sizes; see `fitting.POLICIES`.
        crop: what is used of each picture, before it is resized; see `Fitting.cut`.
        filter: how pixels are weighted in resizing.
        colour: channels of the pictures.
        background: colour under transparent pictures and around padded ones: a name such as white, or #rrggbb.
        mirror: whether each picture's mirror image, left for right, is one more; all of them come after the last.
        max_images: use only the first so many.
        seed_shape: [h, w] of the pictures at depth 0, where the offset does not give them.
        depth_offset: log2 of the shorter side of the pictures at depth 0.
    """

    size: Size | None = None
    resize: Policy = "none"
    crop: tuple[int, int, int, int] | int | None = None
    filter: Filter = "lanczos"
    colour: Mode = "RGB"
    background: str = "white"
    mirror: bool = False
    max_images: int | None = None
    seed_shape: Size | None = None
    depth_offset: int = 2


@dataclass(frozen=True)
class Plan:
    """What is prepared.

    Args:
        source: where the pictures are.
        where: the source's path, for the summary.
        options: as they were given.
        fitting: what is done to each picture.
        growth: the shapes.
        chosen: which of the source's pictures are used.
        sizes: their sizes, as many as there are different ones, with how many have each.
        unreadable: those that are not, by their numbers in the source, and why.
        fingerprint: a digest of the source, its labels and the options.
        shard: of the plan of a part, its number and how many parts there are.
    """

    source: PictureSource
    where: str
    options: Options
    fitting: Fitting
    growth: Growth
    chosen: list[int]
    sizes: dict[Size, int]
    unreadable: dict[int, str]
    fingerprint: str
    shard: tuple[int, int] | None = None

    def total(self, good: int) -> int:
        """Pictures in the file where so many have been read."""
        return good * 2 if self.options.mirror else good

    def labels(self, chosen: list[int]) -> tuple[LabelSpace, Labels] | None:
        """The labels [len(chosen), A] of these pictures of the source.

        Raises:
            UserError: if an attribute is the same everywhere.
        """
        if self.source.labels is None:
            return None
        return FileLabels(self.source.labels, self.where, self.source.continuous).collect(chosen)

    def summary(self, unreadable: dict[int, str]) -> dict[str, str]:
        """What a person should know of the pictures, in words.

        Args:
            unreadable: all that were left out, by their numbers in the source, and why.
        """
        good = [index for index in self.chosen if index not in unreadable]
        options = self.options
        found = Counter(self.sizes).most_common(1)[0][0]
        lines = {
            "pictures": str(self.total(len(good))),
            "shape": "x".join(map(str, self.growth.shape)),
            "source": f"{self.source.words}, {self.where}",
            "sizes there": f"{found[0]}x{found[1]}" if len(self.sizes) == 1 else f"{len(self.sizes)} sizes",
        }
        if options.crop is not None:
            lines["cut out"] = (
                f"{options.crop}x{options.crop} in the middle"
                if isinstance(options.crop, int)
                else "{2}x{3} from {0}, {1} (left, top)".format(*options.crop)
            )
        lines["resize"] = options.resize if options.resize == "none" else f"{options.resize}, {options.filter}"
        if options.mirror:
            lines["mirrored"] = f"{len(good)} pictures, and each one's mirror image"
        if (found_labels := self.labels(good)) is not None and self.source.labels is not None:
            space, labels = found_labels
            of_all = np.concatenate([labels, labels]) if options.mirror else labels
            told = FileLabels(self.source.labels, self.where, self.source.continuous)
            lines["labels"] = told.describe(space, of_all, "pictures")
        lines |= self.source.described()
        if unreadable:
            named = [f"{self.source.name(index)} ({unreadable[index]})" for index in sorted(unreadable)[:SHOWN]]
            more = f" and {len(unreadable) - SHOWN} more" if len(unreadable) > SHOWN else ""
            lines["skipped"] = f"{len(unreadable)} unreadable: {', '.join(named)}{more}"
        return lines


def make_plan(source: PictureSource, where: str, options: Options, jobs: int) -> Plan:
    """Look at the pictures' headers and settle what becomes of them.

    Args:
        source: where the pictures are.
        where: its path, for messages.
        options: how they are prepared.
        jobs: how many processes.

    Raises:
        UserError: if no picture can be read, the sizes do not fit, or the labels say nothing.
    """
    background = colour(options.background)
    if options.max_images is not None and options.max_images < 1:
        raise UserError(f"--max_images is {options.max_images}; it must be at least 1")
    if min(options.size or (1, 1)) < 1:
        raise UserError(f"--size is {_by(options.size or (0, 0))}; allowed: sides of 1 pixel or more")
    sizes, unreadable = _survey(source, options.max_images, jobs)
    if not sizes:
        raise UserError(f"no picture in {where} can be read: {_first(source, unreadable)}")
    cut = Fitting(options.colour, (1, 1), cut=options.crop)
    after: dict[int, Size] = {}
    for index, size in sizes.items():
        try:
            left, top, right, bottom = cut.box(size)
        except ValueError as error:
            raise UserError(f"--crop {_words(options.crop)} is no part of {source.name(index)}: {error}") from error
        after[index] = bottom - top, right - left
    size = _full_size(source, after, options)
    channels = CHANNELS[options.colour]
    try:
        growth = Growth.of((channels, *size), options.seed_shape, options.depth_offset)
    except UserError as error:
        if options.resize != "none":
            raise
        raise UserError(f"{error}; --resize: {POLICIES}") from error
    fitting = Fitting(options.colour, size, options.resize, background, options.filter, options.crop)
    chosen = list(sizes)
    digest = _fingerprint(source, options, chosen)
    plan = Plan(source, where, options, fitting, growth, chosen, dict(Counter(sizes.values())), unreadable, digest)
    plan.labels(plan.chosen)  # in vain, if they cannot be used
    return plan


def _fingerprint(source: PictureSource, options: Options, chosen: list[int]) -> str:
    digest = hashlib.sha256(f"{FORMAT} {sorted(asdict(options).items())}\n".encode())
    digest.update(source.identity())
    digest.update(json.dumps([source.labels, source.continuous, chosen]).encode())
    return digest.hexdigest()[:16]


def _survey(source: PictureSource, most: int | None, jobs: int) -> tuple[dict[int, Size], dict[int, str]]:
    """The sizes of the first `most` pictures that can be read, and why those among them cannot that cannot."""
    total = len(source)
    if source.one_size is not None:
        return dict.fromkeys(range(min(total, most or total)), source.one_size), {}
    starts = range(0, total, LOOKED_AT)

    def look(batch: int) -> list[Size | str]:
        return [_size(source, index) for index in range(starts[batch], min(starts[batch] + LOOKED_AT, total))]

    def found() -> Generator[tuple[int, Size | str], None, None]:
        with closing(in_order(look, range(len(starts)), jobs)) as batches:
            for start, batch in zip(starts, batches, strict=True):
                yield from enumerate(batch, start)

    sizes: dict[int, Size] = {}
    unreadable: dict[int, str] = {}
    with closing(found()) as pairs:
        for index, size in pairs:
            if isinstance(size, str):
                unreadable[index] = size
            else:
                sizes[index] = size
            if len(sizes) == most:
                break
    return sizes, unreadable


def _size(source: PictureSource, index: int) -> Size | str:
    """The size of a picture, or why it has none."""
    try:
        return source.size(index)
    except Exception as error:  # Pillow's readers raise many kinds of error on a broken file
        return reason(error)


def _full_size(source: PictureSource, sizes: dict[int, Size], options: Options) -> Size:
    """[H, W] of the pictures at full depth; `sizes` are those after cutting."""
    if options.resize != "none":
        shortest = min(map(min, sizes.values()))
        side = 1 << (shortest.bit_length() - 1)
        return options.size or (side, side)
    first, common = next(iter(sizes.items()))
    wanted = options.size or common
    for index, size in sizes.items():
        if size != wanted:
            other = "--size is" if options.size else f"{source.name(first)} is"
            raise UserError(
                f"{source.name(index)} is {_by(size)}, {other} {_by(wanted)}; with --resize none all pictures have one"
                f" size; other policies: {POLICIES}"
            )
    return wanted


def _first(source: PictureSource, unreadable: dict[int, str]) -> str:
    return ", ".join(f"{source.name(index)} ({why})" for index, why in list(unreadable.items())[:SHOWN])


def _by(size: Size) -> str:
    return f"{size[0]}x{size[1]}"


def _words(crop: Any) -> str:
    return str(crop) if isinstance(crop, int) else " ".join(map(str, crop))
