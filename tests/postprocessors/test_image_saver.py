"""ImageSaver: where the grids go, how large they are, what they show."""

import numpy as np
import pytest
from PIL import Image

from pggan_framework.audio import build_codec
from pggan_framework.errors import UserError
from pggan_framework.postprocessors.image import ImageSaver
from pggan_framework.postprocessors.picture import GAP
from pggan_framework.schedules.growth import Growth


def saver(directory, shape, codec=None, **options) -> ImageSaver:
    built = ImageSaver(**options)
    built.setup(directory, Growth.of(shape), codec)
    return built


def test_fakes_are_numbered_and_reals_lie_at_the_root(tmp_path):
    images = saver(tmp_path, (1, 16, 16), samples_path="pictures/here")
    samples = np.zeros((6, 1, 16, 16), np.float32)
    (fakes,) = images.save(samples, "fakes", 120)
    (reals,) = images.save(samples, "reals", 0)
    assert fakes.path == tmp_path / "pictures" / "here" / "fakes_000120.png"
    assert reals.path == tmp_path / "reals.png"
    assert [(a.kind, a.name) for a in (fakes, reals)] == [("image", "fakes"), ("image", "reals")]
    assert fakes.path.is_file() and reals.path.is_file()


def test_sheets_of_every_depth_have_one_size_about_the_resolution(tmp_path):
    images = saver(tmp_path, (3, 64, 64), resolution=512)
    for side in (4, 8, 64):
        (artifact,) = images.save(np.zeros((6, 3, side, side), np.float32), "fakes", side)
        # Two rows of three 64-pixel images: 128 high, so four times as large.
        assert Image.open(artifact.path).size == (3 * 256 + 2 * GAP, 2 * 256 + GAP)


def test_large_pictures_are_never_shrunk(tmp_path):
    (artifact,) = saver(tmp_path, (1, 256, 256), resolution=16).save(np.zeros((4, 1, 256, 256), np.float32), "fakes", 0)
    assert Image.open(artifact.path).size == (512 + GAP, 512 + GAP)


def test_pictures_come_back_from_the_file(tmp_path):
    levels = np.random.default_rng(0).integers(0, 256, (1, 3, 8, 8))
    samples = (levels / 127.5 - 1).astype(np.float32)
    (artifact,) = saver(tmp_path, (3, 8, 8), resolution=16).save(samples, "fakes", 0)
    pixels = np.asarray(Image.open(artifact.path))
    assert np.array_equal(pixels[::2, ::2], levels[0].transpose(1, 2, 0))
    assert np.array_equal(pixels[1::2, 1::2], levels[0].transpose(1, 2, 0))


def test_low_depths_of_uneven_growth_keep_the_proportions(tmp_path):
    images = ImageSaver(resolution=1)
    images.setup(tmp_path, Growth.of((1, 32, 8), seed=(2, 4)), None)
    (artifact,) = images.save(np.zeros((1, 1, 4, 8), np.float32), "fakes", 0)
    assert Image.open(artifact.path).size == (8, 32)


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (2, "L"), (3, "RGB"), (4, "RGBA"), (5, "L")])
def test_channels_decide_the_mode(tmp_path, channels, mode):
    samples = np.zeros((2, channels, 8, 8), np.float32)
    (artifact,) = saver(tmp_path, (channels, 8, 8)).save(samples, "fakes", 0)
    assert Image.open(artifact.path).mode == mode


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_sound_is_drawn_in_colour_with_low_frequencies_at_the_bottom(tmp_path, channels):
    codec = build_codec("abslog", n_fft=16, hop_length=4, frames=8, channels=channels)
    samples = np.full((1, channels, 8, 8), -1, np.float32)
    samples[:, :, 1] = 1
    images = saver(tmp_path, codec.shape, codec, resolution=8, axes=False)
    (artifact,) = images.save(samples, "fakes", 0)
    image = Image.open(artifact.path).convert("RGB")
    assert image.size == (channels * 8 + (channels - 1) * GAP, 8)
    brightness = np.asarray(image).astype(int).sum(axis=-1)[:, :8]
    assert brightness.mean(axis=1).argmax() == 6
    assert len(np.unique(np.asarray(image)[6, 0])) > 1


def test_sound_has_axes_and_one_size_at_every_depth(tmp_path):
    codec = build_codec("if", n_fft=128, hop_length=32, frames=16)
    images = saver(tmp_path, codec.shape, codec)
    plain = saver(tmp_path, codec.shape, codec, axes=False)
    growth, sizes = Growth.of(codec.shape), []
    for depth in range(growth.max_depth + 1):
        (artifact,) = images.save(np.zeros((6, *growth.shape_at(depth)), np.float32), "fakes", depth)
        sizes.append(Image.open(artifact.path).size)
    (artifact,) = plain.save(np.zeros((6, *codec.shape), np.float32), "fakes", 99)
    bare = Image.open(artifact.path).size
    assert len(set(sizes)) == 1 and sizes[0][0] > bare[0] and sizes[0][1] > bare[1]


def test_a_folded_waveform_is_grey_and_upright(tmp_path):
    samples = np.full((1, 1, 8, 8), -1, np.float32)
    samples[:, :, 1] = 1
    codec = build_codec("raw", samples=64)
    (artifact,) = saver(tmp_path, (1, 8, 8), codec, resolution=8).save(samples, "fakes", 0)
    image = Image.open(artifact.path)
    assert image.mode == "L" and image.size == (8, 8) and np.asarray(image)[1].tolist() == [255] * 8


def test_a_diverged_network_still_gives_a_picture(tmp_path):
    (artifact,) = saver(tmp_path, (1, 8, 8)).save(np.full((1, 1, 8, 8), np.nan, np.float32), "fakes", 0)
    assert np.asarray(Image.open(artifact.path)).max() == 0


def test_resolution_must_be_a_pixel_or_more():
    with pytest.raises(UserError, match=r"ImageSaver.resolution 0 .*1 pixel or more"):
        ImageSaver(resolution=0)
