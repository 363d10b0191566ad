"""Arrays into images: levels, enlargement, grids, files."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pggan_framework.postprocessors import picture


def test_levels_are_rounded_and_clipped():
    values = np.array([-2, -1, -0.999, -0.0001, 0.0001, 1, 7, np.nan, np.inf], np.float32)
    # (-0.999 + 1) * 127.5 = 0.1275; 127.5 -+ 0.01275 are on either side of the half.
    assert picture.to_uint8(values).tolist() == [0, 0, 0, 127, 128, 255, 255, 0, 255]


def test_every_byte_survives_the_way_to_floats_and_back():
    levels = np.arange(256, dtype=np.uint8)
    assert np.array_equal(picture.to_uint8((levels / 127.5 - 1).astype(np.float32)), levels)


def test_pictures_keep_their_channels():
    rgb = np.arange(2 * 3 * 2 * 2, dtype=np.uint8).reshape(2, 3, 2, 2)
    tiles = picture.picture_tiles(rgb)
    assert tiles.shape == (2, 2, 2, 3)
    assert tiles[1, 0, 1].tolist() == [13, 17, 21]
    assert picture.picture_tiles(rgb[:, :1]).shape == (2, 2, 2, 1)
    assert picture.picture_tiles(np.repeat(rgb[:, :1], 4, axis=1)).shape == (2, 2, 2, 4)


@pytest.mark.parametrize("channels", [2, 5])
def test_other_channel_counts_stand_side_by_side(channels):
    levels = np.zeros((3, channels, 4, 4), np.uint8) + np.arange(channels, dtype=np.uint8)[:, None, None]
    tiles = picture.picture_tiles(levels)
    assert tiles.shape == (3, 4, channels * 4 + (channels - 1) * picture.GAP, 1)
    for channel in range(channels):
        left = channel * (4 + picture.GAP)
        assert np.all(tiles[:, :, left : left + 4] == channel)


def test_enlargement_repeats_pixels():
    assert picture.enlarge(np.array([[1, 2]], np.uint8), (2, 3)).tolist() == [[1, 1, 1, 2, 2, 2]] * 2


@pytest.mark.parametrize(
    ("count", "size", "expected"),
    [
        (1, (8, 8), (1, 1)),
        (6, (8, 8), (2, 3)),
        (9, (8, 8), (3, 3)),
        (16, (64, 64), (4, 4)),
        (4, (1024, 128), (1, 4)),
        (8, (8, 16), (4, 2)),
        (24, (64, 64), (4, 6)),
        (12, (128, 64), (2, 6)),
        (7, (8, 8), (2, 4)),
    ],
)
def test_grids(count, size, expected):
    assert picture.grid_shape(count, *size) == expected


@given(count=st.integers(1, 70), height=st.integers(1, 64), width=st.integers(1, 64))
def test_a_grid_holds_all_and_wastes_no_row(count, height, width):
    rows, columns = picture.grid_shape(count, height, width)
    assert (rows - 1) * columns < count <= rows * columns


def test_sheets_are_enlarged_by_whole_factors():
    # Two rows of three: 128 high, four times 128 are 512; 513 pixels wide and high are never made smaller.
    assert picture.arrange(6, 64, 64, 512) == ((2, 3), 4)
    assert picture.arrange(1, 513, 513, 100) == ((1, 1), 1)


def test_sheet_is_in_reading_order_with_lines_between():
    tiles = np.zeros((5, 4, 6, 1), np.uint8) + np.arange(200, 205, dtype=np.uint8)[:, None, None, None]
    image = picture.sheet(tiles, (2, 3))
    assert (image.mode, image.size) == ("L", (3 * 6 + 2 * picture.GAP, 2 * 4 + picture.GAP))
    pixels = np.asarray(image)
    step = 6 + picture.GAP
    assert [pixels[0, column * step] for column in range(3)] == [200, 201, 202]
    assert [pixels[-1, column * step] for column in range(2)] == [203, 204]
    assert pixels[0, 6] == pixels[4, 0] == pixels[-1, -1]
    assert pixels[0, 6] < 200


def test_a_png_is_whole_or_absent(tmp_path, monkeypatch):
    path = tmp_path / "images" / "a.png"
    picture.save_png(Image.new("RGB", (4, 3), "red"), path)
    before = path.read_bytes()

    def full_disk(self, target, **options):
        target.write_bytes(b"half a pict")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full_disk)
    with pytest.raises(OSError, match="No space"):
        picture.save_png(Image.new("RGB", (4, 3)), path)
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == ["a.png"]
