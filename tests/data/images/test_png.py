"""Decoding plain PNGs, and looking at headers, beside Pillow."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin

from pggan_framework.data.images.files import header_size
from pggan_framework.data.images.headers import HEAD, plain_size
from pggan_framework.data.images.pixel_loops import loops
from pggan_framework.data.images.png import decode

RANDOM = np.random.default_rng(0)


def unpacked(content: bytes, height: int = 8, width: int = 12) -> NDArray[np.uint8] | None:
    compiled = loops()
    assert compiled is not None
    pixels = np.full((3, height, width), 7, np.uint8)
    return pixels if decode(content, pixels, compiled.unfilter) else None


def picture(mode: str = "RGB", height: int = 8, width: int = 12) -> Image.Image:
    channels = len(mode) if mode != "P" else 1
    pixels = RANDOM.integers(0, 256, (height, width, channels), dtype=np.uint8)
    return Image.fromarray(pixels if channels > 1 else pixels[..., 0])


def saved(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=kind, **options)
    return buffer.getvalue()


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(lines: bytes, height: int, width: int, more: bytes = b"", interlaced: int = 0) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, interlaced)
    packed = zlib.compress(lines)
    parts = chunk(b"IDAT", packed[:7]) + chunk(b"IDAT", packed[7:])
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + more + parts + chunk(b"IEND", b"")


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**31), st.integers(1, 9), st.integers(1, 9))
def test_every_filter_is_undone_as_pillow_does(seed: int, height: int, width: int) -> None:
    random = np.random.default_rng(seed)
    lines = random.integers(0, 256, (height, 1 + 3 * width), dtype=np.uint8)
    lines[:, 0] = random.integers(0, 5, height)
    content = png(lines.tobytes(), height, width)
    expected = np.asarray(Image.open(io.BytesIO(content))).transpose(2, 0, 1)
    np.testing.assert_array_equal(unpacked(content, height, width), expected)


@pytest.mark.parametrize("level", [0, 1, 9])
def test_what_pillow_writes(level: int) -> None:
    image = picture(height=40, width=24)
    content = saved(image, compress_level=level, dpi=(72, 72))
    np.testing.assert_array_equal(unpacked(content, 40, 24), np.asarray(image).transpose(2, 0, 1))


def test_what_is_not_plain_is_left_to_pillow() -> None:
    text = PngImagePlugin.PngInfo()
    text.add_text("Raw profile type exif", "\nexif\n 0\n")
    exif = Image.Exif()
    exif[0x0112] = 6
    good = saved(picture())
    others = {
        "grey": saved(picture("L")),
        "transparent": saved(picture("RGBA")),
        "palette": saved(picture().convert("P")),
        "another size": saved(picture(width=13)),
        "a colour that is transparent": saved(picture(), transparency=(1, 2, 3)),
        "an orientation": saved(picture(), exif=exif),
        "an orientation in a text": saved(picture(), pnginfo=text),
        "a JPEG": saved(picture(), "JPEG"),
        "cut short": good[:-20],
        "without its end": good[:-12],
        "a wrong checksum of the pixels": good.replace(good[-20:-16], bytes(4)),
        "a filter there is not": png((b"\x05" + bytes(36)) * 8, 8, 12),
        "more pixels than are due": png((b"\x00" + bytes(36)) * 9, 8, 12),
        "fewer pixels than are due": png((b"\x00" + bytes(36)) * 7, 8, 12),
        "interlaced": png((b"\x00" + bytes(36)) * 8, 8, 12, interlaced=1),
        "nothing": b"",
    }
    assert unpacked(good) is not None
    assert {name for name, content in others.items() if unpacked(content) is not None} == set()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
@pytest.mark.parametrize("tag", [None, 1, 6])
def test_sizes_are_those_of_the_real_reader_or_none(tmp_path: Path, kind: str, tag: int | None) -> None:
    exif = Image.Exif()
    if tag is not None:
        exif[0x0112] = tag
    content = saved(picture(height=16, width=40), kind, **({"exif": exif} if tag is not None else {}))
    (tmp_path / "a").write_bytes(content)
    known = kind in ("PNG", "JPEG") and tag is None
    assert plain_size(content[:HEAD]) == (header_size(tmp_path / "a") if known else None)


def test_sizes_of_odd_beginnings() -> None:
    progressive = saved(picture(height=16, width=40), "JPEG", progressive=True, comment=b"x" * 300)
    assert plain_size(progressive) == (16, 40)
    for broken in (b"", b"\xff\xd8\xff", progressive[:200], saved(picture())[:30], b"\xff\xd8\xff\xe0" + bytes(100)):
        assert plain_size(broken) is None
