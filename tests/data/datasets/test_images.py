import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from pggan_framework.data.datasets.images import DefaultImageFolderDataset as Folder
from pggan_framework.errors import UserError

RANDOM = np.random.default_rng(0)


def noise(height=8, width=8, channels=3):
    pixels = RANDOM.integers(0, 256, (height, width, channels), dtype=np.uint8)
    return Image.fromarray(pixels[..., 0] if channels == 1 else pixels)


def only(path, image, name="a.png", save=None, **keywords):
    """The single image of a folder, [C, H, W]."""
    path.mkdir(exist_ok=True)
    image.save(path / name, **(save or {}))
    return Folder(path, **keywords).image(0)


def test_colour_is_channels_first(tmp_path):
    image = noise(8, 16)
    np.testing.assert_array_equal(only(tmp_path, image), np.asarray(image).transpose(2, 0, 1))


def test_grey_is_not_transposed(tmp_path):
    image = noise(8, 16, 1)
    pixels = only(tmp_path, image, imread_mode="L")
    assert pixels.dtype == np.uint8
    np.testing.assert_array_equal(pixels, np.asarray(image)[None])


def test_recursive_and_sorted_and_cut(tmp_path):
    for name, value in (("b/1.PNG", 10), ("a.jpg", 20), ("b/0.bmp", 30), ("c.txt", None)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        if value:
            Image.new("RGB", (8, 8), (value,) * 3).save(tmp_path / name)
        else:
            (tmp_path / name).write_text("no image, and not looked at")
    data = Folder(tmp_path)
    assert [int(data.image(i)[0, 0, 0]) for i in range(3)] == [20, 30, 10]
    assert "skipped" not in data.summary()
    assert len(Folder(tmp_path, max_images=2)) == 2


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "CMYK", "YCbCr", "LA", "RGBA", "I;16", "PA"])
@pytest.mark.parametrize("imread_mode", ["RGB", "L", "RGBA"])
def test_a_flat_grey_survives_every_mode(tmp_path, mode, imread_mode):
    white = {"I;16": 65535, "LA": (255, 255), "RGBA": (255,) * 4, "CMYK": (0,) * 4, "RGB": (255,) * 3}
    if mode == "YCbCr":
        image = Image.new("RGB", (8, 8), "white").convert(mode)
    elif mode in ("P", "PA"):
        image = Image.new("RGB", (8, 8), "white").convert("P").convert(mode)
    else:
        image = Image.new(mode, (8, 8), white.get(mode, 255))
    name = "a.tif" if mode in ("CMYK", "YCbCr", "PA") else "a.png"
    # Pillow 12.3 cannot read the uncompressed YCbCr files that it writes.
    save = {"compression": "tiff_lzw"} if mode == "YCbCr" else None
    pixels = only(tmp_path, image, name, save, imread_mode=imread_mode)
    assert pixels.shape == ({"RGB": 3, "L": 1, "RGBA": 4}[imread_mode], 8, 8)
    assert (pixels == 255).all()


def test_16_bit_grey_is_scaled(tmp_path):
    values = np.array([0, 128, 129, 257, 32896, 65535, 65406, 1000] * 8, np.uint16).reshape(8, 8)
    pixels = only(tmp_path, Image.fromarray(values), imread_mode="L")
    # v / 257 to nearest: 129 / 257 is just above a half, 65406 / 257 = 254.498
    assert pixels[0, 0].tolist() == [0, 0, 1, 1, 128, 255, 254, 4]


def test_transparency_is_laid_over_the_background(tmp_path):
    pixels = np.zeros((8, 8, 4), np.uint8)
    pixels[..., 0] = 255
    pixels[:, :4, 3] = 255
    pixels[:, 4:6, 3] = 51  # a fifth
    picture = only(tmp_path, Image.fromarray(pixels), background="#0000ff")
    assert picture[:, 0, 0].tolist() == [255, 0, 0]
    assert picture[:, 0, 4].tolist() == [51, 0, 204]
    assert picture[:, 0, 7].tolist() == [0, 0, 255]


def test_a_transparent_palette_colour(tmp_path):
    image = Image.new("P", (8, 8), 1)
    image.putpalette([0, 255, 0, 9, 9, 9])
    image.paste(0, (0, 0, 4, 8))
    picture = only(tmp_path, image, save={"transparency": 1}, background="red")
    assert picture[:, 0, 0].tolist() == [0, 255, 0]
    assert picture[:, 0, 7].tolist() == [255, 0, 0]


def test_resizing_transparency_leaves_no_rim(tmp_path):
    # Opaque white next to transparent black: resized unpremultiplied, grey would bleed into the white.
    pixels = np.zeros((32, 32, 4), np.uint8)
    pixels[:, :15] = 255
    options = {"size": 8, "resize": "stretch"}
    assert (only(tmp_path / "a", Image.fromarray(pixels), **options) == 255).all()
    picture = only(tmp_path / "b", Image.fromarray(pixels), imread_mode="RGBA", **options)
    assert (picture[:3, picture[3] > 16] >= 250).all()
    assert picture[3, 0, 0] == 255 and picture[3, 0, 7] == 0


@pytest.mark.parametrize("ending", ["jpg", "png", "tif", "webp"])
@pytest.mark.parametrize("tag", range(1, 9))
def test_exif_orientation(tmp_path, ending, tag):
    upright = np.zeros((8, 16, 3), np.uint8)
    upright[:4, :8] = 255  # top left
    upright[:4, 8:] = 90  # top right
    # What a camera stores, for each orientation (EXIF 2.3, tag 0x0112), written with numpy's own operations.
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright, 1),
        7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[tag]
    exif = Image.Exif()
    exif[0x0112] = tag
    save = {"exif": exif, "lossless": True} if ending == "webp" else {"exif": exif}
    picture = only(tmp_path, Image.fromarray(np.ascontiguousarray(stored)), f"a.{ending}", save)
    np.testing.assert_allclose(picture.transpose(1, 2, 0).astype(int), upright, atol=6)


def test_an_animation_gives_its_first_frame(tmp_path):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue", "lime")]
    picture = only(tmp_path, frames[0], "a.gif", {"save_all": True, "append_images": frames[1:]})
    assert picture[:, 3, 3].tolist() == [255, 0, 0]


def test_policies(tmp_path):
    pixels = np.zeros((16, 48, 3), np.uint8)
    pixels[:, 16:32] = 200
    image = Image.fromarray(pixels)
    image.save(tmp_path / "a.png")
    crop = Folder(tmp_path, size=16, resize="crop").image(0)
    np.testing.assert_array_equal(crop, np.full((3, 16, 16), 200))
    pad = Folder(tmp_path, size=48, resize="pad", background="#010203", seed_shape=(3, 3)).image(0)
    assert pad[:, 15, 24].tolist() == [1, 2, 3] == pad[:, 32, 24].tolist()
    np.testing.assert_array_equal(pad[:, 16:32], pixels.transpose(2, 0, 1))
    transparent = Folder(tmp_path, size=48, resize="pad", imread_mode="RGBA", seed_shape=(3, 3)).image(0)
    assert transparent[3, :, 24].tolist() == [0] * 16 + [255] * 16 + [0] * 16
    stretch = Folder(tmp_path, size=(16, 32), resize="stretch")
    assert stretch.shape == (3, 16, 32)
    np.testing.assert_allclose(stretch.image(0)[0, 0, [0, 15, 31]].astype(int), [0, 200, 0], atol=8)


def test_none_demands_one_size_and_names_the_file(tmp_path):
    noise(8, 8).save(tmp_path / "a.png")
    noise(8, 16).save(tmp_path / "b.png")
    with pytest.raises(UserError, match=r"b\.png is 8x16.*a\.png is 8x8.*stretch, crop.*pad"):
        Folder(tmp_path)
    with pytest.raises(UserError, match=r"a\.png is 8x8, DefaultImageFolderDataset\.size is 16x16"):
        Folder(tmp_path, size=16)


def test_a_size_that_does_not_halve_needs_a_policy(tmp_path):
    noise(100, 100).save(tmp_path / "a.png")
    with pytest.raises(UserError, match=r"a\.png is 100x100.*stretch, crop.*pad"):
        Folder(tmp_path)
    assert Folder(tmp_path, resize="crop").shape == (3, 64, 64)  # the largest power of two that enlarges none
    with pytest.raises(UserError, match="24x24"):
        Folder(tmp_path, resize="crop", size=24)
    assert Folder(tmp_path, resize="crop", size=24, seed_shape=(3, 3)).growth.max_depth == 3


def test_folders_with_nothing_to_read(tmp_path):
    with pytest.raises(UserError, match="no folder"):
        Folder(tmp_path / "missing")
    with pytest.raises(UserError, match="no readable image in .*: it is empty"):
        Folder(tmp_path)
    (tmp_path / "broken.png").write_bytes(b"no image")
    with pytest.raises(UserError, match=r"no readable image in .*: broken\.png \(no image"):
        Folder(tmp_path)


@pytest.mark.parametrize("bad", [{"background": "blau"}, {"max_images": 0}])
def test_bad_parameters(tmp_path, bad):
    noise().save(tmp_path / "a.png")
    with pytest.raises(UserError, match=str(next(iter(bad.values())))):
        Folder(tmp_path, **bad)


@pytest.mark.parametrize("preload", [False, True])
def test_unreadable_files_are_skipped_and_named(tmp_path, preload):
    for name in ("a.png", "b.jpg", "c.webp", "d.bmp", "e.gif"):
        noise(64, 64).save(tmp_path / name)
        whole = (tmp_path / name).read_bytes()
        (tmp_path / f"cut_{name}").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("hello")
    Image.fromarray(np.zeros((64, 64), np.float32)).save(tmp_path / "float.tif")
    data = Folder(tmp_path, preload=preload)
    assert len(data) == 5
    skipped = data.summary()["skipped"]
    names = {"cut_a.png", "cut_b.jpg", "cut_c.webp", "cut_d.bmp", "cut_e.gif", "empty.png", "text.png", "float.tif"}
    assert set(data.plan.names(data.plan.unreadable)) == names
    assert skipped.startswith("unreadable, 8: cut_a.png (") and skipped.endswith("and 5 more")


def test_a_jpeg_with_bytes_behind_its_end_is_readable(tmp_path):
    noise().save(tmp_path / "a.jpg")
    with (tmp_path / "a.jpg").open("ab") as file:
        file.write(b"camera's own " * 20)
    assert len(Folder(tmp_path)) == 1


def test_damage_inside_a_file_names_it(tmp_path):
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"not zlib") + chunk(b"IEND", b"")
    (tmp_path / "bad.png").write_bytes(png)
    with pytest.raises(UserError, match=r"no image in .* can be decoded: 1: bad\.png \(broken data"):
        Folder(tmp_path).image(0)


@pytest.mark.parametrize("options", [{}, {"resize": "crop", "size": 8}, {"imread_mode": "L"}])
def test_preload_changes_no_bit(tmp_path, options):
    for index in range(5):
        noise(16, 16).save(tmp_path / f"{index}.png")
    lazy, ready = Folder(tmp_path, **options), Folder(tmp_path, preload=True, **options)
    for depth in range(lazy.growth.max_depth + 1):
        np.testing.assert_array_equal(lazy.images([3, 0, 3], depth), ready.images([3, 0, 3], depth))
        np.testing.assert_array_equal(lazy.pyramid([1, 2])[depth], ready.images([1, 2], depth))
    np.testing.assert_array_equal(lazy.image(4), ready.image(4))
    assert lazy.fingerprint() == ready.fingerprint()


def test_the_fingerprint_sees_files_and_parameters(tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    for folder in ("one", "two"):
        Image.new("RGB", (8, 8), "red").save(tmp_path / folder / "a.png")
    first = Folder(tmp_path / "one").fingerprint()
    assert first == Folder(tmp_path / "two").fingerprint()
    assert first != Folder(tmp_path / "one", imread_mode="L").fingerprint()
    Image.new("RGB", (8, 8), "blue").save(tmp_path / "two" / "a.png")
    assert first != Folder(tmp_path / "two").fingerprint()


def test_nothing_is_decoded_to_learn_the_sizes(tmp_path, monkeypatch):
    for name in ("a.png", "b.jpg", "c.webp", "d.gif"):
        noise().save(tmp_path / name)

    def load(self):
        raise AssertionError("decoded")

    for plugin in ("PngImagePlugin.PngImageFile", "JpegImagePlugin.JpegImageFile", "WebPImagePlugin.WebPImageFile"):
        monkeypatch.setattr(f"PIL.{plugin}.load", load, raising=False)
    assert len(Folder(tmp_path)) == 4
