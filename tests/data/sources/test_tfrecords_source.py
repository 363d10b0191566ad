"""TFRecords of the original tool, framed and encoded by our own hand."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from foreign import example, field, record, varint, write_tfrecords

from pggan_framework import UserError
from pggan_framework.data.sources.base import LabelChoice
from pggan_framework.data.sources.example import parse_example
from pggan_framework.data.sources.opening import open_source
from pggan_framework.data.sources.tfrecords import TFRecordsSource

PICTURES = np.random.default_rng(0).integers(0, 256, (5, 3, 8, 8), dtype=np.uint8)
ASKED = LabelChoice(["class"])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What the tool writes: two sizes, and labels as one-hot rows."""
    made = tmp_path / "cats"
    made.mkdir()
    write_tfrecords(made / "cats-r03.tfrecords", PICTURES)
    write_tfrecords(made / "cats-r02.tfrecords", PICTURES[:, :, ::2, ::2])
    with (made / "cats-rxx.labels").open("wb") as file:
        np.save(file, np.eye(3, dtype=np.float32)[[2, 0, 1, 1, 2]])
    return made


def test_the_largest_pictures_of_a_folder(folder: Path) -> None:
    source = open_source(folder, ASKED)
    assert isinstance(source, TFRecordsSource) and len(source) == 5 and source.one_size == (8, 8)
    for index, picture in enumerate(PICTURES):
        image = source.read(index)
        assert image.mode == "RGB" and source.name(index) == f"record {index}"
        np.testing.assert_array_equal(np.asarray(image), picture.transpose(1, 2, 0))
    assert source.labels == {"class": ["2", "0", "1", "1", "2"]}
    assert source.described() == {"read from": "cats-r03.tfrecords, cats-rxx.labels"}
    again = pickle.loads(pickle.dumps(source))
    np.testing.assert_array_equal(np.asarray(again.read(4)), PICTURES[4].transpose(1, 2, 0))
    assert open_source(folder).labels is None


def test_one_file_and_what_identifies_it(folder: Path) -> None:
    small = open_source(folder / "cats-r02.tfrecords")
    assert small.one_size == (4, 4) and len(small) == 5
    np.testing.assert_array_equal(np.asarray(small.read(1)), PICTURES[1, :, ::2, ::2].transpose(1, 2, 0))
    before = small.identity()
    (folder / "renamed").write_bytes((folder / "cats-r02.tfrecords").read_bytes())
    assert open_source(folder / "renamed").identity() == before
    write_tfrecords(folder / "cats-r02.tfrecords", 255 - PICTURES[:, :, ::2, ::2])
    assert open_source(folder / "cats-r02.tfrecords").identity() != before


def test_grey_pictures_and_other_labels(tmp_path: Path) -> None:
    write_tfrecords(tmp_path / "a-r03.tfrecords", PICTURES[:, :1])
    with (tmp_path / "a-rxx.labels").open("wb") as file:
        np.save(file, np.array([[0.5, 1], [0, 1], [2, -1], [0, 0], [1, 0.25]], np.float32))
    source = open_source(tmp_path, LabelChoice(["label_1", "label_0"], continuous=["label_0"]))
    assert source.read(2).mode == "L"
    assert source.labels == {
        "label_1": ["1.0", "1.0", "-1.0", "0.0", "0.25"],
        "label_0": ["0.5", "0.0", "2.0", "0.0", "1.0"],
    }
    assert source.continuous == ("label_0",)
    with pytest.raises(UserError, match="--labels 'class' is not known; .* has: label_0, label_1"):
        open_source(tmp_path, ASKED)


def test_a_file_cut_in_half(folder: Path) -> None:
    path = folder / "cats-r03.tfrecords"
    whole = path.read_bytes()
    one = len(whole) // 5
    for size, message in (
        (
            len(whole) // 2,
            f"record 2 .the first is 0. is cut off: {len(whole) // 2 - 2 * one - 12} of {one - 12} bytes",
        ),
        (3 * one + 5, "record 3 .* ends early, after 5 bytes"),
        (one - 1, "record 0"),
    ):
        path.write_bytes(whole[:size])
        with pytest.raises(UserError, match=message) as caught:
            open_source(folder)
        assert "\n" not in str(caught.value) and str(path) in str(caught.value)
    path.write_bytes(b"")
    with pytest.raises(UserError, match="no image in"):
        open_source(folder)


def test_wrong_checksums(folder: Path) -> None:
    path = folder / "cats-r03.tfrecords"
    whole = bytearray(path.read_bytes())
    one = len(whole) // 5
    whole[3 * one + 100] ^= 1
    path.write_bytes(whole)
    source = open_source(folder)
    source.read(2)
    with pytest.raises(ValueError, match="its data have another checksum"):
        source.read(3)
    whole[one + 1] ^= 1
    path.write_bytes(whole)
    with pytest.raises(UserError, match="record 1 .* has a length with a wrong checksum .CRC-32C."):
        open_source(folder)


@pytest.mark.parametrize(
    ("message", "complaint"),
    [
        (example((3, 8, 9), PICTURES[0].tobytes()), "192 bytes of data for the shape"),
        (example((8, 8), bytes(64)), "for the shape"),
        (
            field(1, field(1, field(1, b"image/encoded") + field(2, field(1, field(1, b"png"))))),
            "it has image/encoded; due",
        ),
        (example((3, 8, 8), PICTURES[0].tobytes())[:-3], "cut short"),
        (b"\xff\xff\xff\xff", "not an Example of TensorFlow's"),
        (example((2, 4, 4), bytes(32)), "pixels of shape"),
    ],
)
def test_records_of_others(tmp_path: Path, message: bytes, complaint: str) -> None:
    path = tmp_path / "a-r03.tfrecords"
    path.write_bytes(record(message))
    with pytest.raises((UserError, ValueError), match=complaint):
        open_source(path).read(0)


def test_labels_that_do_not_fit(folder: Path) -> None:
    np.save(folder / "short.npy", np.zeros((4, 2)))
    (folder / "short.npy").rename(folder / "cats-rxx.labels")
    with pytest.raises(UserError, match=r"labels of shape \[4, 2\]; there are 5 images"):
        open_source(folder, ASKED)
    open_source(folder)
    np.save(folder / "code.npy", np.array([print] * 5), allow_pickle=True)
    (folder / "code.npy").rename(folder / "cats-rxx.labels")
    with pytest.raises(UserError, match="cannot read the labels"):
        open_source(folder, ASKED)
    (folder / "cats-rxx.labels").unlink()
    with pytest.raises(UserError, match="'class' is not known; .* has: none"):
        open_source(folder, ASKED)


def test_a_folder_of_two_sets(folder: Path) -> None:
    write_tfrecords(folder / "dogs-r03.tfrecords", PICTURES)
    with pytest.raises(UserError, match="the TFRecords of cats, dogs; give a file"):
        open_source(folder)


def test_examples_with_more_in_them() -> None:
    unknown = bytes([5 << 3 | 1]) + bytes(8) + bytes([6 << 3 | 5]) + bytes(4) + bytes([7 << 3]) + varint(300)
    floats = field(1, field(1, b"weight") + field(2, field(2, field(1, bytes(8)))))
    message = unknown + example((3, 200, 70000), b"abc", packed=False) + field(1, floats) + field(9, b"")
    assert parse_example(message) == {"shape": [3, 200, 70000], "data": [b"abc"], "weight": None}
