"""Image files: extensions, headers, orientation, colour profiles, completeness."""

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
"""Files with other extensions are counted and named, but not opened."""
FORMATS = frozenset(["AVIF", "BMP", "DIB", "GIF", "JPEG", "JPEG2000", "MPO", "PNG", "PPM", "TGA", "TIFF", "WEBP"])
"""Pillow's names of these formats. Pillow detects formats by content, and could also read PSD, EPS or game textures."""
MOST_PIXELS = 89_478_485
"""Default limit on an image's pixels; Pillow warns above the same limit. Decoding needs up to 7 bytes per pixel."""

# The PIL.Image.Transpose that undoes each EXIF orientation.
UPRIGHT = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}

# The bytes that end a complete file of each format.
ENDINGS = {"PNG": b"IEND\xaeB`\x82", "JPEG": b"\xff\xd9", "GIF": b"\0;"}
TAIL, PNG_TAIL = 64, 4096
"""Bytes at the end of a file that are searched for its ending, and for a PNG's orientation after the pixels."""
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
"""First bytes (in lower case) of files that have an image extension but are not images."""
BRANDS = {b"heic": "HEIC", b"heix": "HEIC", b"mif1": "HEIC", b"hevc": "HEIC", b"avif": "AVIF", b"avis": "AVIF"}
"""Kinds of ISO media files, by bytes 8 to 11."""
CMS_MODES = {"RGB": "RGB", "RGBA": "RGB", "L": "GRAY", "CMYK": "CMYK"}
"""The colour space that a profile must have to be valid for each image mode."""


class Header(NamedTuple):
    """The properties of an image that are known before decoding.

    Args:
        size: [H, W] of the upright image.
        deep: True for integer pixels of more than 8 bit whose range the file does not specify.
        changes: descriptions of what reading changes.
    """

    size: tuple[int, int]
    deep: bool = False
    changes: tuple[str, ...] = ()


def open_image(file: str | Path | IO[bytes], most: int = MOST_PIXELS) -> Image:
    """Open an image; it is decoded at its first use.

    Args:
        file: a path, or a seekable stream.
        most: largest number of pixels.

    Raises:
        OSError: if the file cannot be read.
        ValueError: if the file is not an image, or has more than `most` pixels.
    """
    from PIL import Image, UnidentifiedImageError

    # Pillow only rejects images of more than twice its limit; the exact limit is checked here.
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
    """The `FORMATS` that this build of Pillow reads, in the order in which Pillow tries them."""
    from PIL import Image

    Image.init()
    return [name for name in Image.ID if name in FORMATS]


def read_header(image: Image) -> Header:
    """Read the properties of an opened image, which is decoded only if it may be truncated.

    Raises:
        OSError: if the image is truncated.
        ValueError: if the pixels have no defined range.
    """
    if image.mode == "F":
        raise ValueError("32-bit float, whose range is not defined")
    width, height = image.size
    whole, late = _end_of(image)
    if late:
        image.load()
    turn = orientation(image)
    changes = []
    if turn != 1:
        changes.append("turned upright as EXIF says")
    if (profile := image.info.get("icc_profile")) and (name := profile_name(profile, image.mode)):
        changes.append(f"converted to sRGB from {name}")
    # A multi-image JPEG (MPO) is a photograph with a preview, not an animation.
    if image.format != "MPO" and getattr(image, "is_animated", False):
        changes.append("first frame of several used")
    deep = image.mode.startswith("I")
    if deep:
        changes.append("grey of more than 8 bit scaled to 8 bit")
    unknown = deep and white_level(image) is None
    if not whole:
        image.load()
    # The size of a TIFF is already the size of the upright image.
    turned = image.format not in (None, "TIFF") and turn >= 5
    return Header((width, height) if turned else (height, width), unknown, tuple(changes))


def header_size(file: Path) -> tuple[int, int]:
    """[H, W] of the upright image in a file; raises the errors of `open_image` and `read_header`."""
    with open_image(file) as image:
        return read_header(image).size


def white_level(image: Image) -> int | None:
    """The white level of an integer grey image, if its format or tags specify it."""
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
        levels = levels.view(np.uint32)  # Pillow has no unsigned 32-bit mode
    levels = levels.astype(np.int64)
    if tags.get(262) == 0:  # PhotometricInterpretation: 0 is white
        levels = (white_level(image) or int(levels.max())) - levels
    return levels


def orientation(image: Image) -> int:
    """EXIF orientation, 1 to 8; 1 is upright."""
    # Without this check, Pillow decodes a PNG whose header has no EXIF data, to search for them after the pixels.
    if image.format == "PNG" and not {"exif", "Raw profile type exif"} & image.info.keys():
        return 1
    turn = image.getexif().get(0x0112, 1)
    return turn if turn in UPRIGHT else 1


def upright(image: Image) -> Image:
    """Apply the EXIF orientation."""
    from PIL import Image as pillow

    # Pillow applies the orientation of a TIFF when loading it.
    name = UPRIGHT.get(orientation(image)) if image.format != "TIFF" else None
    return image.transpose(pillow.Transpose[name]) if name else image


def to_srgb(image: Image) -> Image:
    """Convert an image with a colour profile (ICC) to sRGB; an image in sRGB or without a profile is unchanged."""
    from PIL import ImageCms

    profile = image.info.get("icc_profile")
    if not profile:
        return image
    if image.mode == "P":
        # The colours of a palette are RGB.
        image = image.convert("RGBA" if "transparency" in image.info else "RGB")
    transform = _transform(profile, image.mode)
    converted = transform and ImageCms.applyTransform(image, transform)
    if converted is None:
        return image
    converted.info.pop("icc_profile", None)
    return converted


def profile_name(profile: bytes, mode: str) -> str | None:
    """The name of a colour profile; None if it has no effect: sRGB, damaged, or for another colour space."""
    return _profile(profile, "RGB" if mode == "P" else mode)[0]


@lru_cache(64)
def _transform(profile: bytes, mode: str) -> Any:
    """The conversion of images of `mode` to sRGB; None if none is needed."""
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


def _end_of(image: Image) -> tuple[bool, bool]:
    """Check whether a file ends like a complete file of its format, and whether EXIF data may follow its pixels.

    Both are False if unknown.
    """
    stream, kind = image.fp, image.format or ""  # type: ignore[attr-defined]
    if stream is None or kind not in (*ENDINGS, "WEBP"):
        return False, False
    place = stream.tell()
    try:
        length = stream.seek(0, io.SEEK_END)
        if kind == "WEBP":
            stream.seek(4)
            return bool(int.from_bytes(stream.read(4), "little") + 8 <= length), False
        stream.seek(max(0, length - (PNG_TAIL if kind == "PNG" else TAIL)))
        tail = stream.read()
        return ENDINGS[kind] in tail[-TAIL:], kind == "PNG" and b"eXIf" in tail and "exif" not in image.info
    finally:
        stream.seek(place)


def _instead(file: str | Path | IO[bytes]) -> str:
    """The actual kind of a file that is not an image."""
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
        UserError: if no colour has this name.
    """
    from PIL import ImageColor

    try:
        red, green, blue = ImageColor.getrgb(name)[:3]
    except ValueError as error:
        raise UserError(f"unknown background colour '{name}'; allowed: a name such as white, or #rrggbb") from error
    return red, green, blue


def reason(error: Exception) -> str:
    """The reason why a file cannot be read, in a few words, without its path."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(text.split())
