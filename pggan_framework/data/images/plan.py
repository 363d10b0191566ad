"""Plan the use of images: readable files, shape, changes and labels.

A folder used for training and a prepared source have the same plan, and therefore the same images.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pggan_framework.data.images.degenerate import look_at
from pggan_framework.data.images.files import MOST_PIXELS, Header, colour
from pggan_framework.data.images.fitting import CHANNELS, POLICIES, Filter, Fitting, Mode, Policy
from pggan_framework.data.images.survey import guess_white, survey_headers
from pggan_framework.data.labels.labelling import FileLabels
from pggan_framework.data.sources.base import PictureSource
from pggan_framework.data.walk import examples, named
from pggan_framework.errors import UserError
from pggan_framework.labels.attributes import Labels, LabelSpace
from pggan_framework.schedules.growth import Growth

FORMAT = 2
"""Part of the fingerprint; increased when a new version reads different images from the same source."""

Size = tuple[int, int]
BadFiles = Literal["skip", "error"]


@dataclass(frozen=True)
class Options:
    """The settings of image preparation.

    Args:
        size: [H, W] of the images at full depth (default: the size of all images, or with resizing the largest
            power-of-two square that enlarges no image).
        resize: how to resize images of other sizes; see `fitting.POLICIES`.
        crop: crop of each image before resizing; see `Fitting.cut`.
        filter: resampling filter.
        colour: channels of the images.
        background: colour behind transparent images and around padded images: a name such as white, or #rrggbb.
        mirror: add each image's horizontal mirror image, after the last image.
        max_images: number of images to use, starting with the first.
        seed_shape: [h, w] of the images at depth 0, if the offset does not determine it.
        depth_offset: log2 of the shorter side of the images at depth 0.
        bad_files: whether to skip and report unreadable images, or raise an error.
        max_pixels: largest image in pixels; larger images count as unreadable.
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
    bad_files: BadFiles = "skip"
    max_pixels: int = MOST_PIXELS


@dataclass(frozen=True)
class Plan:
    """The images of a source that are used, and how they are processed.

    Args:
        source: the source of the images.
        where: path of the source, for the summary.
        options: the user's options.
        fitting: processing of each image.
        growth: shapes of the images at all depths.
        chosen: indices of the used images in the source.
        headers: headers of the readable images, by index in the source.
        unreadable: reasons of the unreadable images, by index in the source.
        guessed: descriptions of guessed properties.
        fingerprint: digest of the source, its labels and the options; empty if not requested.
        shard: number of the shard and number of shards; None if this is not the plan of a shard.
    """

    source: PictureSource
    where: str
    options: Options
    fitting: Fitting
    growth: Growth
    chosen: list[int]
    headers: Mapping[int, Header]
    unreadable: dict[int, str]
    guessed: dict[str, str] = field(default_factory=dict)
    fingerprint: str = ""
    shard: tuple[int, int] | None = None

    def total(self, good: int) -> int:
        """The number of images in the file if `good` images were read."""
        return good * 2 if self.options.mirror else good

    def pixels(self, index: int, out: NDArray[np.uint8] | None = None) -> NDArray[np.uint8]:
        """Read an image of the source, uint8 [C, H, W], into `out` if given.

        Raises:
            Exception: of many types, from Pillow, if it cannot be decoded.
        """
        with self.source.read(index) as image:
            return self.fitting.pixels(image, out)

    def labels(self, chosen: list[int]) -> tuple[LabelSpace, Labels] | None:
        """The labels [len(chosen), A] of these images of the source.

        Raises:
            UserError: if an attribute has the same value everywhere.
        """
        if self.source.labels is None:
            return None
        return FileLabels(self.source.labels, self.where, self.source.continuous).collect(chosen)

    def summary(self, unreadable: Mapping[int, str]) -> dict[str, str]:
        """A summary of the images, one line per topic.

        Args:
            unreadable: reasons of all omitted images, by index in the source.
        """
        good = [index for index in self.chosen if index not in unreadable]
        options = self.options
        sizes = Counter(self.headers[index].size for index in good)
        lines = {
            "images": str(self.total(len(good))),
            "shape": "x".join(map(str, self.growth.shape)),
            "source": f"{self.source.words}, {self.where}",
            "sizes there": _by(next(iter(sizes))) if len(sizes) == 1 else f"{len(sizes)} sizes",
        }
        if options.crop is not None:
            lines["cut out"] = (
                f"{options.crop}x{options.crop} in the middle"
                if isinstance(options.crop, int)
                else "{2}x{3} from {0}, {1} (left, top)".format(*options.crop)
            )
        lines["resize"] = options.resize if options.resize == "none" else f"{options.resize}, {options.filter}"
        if options.mirror:
            lines["mirrored"] = f"{len(good)} images, and each one's mirror image"
        if (found_labels := self.labels(good)) is not None and self.source.labels is not None:
            space, labels = found_labels
            of_all = np.concatenate([labels, labels]) if options.mirror else labels
            told = FileLabels(self.source.labels, self.source.labels_from or self.where)
            lines["labels"] = told.describe(space, of_all, "images")
        lines |= self.source.described()
        changed: dict[str, list[str]] = {}
        for index in good:
            for change in self.headers[index].changes:
                changed.setdefault(change, []).append(self.source.name(index))
        lines |= {change: named(names) for change, names in sorted(changed.items())}
        lines |= self.guessed
        if unreadable:
            lines["skipped"] = f"unreadable, {named(self.names(unreadable))}"
        return lines

    def names(self, unreadable: Mapping[int, str]) -> dict[str, str]:
        """Skipped files by name, with reasons."""
        return _names(self.source, dict(sorted(unreadable.items())))

    def look(self, pixels: Callable[[int], NDArray[np.uint8]] | None = None) -> dict[str, str]:
        """Decode some images, evenly spaced; returns summary lines about constant and duplicate images.

        Args:
            pixels: function that returns the image [C, H, W] at a position in `chosen`, if the images are already in
                memory.
        """
        decode = pixels or (lambda place: self.pixels(self.chosen[place]))
        return look_at(len(self.chosen), lambda place: self.source.name(self.chosen[place]), decode)


def make_plan(
    source: PictureSource,
    where: str,
    options: Options,
    jobs: int,
    flag: str = "--",
    fingerprint: bool = True,
) -> Plan:
    """Read the headers of the images and decide how to process them.

    Args:
        source: the source of the images.
        where: path of the source, for the summary.
        options: the user's options.
        jobs: number of processes that read headers.
        flag: prefix of option names in messages.
        fingerprint: whether to compute a digest of the source, its labels and the options; otherwise it is empty.

    Raises:
        UserError: if no image can be read, the sizes do not fit, or the labels carry no information.
    """
    background = colour(options.background)
    if options.max_images is not None and options.max_images < 1:
        raise UserError(f"{flag}max_images is {options.max_images}; it must be at least 1")
    if options.max_pixels < 1:
        raise UserError(f"{flag}max_pixels is {options.max_pixels}; it must be at least 1")
    if min(options.size or (1, 1)) < 1:
        raise UserError(f"{flag}size is {_by(options.size or (0, 0))}; allowed: sides of 1 pixel or more")
    source.most_pixels = options.max_pixels
    headers, unreadable = survey_headers(source, options.max_images, jobs)
    if not headers:
        raise UserError(f"no readable image in {where}: {examples(_names(source, unreadable))}")
    if unreadable:
        check_bad(options, _names(source, unreadable), where, flag)
    cut = Fitting(options.colour, (1, 1), cut=options.crop)
    after: dict[int, Size] = {}
    for index, header in headers.items():
        try:
            left, top, right, bottom = cut.box(header.size)
        except ValueError as error:
            raise UserError(
                f"{flag}crop {_words(options.crop)} is not part of {source.name(index)}: {error}"
            ) from error
        after[index] = bottom - top, right - left
    size = _full_size(source, after, options, flag)
    channels = CHANNELS[options.colour]
    try:
        growth = Growth.of((channels, *size), options.seed_shape, options.depth_offset)
    except UserError as error:
        if options.resize != "none":
            raise
        first = source.name(next(iter(headers)))
        raise UserError(f"{first} is {_by(size)}: {error}; {flag}resize: {POLICIES}") from error
    white, guessed = guess_white(source, [index for index, header in headers.items() if header.deep])
    fitting = Fitting(options.colour, size, options.resize, background, options.filter, options.crop, white)
    plan = Plan(source, where, options, fitting, growth, list(headers), headers, unreadable, guessed)
    plan.labels(plan.chosen)  # raises an error if they cannot be used
    return replace(plan, fingerprint=fingerprint_of(plan)) if fingerprint else plan


def fingerprint_of(plan: Plan) -> str:
    """A digest of all bytes of the source, of its labels and of the processing of the images."""
    # `chosen` reflects the options that only determine which images are used.
    options = {name: value for name, value in asdict(plan.options).items() if name not in ("bad_files", "max_pixels")}
    digest = hashlib.sha256(f"{FORMAT} {sorted(options.items())} {plan.fitting.white}\n".encode())
    digest.update(plan.source.identity())
    digest.update(json.dumps([plan.source.labels, plan.source.continuous, plan.chosen]).encode())
    return digest.hexdigest()[:16]


def check_bad(options: Options, bad: Mapping[str, str], where: str, flag: str = "--") -> None:
    """Raise an error about unreadable images if `bad_files` is error.

    Args:
        options: the user's options.
        bad: names of the unreadable images, and the reasons.
        where: path of the source, for the message.
        flag: prefix of option names in messages.

    Raises:
        UserError: if there are unreadable images and `bad_files` is error.
    """
    if options.bad_files == "error" and bad:
        name, why = next(iter(bad.items()))
        more = f", nor can {len(bad) - 1} more" if len(bad) > 1 else ""
        raise UserError(
            f"{name} in {where} cannot be read: {why}{more}; repair or remove it, or set {flag}bad_files to skip"
        )


def _full_size(source: PictureSource, sizes: dict[int, Size], options: Options, flag: str) -> Size:
    """[H, W] of the images at full depth; `sizes` are the sizes after cropping."""
    if options.resize != "none":
        shortest = min(map(min, sizes.values()))
        side = 1 << (shortest.bit_length() - 1)
        return options.size or (side, side)
    first, common = next(iter(sizes.items()))
    wanted = options.size or common
    for index, size in sizes.items():
        if size != wanted:
            other = f"{flag}size is" if options.size else f"{source.name(first)} is"
            raise UserError(
                f"{source.name(index)} is {_by(size)}, {other} {_by(wanted)}; with {flag}resize none all images have"
                f" one size; other policies: {POLICIES}"
            )
    return wanted


def _names(source: PictureSource, unreadable: Mapping[int, str]) -> dict[str, str]:
    return {source.name(index): why for index, why in unreadable.items()}


def _by(size: Size) -> str:
    return f"{size[0]}x{size[1]}"


def _words(crop: Any) -> str:
    return str(crop) if isinstance(crop, int) else " ".join(map(str, crop))
