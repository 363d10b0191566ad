"""A bit that flips in a prepared file is noticed or harmless; files that lead elsewhere, or are, are refused."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from pggan_framework.data.datasets.h5 import OldH5Dataset
from pggan_framework.data.store.checksums import PREFIX
from pggan_framework.data.store.prepared import load_prepared
from pggan_framework.errors import DamagedError, UserError

FLIPS = 120


def _all(path: Path) -> list[bytes]:
    """Every image at every depth, the labels and what the file says of itself."""
    data = load_prepared(path)
    pictures = [data.images(range(len(data)), depth).tobytes() for depth in range(data.growth.max_depth + 1)]
    labels = b"" if data.labels is None else data.labels.tobytes()
    said = repr((data.growth, data.range_in, data.fingerprint(), data.label_space, sorted(data.summary().items())))
    return [*pictures, labels, said.encode()]


def test_flipped_bits_are_noticed_or_harmless(folder: Path) -> None:
    path = folder / "one.h5"
    whole, expected = path.read_bytes(), _all(path)
    random, noticed = np.random.default_rng(0), 0
    for place in random.choice(8 * len(whole), FLIPS, replace=False).tolist():
        content = bytearray(whole)
        content[place // 8] ^= 1 << place % 8
        path.write_bytes(content)
        try:
            found = _all(path)
        except UserError:
            noticed += 1
        else:
            assert found == expected, place
    assert noticed > FLIPS // 5


@pytest.mark.parametrize("name", ["one.h5", "one_mirrored.h5", "five.h5", "four_mirrored.h5"])
def test_every_picture_of_every_level_has_its_checksum(folder: Path, name: str) -> None:
    for path in sorted(folder.glob(f"{name[:-3]}-*.h5")) or [folder / name]:
        with h5py.File(path) as file:
            levels = [level for level in file if level.startswith("data")]
            assert levels
            for level in levels:
                due = [_crc32(picture.tobytes()) for picture in file[level][()]]
                assert file[PREFIX + level][()].tolist() == due


def _crc32(data: bytes) -> int:
    """By its definition: the remainder of a polynomial division, bit by bit."""
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0xEDB88320 if value & 1 else 0)
    return value ^ 0xFFFFFFFF


@pytest.mark.parametrize("name", ["one.h5", "five.h5"])
def test_a_changed_picture_is_named_when_it_is_first_read(folder: Path, name: str) -> None:
    path = next(iter(sorted(folder.glob("five-*.h5")))) if name == "five.h5" else folder / name
    with h5py.File(path, "r+") as file:
        file["data4x4"][2, 0, 0, 0] ^= 16
    data = OldH5Dataset(folder / name)
    assert len(data.images([2], data.growth.max_depth)) == 1
    with pytest.raises(DamagedError, match="image 2 of data4x4 is not what was written"):
        data.images([0, 2], 0)
    assert len(data.images([0, 1], 0)) == 2


def test_labels_and_names_and_what_it_says_are_checked(folder: Path) -> None:
    path = folder / "one.h5"
    with h5py.File(path, "r+") as file:
        record = file["pggan_framework"][()]
        file["pggan_framework"][()] = record.replace(b"255", b"254")
    with pytest.raises(DamagedError, match="its pggan_framework is not what was written"):
        load_prepared(path)


def test_a_file_of_an_earlier_release_has_no_checksums_and_is_read(folder: Path) -> None:
    path = folder / "one.h5"
    expected = _all(path)
    with h5py.File(path, "r+") as file:
        for name in [name for name in file if name.startswith(PREFIX)]:
            del file[name]
        del file.attrs["crc32"]
    assert _all(path) == expected


def _link(file: h5py.File) -> None:
    file["data8x8"] = h5py.ExternalLink("other.h5", "data8x8")


def _soft(file: h5py.File) -> None:
    file["data8x8"] = h5py.SoftLink("/elsewhere")


def _external(file: h5py.File) -> None:
    file.create_dataset("data8x8", (4, 3, 8, 8), np.uint8, external=[("/etc/passwd", 0, h5py.h5f.UNLIMITED)])


def _virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((4, 3, 8, 8), np.uint8)
    layout[:] = h5py.VirtualSource("other.h5", "data8x8", (4, 3, 8, 8))
    file.create_virtual_dataset("data8x8", layout)


def _scaleoffset(file: h5py.File) -> None:
    file.create_dataset("data8x8", data=np.ones((4, 3, 8, 8), np.uint8), chunks=(1, 3, 8, 8), scaleoffset=4)


def _huge(file: h5py.File) -> None:
    file.create_dataset("data8x8", (1 << 40, 3, 8, 8), np.uint8, chunks=(1, 3, 8, 8), compression="gzip")


def _huge_picture(file: h5py.File) -> None:
    shape, chunk = (1, 3, 1 << 14, 1 << 14), (1, 3, 1 << 12, 1 << 12)
    file.create_dataset("data16384x16384", shape, np.uint8, chunks=chunk, compression="gzip")[:, :, ::4096, ::4096] = 1


def _none_stored(file: h5py.File) -> None:
    file.create_dataset("data8x8", (1 << 40, 3, 8, 8), np.uint8)


def _labels(file: h5py.File) -> None:
    file.create_dataset("data8x8", data=np.zeros((4, 3, 8, 8), np.uint8))
    file.create_dataset("labels", (1 << 40, 4), np.float64, chunks=(1, 4))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (_link, "is a link, perhaps to another file"),
        (_soft, "is a link, perhaps to another file"),
        (_external, "is stored in other files"),
        (_virtual, "is stored in other files"),
        (_scaleoffset, r"packed by filter \[6\]; allowed: gzip, shuffle"),
        (_huge, "damaged or cut short"),
        (_huge_picture, "takes 805,306,368 bytes"),
        (_none_stored, "damaged or cut short"),
        (_labels, "damaged or cut short"),
    ],
)
def test_files_that_lead_elsewhere_or_lie_are_refused(
    folder: Path, tmp_path: Path, make: Callable[[h5py.File], None], message: str
) -> None:
    shutil.copy(folder / "one.h5", tmp_path / "other.h5")
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        make(file)
    with pytest.raises(UserError, match=message) as caught:
        OldH5Dataset(path)
    assert "\n" not in str(caught.value)
