"""The common kind of PNG, RGB in 8 bit, decoded faster than Pillow does: it is unpacked in one go.

Whatever is not that (palettes, transparency, 16 bit, interlacing, an orientation, anything damaged) is left to Pillow.
PNG is lossless, so that the pixels are the same either way. Sections are those of the PNG Specification, Third Edition.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

SIGNATURE = b"\x89PNG\r\n\x1a\n"
HARMLESS = {b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"sBIT", b"bKGD", b"pHYs", b"tIME", b"tEXt", b"zTXt", b"iTXt", b"hIST"}
"""Chunks beside the pixels that change none of them, as Pillow reads it too."""
ORIENTED = b"Raw profile type exif"
"""A text chunk of this name may say which way up the picture is."""
LARGEST = 1 << 26
"""Pixels beyond which it is Pillow that decides whether it is too many."""


def decode(
    content: bytes, out: NDArray[np.uint8], unfilter: Callable[[NDArray[np.uint8], NDArray[np.uint8]], None]
) -> bool:
    """Decode a file into `out`, uint8 [C, H, W]; False, and nothing done, if it is no plain PNG or of another shape.

    Args:
        content: the file.
        out: where the pixels go; of the shape that is expected.
        unfilter: `pixel_loops.Loops.unfilter`.
    """
    channels, height, width = out.shape
    if not content.startswith(SIGNATURE) or height * width > LARGEST:
        return False
    # IHDR (11.2.1): its length and name, the sides, bits, colour type, the only methods there are, not interlaced.
    header = b"\0\0\0\x0dIHDR" + width.to_bytes(4, "big") + height.to_bytes(4, "big") + b"\x08\x02\0\0\0"
    if channels != 3 or content[8:29] != header:
        return False
    packed = _packed(content)
    length = (3 * width + 1) * height
    if packed is None:
        return False
    try:
        # No more than is due, whatever has been packed; the checksum is looked at when the end is reached.
        unpacking = zlib.decompressobj()
        lines = unpacking.decompress(packed, length + 1)
    except zlib.error:
        return False
    filters = np.frombuffer(lines, np.uint8)
    if len(lines) != length or not unpacking.eof or filters[:: 3 * width + 1].max() > 4:
        return False
    unfilter(filters, out)
    return True


def _packed(content: bytes) -> bytes | None:
    """The contents of the chunks of pixels; None if there is a chunk that matters beside them, or no end."""
    parts: list[bytes] = []
    at = 33
    while at + 12 <= len(content):
        kind, start = content[at + 4 : at + 8], at + 8
        at = start + _int(content[at : at + 4]) + 4
        if kind == b"IDAT":
            parts.append(content[start : at - 4])
        elif kind == b"IEND":
            return b"".join(parts)
        elif kind not in HARMLESS or content.startswith(ORIENTED, start):
            return None
    return None


def _int(big_endian: bytes) -> int:
    return int.from_bytes(big_endian, "big")
