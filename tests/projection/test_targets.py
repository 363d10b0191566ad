import numpy as np
import pytest
import soundfile
from PIL import Image

from pggan_framework.audio import build_codec
from pggan_framework.data.datasets.images import DefaultImageFolderDataset
from pggan_framework.data.datasets.sound import SoundImageDataset
from pggan_framework.errors import UserError
from pggan_framework.models.pretrained import Pretrained
from pggan_framework.networks import Generator
from pggan_framework.projection.targets import read_target
from pggan_framework.schedules.growth import Growth

RATE = 8000


def model_of(shape, codec=None, dataset="DefaultImageFolderDataset", **known):
    generator = Generator(Growth.of(shape), fmap_base=16, fmap_max=2, latent_size=2)
    return Pretrained(generator.eval(), codec, 0, {"dataset_class": dataset, dataset: known})


def picture(path, size=(16, 16), mode="RGB", seed=0):
    channels = {"RGB": 3, "L": 1, "RGBA": 4}[mode]
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], channels), np.uint8)
    Image.fromarray(pixels[..., 0] if channels == 1 else pixels).save(path)
    return path


def sound(path, seconds, rate=RATE, channels=1, level=0.5):
    time = np.arange(round(seconds * rate)) / rate
    wave = level * np.sin(2 * np.pi * 500 * time)
    soundfile.write(path, np.stack([wave, 0.5 * wave][:channels], 1), rate, subtype="FLOAT")
    return path


@pytest.mark.parametrize(("mode", "channels"), [("RGB", 3), ("L", 1), ("RGBA", 4)])
@pytest.mark.parametrize("resize", ["stretch", "crop", "pad"])
def test_a_picture_is_read_as_the_training_data_were(mode, channels, resize, tmp_path):
    (tmp_path / "data").mkdir()
    file = picture(tmp_path / "data" / "one.png", (30, 20), "RGBA")
    dataset = DefaultImageFolderDataset(tmp_path / "data", imread_mode=mode, size=16, resize=resize, background="red")
    model = model_of((channels, 16, 16), resize=resize, background="red", imread_mode=mode)
    target = read_target(file, model)
    np.testing.assert_allclose(target.picture, dataset.image(0) / 127.5 - 1, atol=1e-6)
    assert target.wave is None and target.remarks == (f"20x30 made 16x16 by {resize}",)
    small = read_target(file, model.at_depth(1))
    np.testing.assert_allclose(small.picture, dataset.images([0], 1)[0] / 127.5 - 1, atol=1e-6)


def test_pictures_of_one_size_are_cropped_unless_told(tmp_path):
    model = model_of((3, 8, 16), resize="none")
    exact = picture(tmp_path / "exact.png", (16, 8))
    assert read_target(exact, model).remarks == ()
    np.testing.assert_allclose(
        read_target(exact, model).picture, np.asarray(Image.open(exact)).transpose(2, 0, 1) / 127.5 - 1, atol=1e-6
    )
    other = picture(tmp_path / "other.jpeg", (40, 40))
    assert read_target(other, model).remarks == ("40x40 made 8x16 by crop",)
    assert read_target(other, model, "pad").remarks == ("40x40 made 8x16 by pad",)
    assert read_target(other, Pretrained(model.generator, None, 0, {})).picture.shape == (3, 8, 16)


def test_a_sound_is_read_as_the_training_data_were(tmp_path):
    (tmp_path / "data").mkdir()
    file = sound(tmp_path / "data" / "one.wav", 1.0, 11025, 2, level=0.2)
    known = {"trim_db": 40.0, "normalize": "peak", "channels": "left"}
    dataset = SoundImageDataset(
        tmp_path / "data", n_fft=64, hop_length=16, frequency=RATE, frames=32, prepared_dir=None, jobs=1, **known
    )
    model = model_of(dataset.codec.shape, dataset.codec, "SoundImageDataset", **known)
    target = read_target(file, model)
    np.testing.assert_array_equal(target.wave, dataset.wave(0))
    np.testing.assert_array_equal(target.picture, dataset.image(0).astype(np.float32))
    assert target.remarks == ("11025 Hz made 8000 Hz", "the first 0.06 s of 1.00 s", "+13.0 dB")
    small = read_target(file, model.at_depth(1))
    np.testing.assert_array_equal(small.picture, dataset.images([0], 1)[0].astype(np.float32))


def test_a_short_sound_is_filled_with_silence(tmp_path):
    codec = build_codec("abslog", sample_rate=RATE, n_fft=64, hop_length=16, frames=32, channels=2)
    codec.statistics = {"peak": 30.0}
    target = read_target(sound(tmp_path / "short.flac.wav", 0.01), model_of(codec.shape, codec))
    assert target.wave.shape == (2, 448) and not target.wave[:, 80:].any() and target.wave[:, :80].any()
    assert target.remarks == ("0.01 s, padded with silence to 0.06 s",)


def test_what_cannot_be_a_target(tmp_path):
    pictures = model_of((3, 8, 8))
    codec = build_codec("abslog", sample_rate=RATE, n_fft=64, hop_length=16, frames=32)
    codec.statistics = {"peak": 30.0}
    sounds = model_of(codec.shape, codec)
    text = tmp_path / "text.png"
    text.write_text("hello")
    whole = picture(tmp_path / "whole.png")
    cut = tmp_path / "cut.png"
    cut.write_bytes(whole.read_bytes()[:300])
    wave = sound(tmp_path / "wave.wav", 0.1)
    for path, model, message in [
        (tmp_path / "none.png", pictures, "none.png does not exist; allowed: image, sound"),
        (tmp_path, pictures, "is not a file; allowed"),
        (text, pictures, "text.png cannot be read as an image: "),
        (cut, pictures, "cut.png cannot be read as an image: "),
        (wave, pictures, "wave.wav is a sound; this model makes images"),
        (text, sounds, "text.png cannot be read as a sound: "),
        (whole, sounds, "whole.png is an image; this model makes sounds"),
        (whole, model_of((2, 8, 8)), "2 channels, which no image file has"),
    ]:
        with pytest.raises(UserError, match=message):
            read_target(path, model)
    with pytest.raises(UserError, match="--fit pad is for images; this model makes sounds"):
        read_target(wave, sounds, "pad")
