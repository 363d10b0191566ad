"""Writes the files of other tools, byte by byte, as their formats say: data for the tests of what reads them."""

from __future__ import annotations

import gzip
import io
import json
import struct
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


def crc_by_definition(data: bytes) -> int:
    """CRC-32C: the remainder of division by the polynomial, a bit at a time, lowest bit first (RFC 3720, 12.1)."""
    register = 0xFFFFFFFF
    for byte in data:
        for bit in range(8):
            carry = (register ^ byte >> bit) & 1
            register = register >> 1 ^ (0x82F63B78 if carry else 0)
    return register ^ 0xFFFFFFFF


def checksum(data: bytes) -> bytes:
    """As a TFRecord has it."""
    crc = crc_by_definition(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17 & 0xFFFFFFFF) + 0xA282EAD8) % 2**32)


def record(data: bytes) -> bytes:
    """A TFRecord."""
    length = struct.pack("<Q", len(data))
    return length + checksum(length) + data + checksum(data)


def varint(number: int) -> bytes:
    """An integer of Protocol Buffers."""
    return bytes([number]) if number < 128 else bytes([number % 128 + 128]) + varint(number // 128)


def field(number: int, content: bytes) -> bytes:
    """A field of bytes of Protocol Buffers."""
    return bytes([number << 3 | 2]) + varint(len(content)) + content


def example(shape: tuple[int, ...], data: bytes, packed: bool = True) -> bytes:
    """``Example`` with the features of the PGGAN tool; unpacked integers are tags with one number each."""
    numbers = b"".join(map(varint, shape))
    integers = field(1, numbers) if packed else b"".join(b"\x08" + varint(side) for side in shape)
    features = {"shape": field(3, integers), "data": field(1, field(1, data))}
    entries = [field(1, field(1, name.encode()) + field(2, feature)) for name, feature in features.items()]
    return field(1, b"".join(entries))


def write_tfrecords(path: Path, pictures: np.ndarray) -> None:
    """Images [N, C, H, W] as the PGGAN tool has them."""
    path.write_bytes(b"".join(record(example(picture.shape, picture.tobytes())) for picture in pictures))


def write_idx(
    folder: Path, stem: str, pictures: np.ndarray, classes: Sequence[int], ends: tuple[str, str] = (".gz", ".gz")
) -> None:
    """Images [N, H, W] and their classes as MNIST has them; compressed where the ending is ``.gz``."""
    contents = [
        struct.pack(">HBB3I", 0, 8, 3, *pictures.shape) + pictures.tobytes(),
        struct.pack(">HBBI", 0, 8, 1, len(classes)) + bytes(classes),
    ]
    for content, kind, end in zip(contents, ("images-idx3", "labels-idx1"), ends, strict=True):
        (folder / f"{stem}-{kind}-ubyte{end}").write_bytes(gzip.compress(content) if end else content)


def python2(value: Any) -> bytes:
    """A part of a pickle whose texts and bytes are Python 2's strings, as those of CIFAR are: protocol 2, opcode T."""
    if isinstance(value, dict):
        return b"}(" + b"".join(python2(key) + python2(item) for key, item in value.items()) + b"u"
    if isinstance(value, list):
        return b"](" + b"".join(map(python2, value)) + b"e"
    if isinstance(value, int):
        return b"J" + value.to_bytes(4, "little", signed=True)
    if isinstance(value, str | bytes):
        text = value.encode() if isinstance(value, str) else value
        return b"T" + len(text).to_bytes(4, "little") + text
    assert isinstance(value, np.ndarray)
    kind = b"cnumpy\ndtype\n" + python2("u1") + b"K\x00K\x01\x87R"
    kind += b"(K\x03" + python2("|") + b"NNN" + python2(-1) + python2(-1) + b"K\x00tb"
    shape = b"(" + b"".join(map(python2, value.shape)) + b"t"
    empty = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n(K\x00t" + python2("b") + b"\x87R"
    return empty + b"(K\x01" + shape + kind + b"\x89" + python2(value.tobytes()) + b"tb"


def pickle2(value: Any) -> bytes:
    """A whole pickle of `python2`."""
    return b"\x80\x02" + python2(value) + b"."


def pack(path: Path, folder: str, content: dict[str, bytes]) -> Path:
    """Files in a folder, as a tar.gz."""
    with tarfile.open(path, "w:gz") as archive:
        for name, data in content.items():
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def png(pixels: np.ndarray) -> bytes:
    """A PNG file."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def stylegan(names: Sequence[str], pictures: np.ndarray, labels: Any) -> dict[str, bytes]:
    """The files of StyleGAN2-ADA's tool: images [N, H, W, 3], and dataset.json of `labels`, or of that text."""
    content = {name: png(pixels) for name, pixels in zip(names, pictures, strict=True)}
    content["dataset.json"] = (labels if isinstance(labels, str) else json.dumps({"labels": labels})).encode()
    return content


def write_zip(path: Path, content: dict[str, bytes]) -> Path:
    """Files in a zip."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return path
