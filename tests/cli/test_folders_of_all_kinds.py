"""The folders that people really have, from ``pggan plan`` to a trained model: each has a sensible outcome."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile
import yaml
from PIL import Image

from pggan_framework.cli.main import main
from pggan_framework.planning.speed import Speed

TINY = [
    *("--Generator.fmap_base", "16", "--Generator.fmap_max", "4", "--Generator.latent_size", "4"),
    *("--Discriminator.fmap_base", "16", "--Discriminator.fmap_max", "4", "--OutputGenerator.samples_count", "2"),
]
SMALL_SOUND = ["--SoundImageDataset.frames", "16", "--SoundImageDataset.bins", "16"]


def noise(path, seconds, rate=16000, channels=1, subtype="PCM_16"):
    """A decaying burst of noise every half second, different in every file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(abs(hash(path.name)) % 2**32)
    wave = 0.3 * random.standard_normal((round(seconds * rate), channels))
    wave *= np.exp(-(np.arange(len(wave)) % (rate // 2)) / (0.1 * rate))[:, None]
    soundfile.write(path, wave, rate, subtype=subtype)


def one_shots(folder):
    for number, seconds in enumerate(np.geomspace(0.05, 0.5, 40)):
        noise(folder / f"{number}.wav", seconds)


def long_recordings(folder):
    # An hour each, at a rate that keeps the test's files small.
    for number in range(3):
        noise(folder / f"{number}.wav", 3600, rate=1000, subtype="PCM_U8")


def single(folder):
    noise(folder / "only.wav", 20)


def six_rates(folder):
    for number in range(20):
        noise(folder / f"{number}.wav", 0.6, rate=(8000, 11025, 16000, 22050, 44100, 48000)[number % 6])


def stereo(folder):
    for number in range(12):
        noise(folder / f"{number}.wav", 0.6, channels=2)


def images(folder, count=12):
    folder.mkdir(exist_ok=True)
    random = np.random.default_rng(1)
    for number in range(count):
        Image.fromarray(random.integers(0, 256, (40, 48, 3), dtype=np.uint8)).save(folder / f"{number}.png")


def mixed(folder):
    one_shots(folder)
    images(folder)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        "pggan_framework.planning.command.measure_speed", lambda channels: Speed({32: 0.008, 64: 0.015})
    )
    return tmp_path / "data"


def plan(capsys):
    assert main(["plan", "data", "-o", "plan.yaml"]) == 0
    out, error = capsys.readouterr()
    assert error == ""
    lines = out.splitlines()
    assert len(lines) <= 11  # ten, and where the plan was written
    with open("plan.yaml", encoding="utf-8") as file:
        return out, yaml.safe_load(file)


@pytest.mark.parametrize(
    ("build", "said", "dataset"),
    [
        (one_shots, "40 recordings, 8 s in all", {"too_long": "first", "too_short": "pad"}),
        (one_shots, "samples will be close to copies", {}),
        (long_recordings, "3 recordings, 3.0 h in all", {"too_long": "slices", "overlap": 0.0}),
        (single, "that overlap by 75%", {"too_long": "slices", "overlap": 0.75}),
        (single, "few: ", {}),
        (six_rates, "20 recordings", {"frequency": 16000}),
        (stereo, "2 channels (mixed to one; --SoundImageDataset.channels both keeps two)", {}),
        (mixed, "40 recordings, 8 s in all", {}),
        (mixed, "12 images ignored", {}),
    ],
)
def test_plans_for_sound(folder, capsys, build, said, dataset):
    build(folder)
    out, config = plan(capsys)
    assert said in out
    assert config["SoundImageDataset"].items() >= dataset.items()
    assert ("SpectrogramAugment" in config["augmentations"]) == (build is not long_recordings)


def test_one_shots_fit_into_the_clip(folder, capsys):
    one_shots(folder)
    dataset = plan(capsys)[1]["SoundImageDataset"]
    # Nine of ten are shorter than 0.5 * 10 ** (-0.1) = 0.40 s.
    seconds = (dataset["frames"] - 2 * dataset["margin"]) * dataset["hop_length"] / dataset["frequency"]
    assert 0.39 < seconds < 0.52


def test_twelve_images(folder, capsys):
    images(folder)
    out, config = plan(capsys)
    assert "12 images" in out and "samples will be close to copies" in out
    assert config["augmentations"] == ["DiffAugment"]
    assert config["DefaultImageFolderDataset"]["size"] == 32


@pytest.mark.parametrize("command", ["plan", "train"])
def test_an_empty_folder(folder, capsys, command):
    folder.mkdir()
    assert main([command, "data"]) == 2
    assert "data contains neither recordings nor images: it is empty" in capsys.readouterr().err
    assert not (folder.parent / "results").exists()


@pytest.mark.slow
@pytest.mark.parametrize("build", [single, six_rates, stereo, images])
def test_training_ends_with_samples(folder, capsys, build):
    build(folder)
    flags = ["--DefaultImageFolderDataset.size", "16"] if build is images else SMALL_SOUND
    if build is stereo:
        flags = [*flags, "--SoundImageDataset.channels", "both"]
    assert main(["train", "data", "--minutes", "0.2", "--total_kimg", "0.032", *TINY, *flags]) == 0
    run = folder.parent / "results" / "000-data"
    assert (run / "report.html").is_file()
    assert list(run.glob("images/fakes_*.png"))
    sounds = sorted(run.glob("sound/fakes_sound_*_0*.wav"))
    assert bool(sounds) == (build is not images)
    if sounds:
        wave, rate = soundfile.read(sounds[-1], always_2d=True)
        assert (rate, wave.shape[1]) == (16000, 2 if build is stereo else 1)
        assert np.isfinite(wave).all() and len(wave) > 0.1 * rate
