"""``pggan prepare fashion``, on IDX files made here."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pggan_framework import UserError
from pggan_framework.cli.prepare import run
from pggan_framework.recipes import fashion

PIXELS = np.random.default_rng(0).integers(0, 256, (12, 28, 28), dtype=np.uint8)
CLASSES = np.array([9, 0, 0, 3, 0, 2, 7, 2, 5, 5, 0, 9], dtype=np.uint8)
CLASS_HEADER = b"\0\0\x08\x01\0\0\0\x0c"
PICTURE_HEADER = b"\0\0\x08\x03\0\0\0\x0c\0\0\0\x1c\0\0\0\x1c"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """The unpacked package, twelve images in it."""
    folder = tmp_path / "package" / "usr" / "share" / "datasets" / "fashion-mnist"
    folder.mkdir(parents=True)
    (folder / fashion.PICTURES).write_bytes(gzip.compress(PICTURE_HEADER + PIXELS.tobytes()))
    (folder / fashion.CLASSES).write_bytes(gzip.compress(CLASS_HEADER + CLASSES.tobytes()))
    return tmp_path / "package"


def test_a_folder_a_class(package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert run(["fashion", str(out), "--from", str(package)]) == 0
    expected = {
        "ankle-boot": [0, 11],
        "t-shirt": [1, 2, 4, 10],
        "dress": [3],
        "pullover": [5, 7],
        "sneaker": [6],
        "sandal": [8, 9],
    }
    found = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert found == {f"{name}/{index:05d}.png" for name, indices in expected.items() for index in indices}
    assert {path.name for path in out.iterdir()} == set(expected)
    for name, indices in expected.items():
        for index in indices:
            with Image.open(out / name / f"{index:05d}.png") as image:
                assert (image.mode, image.size) == ("L", (32, 32))
                pixels = np.asarray(image).astype(int)
            np.testing.assert_array_equal(pixels[2:30, 2:30], PIXELS[index])
            assert pixels.sum() == PIXELS[index].astype(int).sum()  # the border is black
    assert "12 images of 32x32" in capsys.readouterr().out


def test_the_first_ones_where_the_package_is_installed(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fashion, "FOLDER", package / "usr" / "share" / "datasets" / "fashion-mnist")
    assert run(["fashion", str(tmp_path / "out"), "--count", "4"]) == 0
    names = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.png")}
    assert names == {"ankle-boot/00000.png", "t-shirt/00001.png", "t-shirt/00002.png", "dress/00003.png"}


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        (fashion.PICTURES, b"no gzip", "is not an IDX file"),
        (fashion.PICTURES, gzip.compress(PICTURE_HEADER + PIXELS.tobytes())[:-20], "cannot read"),
        (fashion.PICTURES, gzip.compress(b""), "begins with nothing, and 00000803 is due"),
        (
            fashion.PICTURES,
            gzip.compress(CLASS_HEADER + CLASSES.tobytes()),
            "begins with 00000801, and 00000803",
        ),
        (
            fashion.PICTURES,
            gzip.compress(PICTURE_HEADER + PIXELS[:11].tobytes()),
            "28 x 28 = 9408 bytes, but 8624",
        ),
        (fashion.PICTURES, gzip.compress(PICTURE_HEADER[:12] + b"\0\0\0\x0e" + PIXELS[:6].tobytes()), "of 28x14"),
        (fashion.CLASSES, gzip.compress(CLASS_HEADER + bytes([*range(10), 10, 0])), "the class 10; allowed: 0 to 9"),
        (fashion.CLASSES, gzip.compress(b"\0\0\x08\x01\0\0\0\x02\0\0"), "12 images but 2 classes"),
    ],
    ids=range(8),
)
def test_damaged_files_are_named(package: Path, tmp_path: Path, file: str, content: bytes, message: str) -> None:
    (package / "usr" / "share" / "datasets" / "fashion-mnist" / file).write_bytes(content)
    with pytest.raises(UserError) as caught:
        run(["fashion", str(tmp_path / "out"), "--from", str(package)])
    assert message in str(caught.value) and "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["package"]


def test_what_cannot_be_made(package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for count, message in (("0", "count is 0"), ("13", "count is 13; there are 12 images")):
        with pytest.raises(UserError, match=message):
            run(["fashion", str(tmp_path / "out"), "--from", str(package), "--count", count])
    with pytest.raises(UserError, match=r"apt-get install dataset-fashion-mnist.*MIT licence.*--from"):
        run(["fashion", str(tmp_path / "out"), "--from", str(tmp_path / "nowhere")])
    monkeypatch.setattr(fashion, "FOLDER", tmp_path / "not_installed")
    with pytest.raises(UserError, match=r"not_installed; run 'apt-get install dataset-fashion-mnist'"):
        run(["fashion", str(tmp_path / "out")])
