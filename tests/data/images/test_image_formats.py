"""Only the formats whose endings are read are decoded, whatever a file's ending says."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from PIL import Image

from pggan_framework.data.images.files import FORMATS, SUFFIXES, open_image


def _photoshop(path: Path) -> None:
    header = b"8BPS" + struct.pack(">H6xHIIHH", 1, 3, 4, 4, 8, 3)
    path.write_bytes(header + struct.pack(">IIIH", 0, 0, 0, 0) + bytes(48))
    with Image.open(path) as image:
        assert (image.format, image.size) == ("PSD", (4, 4))


@pytest.mark.parametrize("kind", ["DDS", "EPS", "ICO", "IM", "PCX", "PSD", "SGI"])
def test_a_format_that_nobody_asked_for_is_not_decoded(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.png"
    _photoshop(path) if kind == "PSD" else Image.new("RGB", (16, 16)).save(path, kind)
    with pytest.raises(ValueError, match=r"\w"):
        open_image(path)


@pytest.mark.parametrize("ending", sorted(SUFFIXES))
def test_every_ending_has_its_format(tmp_path: Path, ending: str) -> None:
    Image.init()
    kind = Image.registered_extensions().get(ending)
    if kind is None:
        pytest.skip("this build of Pillow does not have it")
    assert kind in FORMATS
    Image.new("L" if ending in (".pbm", ".pgm") else "RGB", (16, 16)).save(path := tmp_path / f"a{ending}")
    open_image(path).load()
