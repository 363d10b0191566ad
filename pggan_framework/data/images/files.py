"""Files of pictures: which are taken for one, their sizes, which way up they are, whether they are whole."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pggan_framework.errors import UserError

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = frozenset(
    [".bmp", ".gif", ".jfif", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".pnm", ".ppm", ".tga", ".tif", ".tiff", ".webp"]
)
"""Files with other endings are not looked at."""

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

# How a file of each kind ends when it is whole.
ENDINGS = {"PNG": b"IEND\xaeB`\x82", "JPEG": b"\xff\xd9", "GIF": b";"}
TAIL = 64
"""Bytes at the end of a file that are looked at."""


def header_size(file: Path) -> tuple[int, int]:
    """[H, W] of an upright picture, from its header; only a file that may be truncated is decoded.

    Raises:
        OSError: if it is no picture or is truncated.
        ValueError: if it is a kind of picture without a defined range.
    """
    from PIL import Image

    with Image.open(file) as image:
        if image.mode == "F":
            raise ValueError("32-bit float")
        width, height = image.size
        # A TIFF's size is already that of the upright picture.
        turned = image.format != "TIFF" and orientation(image) >= 5
        if not _looks_whole(file, image.format or ""):
            image.load()
    return (width, height) if turned else (height, width)


def orientation(image: Image) -> int:
    """EXIF orientation, 1 to 8; 1 is upright."""
    # Pillow would decode a PNG whose header has none, to look behind the pixels.
    if image.format == "PNG" and not {"exif", "Raw profile type exif"} & image.info.keys():
        return 1
    return int(image.getexif().get(0x0112, 1))


def upright(image: Image) -> Image:
    """The picture as its EXIF orientation says it should be looked at."""
    from PIL import Image as pillow

    # Pillow turns a TIFF itself when it is loaded.
    name = UPRIGHT.get(orientation(image)) if image.format != "TIFF" else None
    return image.transpose(pillow.Transpose[name]) if name else image


def _looks_whole(file: Path, kind: str) -> bool:
    if kind == "WEBP":
        with file.open("rb") as stream:
            return int.from_bytes(stream.read(8)[4:], "little") + 8 <= file.stat().st_size
    return kind in ENDINGS and ENDINGS[kind] in tail(file)


def tail(file: Path) -> bytes:
    """The last bytes of a file."""
    with file.open("rb") as stream:
        stream.seek(0, 2)
        stream.seek(max(0, stream.tell() - TAIL))
        return stream.read()


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
    text = str(error) or type(error).__name__
    return "no picture" if "cannot identify" in text else text
