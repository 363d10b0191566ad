"""Image files: endings, headers, orientation, colour profiles, whether they are complete."""

from __future__ import annotations

import io
from functools import lru_cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pggan_framework.errors import UserError

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = frozenset(
    [
        *(".apng", ".avif", ".bmp", ".gif", ".j2k", ".jfif", ".jp2", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".pnm"),
        *(".ppm", ".tga", ".tif", ".tiff", ".webp"),
    ]
)
"""Files with other endings are counted and named, and not opened."""
FORMATS = frozenset(["AVIF", "BMP", "DIB", "GIF", "JPEG", "JPEG2000", "MPO", "PNG", "PPM", "TGA", "TIFF", "WEBP"])
"""Pillow's names of their formats. It reads more, whatever a file is called: PSD, EPS, textures of games."""
MOST_PIXELS = 89_478_485
"""Pixels of the largest image that is decoded by default: where Pillow warns of more. It takes up to 7 bytes each."""

# What undoes each EXIF orientation: names of PIL.Image.Transpose.
UPRIGHT = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}

# How a file of each kind ends when it is complete.
ENDINGS = {"PNG": b"IEND\xaeB`\x82", "JPEG": b"\xff\xd9", "GIF": b"\0;"}
TAIL = 64
"""Bytes at the end of a file that are searched for its ending."""
FOUND_INSTEAD = {
    b"version https://git-lfs": "a Git LFS pointer instead of the image; run: git lfs pull",
    b"<!doctype": "an HTML page",
    b"<html": "an HTML page",
    b"<svg": "SVG, which is not pixels",
    b"<?xml": "XML",
    b"%pdf": "a PDF",
    b"pk\x03\x04": "a zip",
    b"\x1f\x8b": "packed by gzip",
    b"riff": "RIFF, but no WebP",
}
"""How files begin (in lower case) that have the ending of an image and are none."""
BRANDS = {b"heic": "HEIC", b"heix": "HEIC", b"mif1": "HEIC", b"hevc": "HEIC", b"avif": "AVIF", b"avis": "AVIF"}
"""Kinds of ISO media files, by bytes 8 to 11."""
CMS_MODES = {"RGB": "RGB", "RGBA": "RGB", "L": "GRAY", "CMYK": "CMYK"}
"""Colour space that a profile must have to be valid for an image's mode."""


class Header(NamedTuple):
    """What is known of an image before it is decoded.

    Args:
        size: [H, W] of the upright image.
        deep: whether its pixels are integers of more than 8 bit, of a range that the file does not state.
        changes: what reading it will change, in words.
    """

    size: tuple[int, int]
    deep: bool = False
    changes: tuple[str, ...] = ()


def open_image(file: str | Path | IO[bytes], most: int = MOST_PIXELS) -> Image:
    """Open an image, which is decoded when it is first used.

    Args:
        file: its path, or a stream that can seek.
        most: pixels that it may have.

    Raises:
        OSError: if it cannot be read.
        ValueError: if it is not an image, or has more pixels.
    """
    from PIL import Image, UnidentifiedImageError

    # Pillow refuses only what has twice as many; the exact limit is checked here.
    if (Image.MAX_IMAGE_PIXELS or 0) < most:
        Image.MAX_IMAGE_PIXELS = most
    try:
        image = Image.open(file, formats=_formats())
    except UnidentifiedImageError as error:
        raise ValueError(_instead(file)) from error
    except Image.DecompressionBombError as error:
        raise ValueError(f"more than {most:,} pixels; max_pixels allows more") from error
    width, height = image.size
    if width * height > most:
        image.close()
        raise ValueError(f"{height}x{width} is more than {most:,} pixels; max_pixels allows more")
    return image


@lru_cache(maxsize=1)
def _formats() -> list[str]:
    """Those of `FORMATS` that this build of Pillow reads, in the order in which it tries them."""
    from PIL import Image

    Image.init()
    return [name for name in Image.ID if name in FORMATS]


def read_header(image: Image) -> Header:
    """What is known of an opened image; one is decoded only if it may be truncated.

    Raises:
        OSError: if it is truncated.
        ValueError: if its pixels have no defined range.
    """
    if image.mode == "F":
        raise ValueError("32-bit float, whose range is not defined")
    width, height = image.size
    turn = orientation(image)
    changes = []
    if turn != 1:
        changes.append("turned upright as EXIF says")
    if (profile := image.info.get("icc_profile")) and (name := profile_name(profile, image.mode)):
        changes.append(f"converted to sRGB from {name}")
    # A multi-image JPEG (MPO) is a photograph with a preview, no animation.
    if image.format != "MPO" and getattr(image, "is_animated", False):
        changes.append("first frame of several used")
    deep = image.mode.startswith("I")
    if deep:
        changes.append("grey of more than 8 bit scaled to 8 bit")
    unknown = deep and white_level(image) is None
    if not _looks_whole(image):
        image.load()
    # A TIFF's size is already that of the upright image.
    turned = image.format not in (None, "TIFF") and turn >= 5
    return Header((width, height) if turned else (height, width), unknown, tuple(changes))


def header_size(file: Path) -> tuple[int, int]:
    """[H, W] of the upright image in a file; errors as of `open_image` and `read_header`."""
    with open_image(file) as image:
        return read_header(image).size


def white_level(image: Image) -> int | None:
    """The level of white of an integer grey image, where its format or its tags state it."""
    if image.format != "TIFF":
        return 65535  # PNG, PGM and JPEG 2000 fill the range
    tags: Any = image.tag_v2  # type: ignore[attr-defined]
    bits = (tags.get(258) or (16,))[0]
    if 281 in tags:  # MaxSampleValue
        highest = tags[281]
        return int(highest[0] if isinstance(highest, tuple) else highest)
    return (1 << bits) - 1 if bits < 16 else None


def grey_levels(image: Image) -> NDArray[np.int64]:
    """The pixels [H, W] of an integer grey image; 0 is black."""
    levels = np.asarray(image)
    tags: Any = getattr(image, "tag_v2", {})
    if levels.dtype == np.int32 and image.format == "TIFF" and tags.get(339, (1,))[0] == 1:
        levels = levels.view(np.uint32)  # Pillow has no unsigned kind of 32 bit
    levels = levels.astype(np.int64)
    if tags.get(262) == 0:  # PhotometricInterpretation: 0 is white
        levels = (white_level(image) or int(levels.max())) - levels
    return levels


def orientation(image: Image) -> int:
    """EXIF orientation, 1 to 8; 1 is upright."""
    # Pillow would decode a PNG whose header has none, to look behind the pixels.
    if image.format == "PNG" and not {"exif", "Raw profile type exif"} & image.info.keys():
        return 1
    turn = image.getexif().get(0x0112, 1)
    return turn if turn in UPRIGHT else 1


def upright(image: Image) -> Image:
    """The image as its EXIF orientation says it should be looked at."""
    from PIL import Image as pillow

    # Pillow turns a TIFF itself when it is loaded.
    name = UPRIGHT.get(orientation(image)) if image.format != "TIFF" else None
    return image.transpose(pillow.Transpose[name]) if name else image


def to_srgb(image: Image) -> Image:
    """An image with a colour profile (ICC) in sRGB; one without, or in sRGB already, unchanged."""
    from PIL import ImageCms

    profile = image.info.get("icc_profile")
    if not profile:
        return image
    if image.mode == "P":
        # Colours of a palette are those of RGB.
        image = image.convert("RGBA" if "transparency" in image.info else "RGB")
    transform = _transform(profile, image.mode)
    converted = transform and ImageCms.applyTransform(image, transform)
    if converted is None:
        return image
    converted.info.pop("icc_profile", None)
    return converted


def profile_name(profile: bytes, mode: str) -> str | None:
    """What a colour profile is called; None where it changes nothing: it is sRGB, damaged, or of other colours."""
    return _profile(profile, "RGB" if mode == "P" else mode)[0]


@lru_cache(64)
def _transform(profile: bytes, mode: str) -> Any:
    """What converts images of `mode` to sRGB; None where nothing is to be converted."""
    from PIL import ImageCms

    name, opened = _profile(profile, mode)
    if name is None:
        return None
    out = "RGBA" if mode == "RGBA" else "RGB"
    return ImageCms.buildTransform(
        opened, ImageCms.createProfile("sRGB"), mode, out, ImageCms.Intent.RELATIVE_COLORIMETRIC
    )


@lru_cache(64)
def _profile(profile: bytes, mode: str) -> tuple[str | None, Any]:
    from PIL import ImageCms

    try:
        opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        name = ImageCms.getProfileDescription(opened).strip() or "a profile without a name"
    except (OSError, ImageCms.PyCMSError):
        return None, None
    if opened.profile.xcolor_space.strip() != CMS_MODES.get(mode) or "srgb" in name.lower():
        return None, None
    return name, opened


def _looks_whole(image: Image) -> bool:
    """Whether a file ends as one of its kind does; False where that is not known."""
    stream, kind = image.fp, image.format or ""  # type: ignore[attr-defined]
    if stream is None or kind not in (*ENDINGS, "WEBP"):
        return False
    place = stream.tell()
    try:
        length = stream.seek(0, io.SEEK_END)
        if kind == "WEBP":
            stream.seek(4)
            return bool(int.from_bytes(stream.read(4), "little") + 8 <= length)
        stream.seek(max(0, length - TAIL))
        ends: bool = ENDINGS[kind] in stream.read()
        return ends
    finally:
        stream.seek(place)


def _instead(file: str | Path | IO[bytes]) -> str:
    """What a file is that is not an image."""
    if isinstance(file, str | Path):
        with open(file, "rb") as stream:
            head = stream.read(64)
    else:
        file.seek(0)
        head = file.read(64)
    if not head:
        return "an empty file"
    for start, words in FOUND_INSTEAD.items():
        if head.lstrip().lower().startswith(start):
            return words
    if head[4:8] == b"ftyp" and head[8:12] in BRANDS:
        return f"{BRANDS[head[8:12]]}, which this Pillow does not read; convert it to png or jpg"
    return "no image, or damaged at its beginning"


def colour(name: str) -> tuple[int, int, int]:
    """Red, green and blue, 0 to 255, of a colour's name or ``#rrggbb``.

    Raises:
        UserError: if there is no such colour.
    """
    from PIL import ImageColor

    try:
        red, green, blue = ImageColor.getrgb(name)[:3]
    except ValueError as error:
        raise UserError(f"unknown background colour '{name}'; allowed: a name such as white, or #rrggbb") from error
    return red, green, blue


def reason(error: Exception) -> str:
    """Why a file cannot be read, in a few words, without its path."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(text.split())
