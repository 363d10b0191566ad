"""Whatever is wrong with a zip, each of its readers names the file in one line."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from pggan_framework.data.sources.opening import open_source
from pggan_framework.errors import UserError
from pggan_framework.generate.latents import read_latents
from pggan_framework.models.importing.torch_files import read_torch_file
from pggan_framework.recipes.musicxml import read_score
from pggan_framework.storage.zips import verify_zip

# The members that the readers look for.
MEMBERS = (
    *("META-INF/container.xml", "latents.npy", "archive/data.pkl", "img_align_celeba/1.jpg", "list_attr_celeba.txt"),
    *("dataset.json", "0.png"),
)
LOCAL, CENTRAL = b"PK\x03\x04", b"PK\x01\x02"


def numbers(data: bytearray, local: int, central: int, value: int) -> None:
    """Write a 16-bit number into each member's local header and directory entry, at these offsets."""
    for magic, offset in ((LOCAL, local), (CENTRAL, central)):
        at = data.find(magic)
        while at >= 0:
            struct.pack_into("<H", data, at + offset, value)
            at = data.find(magic, at + 4)


DAMAGE: dict[str, Callable[[bytearray], None]] = {
    "a version of the format that does not exist": lambda data: numbers(data, 4, 6, 251),
    "an encrypted member": lambda data: numbers(data, 6, 8, 1),
    "an unknown compression": lambda data: numbers(data, 8, 10, 77),
    "content that is not deflated": lambda data: numbers(data, 8, 10, zipfile.ZIP_DEFLATED),
    "content that is not LZMA": lambda data: numbers(data, 8, 10, zipfile.ZIP_LZMA),
    "another checksum": lambda data: numbers(data, 14, 16, 0xABCD),
    "a missing end": lambda data: data.__delitem__(slice(len(data) - 30, None)),
}
READERS: dict[str, Callable[[Path], object]] = {
    "checkpoint": verify_zip,
    "imported weights": lambda path: read_torch_file(path, lambda *_: False),
    "latents": read_latents,
    "score": read_score,
    "images": lambda path: open_source(path).read(0),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_zip_is_one_line(damage: str, reader: str, tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in MEMBERS:
            archive.writestr(name, b"<a>" * 40)
    data = bytearray(path.read_bytes())
    DAMAGE[damage](data)
    path.write_bytes(data)
    with pytest.raises(UserError):
        READERS[reader](path)
