"""IDX files of MNIST and its family."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from foreign import write_idx

from pggan_framework import UserError
from pggan_framework.data.sources.base import LabelChoice
from pggan_framework.data.sources.idx import IDXSource
from pggan_framework.data.sources.opening import open_source

PICTURES = np.random.default_rng(0).integers(0, 256, (5, 7, 6), dtype=np.uint8)
ASKED = LabelChoice(["class"])


@pytest.mark.parametrize("ends", [("", ""), (".gz", ".gz"), (".gz", ""), ("", ".gz")])
def test_pictures_and_classes(tmp_path: Path, ends: tuple[str, str]) -> None:
    write_idx(tmp_path, "train", PICTURES, [7, 0, 7, 1, 9], ends)
    write_idx(tmp_path, "t10k", PICTURES[:2], [3, 4], ends)
    source = open_source(tmp_path, ASKED)
    assert isinstance(source, IDXSource) and len(source) == 5 and source.one_size == (7, 6)
    assert source.labels == {"class": ["7", "0", "7", "1", "9"]}
    assert source.read(3).mode == "L" and source.name(3) == "image 3"
    np.testing.assert_array_equal(np.asarray(source.read(3)), PICTURES[3])
    test = open_source(tmp_path / f"t10k-images-idx3-ubyte{ends[0]}", ASKED)
    assert len(test) == 2 and test.labels == {"class": ["3", "4"]}
    assert test.identity() != source.identity()
    assert source.described() == {"read from": f"train-images-idx3-ubyte{ends[0]}"}


def test_mnists_size_gets_a_border(tmp_path: Path) -> None:
    pictures = np.random.default_rng(1).integers(1, 256, (3, 28, 28), dtype=np.uint8)
    write_idx(tmp_path, "train", pictures, [1, 2, 3], ("", ""))
    source = open_source(tmp_path)
    assert source.one_size == (32, 32) and source.described()["border"].startswith("2 black pixels")
    pixels = np.asarray(source.read(2)).astype(int)
    np.testing.assert_array_equal(pixels[2:30, 2:30], pictures[2])
    assert pixels.sum() == pictures[2].astype(int).sum()


def test_only_a_test_set_or_several(tmp_path: Path) -> None:
    write_idx(tmp_path, "t10k", PICTURES[:2], [3, 4], ("", ""))
    assert len(open_source(tmp_path)) == 2
    write_idx(tmp_path, "emnist-letters-train", PICTURES, [1, 2, 3, 4, 5], ("", ""))
    assert len(open_source(tmp_path)) == 5
    write_idx(tmp_path, "emnist-digits-train", PICTURES, [1, 2, 3, 4, 5], ("", ""))
    with pytest.raises(
        UserError, match="several sets: emnist-digits-train-images-idx3-ubyte, emnist-letters-.*give a file"
    ):
        open_source(tmp_path)


def test_damage(tmp_path: Path) -> None:
    write_idx(tmp_path, "train", PICTURES, [7, 0, 7, 1, 9], (".gz", ""))
    pictures, classes = tmp_path / "train-images-idx3-ubyte.gz", tmp_path / "train-labels-idx1-ubyte"
    whole = pictures.read_bytes()
    for content, message in (
        (whole[:-9], "cannot read .*images-idx3-ubyte.gz"),
        (b"no gzip", "is not an IDX file"),
        (gzip.compress(gzip.decompress(whole)[:-1]), "says 5 x 7 x 6 = 210 bytes, but 209 follow"),
        (gzip.compress(classes.read_bytes()), "begins with 00000801, and 00000803 is due"),
    ):
        pictures.write_bytes(content)
        with pytest.raises(UserError, match=message) as caught:
            open_source(tmp_path)
        assert "\n" not in str(caught.value)
    pictures.write_bytes(whole)
    classes.write_bytes(struct.pack(">HBBI", 0, 8, 1, 4) + bytes(4))
    with pytest.raises(UserError, match="has 5 images, but .* has 4 labels"):
        open_source(tmp_path, ASKED)
    classes.unlink()
    with pytest.raises(UserError, match="'class' is not known; .* has: none"):
        open_source(tmp_path, ASKED)
    assert len(open_source(tmp_path)) == 5
