"""``pggan evaluate`` on features of images: one extractor for all, its cache, and the search for copies."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray
from PIL import Image
from tiny import TONES

from pggan_framework import run
from pggan_framework.cli.main import main
from pggan_framework.data.datasets.sound import SoundImageDataset
from pggan_framework.metrics.deep import Eye
from pggan_framework.models.pretrained import Pretrained

COUNT, SIDE = 150, 16
RANDOM = ["--extractor", "random", "--device", "cpu"]
NAMES = {"fid_random", "kid_random", "kid_random.std", "precision_random", "recall_random", "density_random"}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one tick with 150 images of 16x16."""
    root = tmp_path_factory.mktemp("drawn")
    (root / "pictures").mkdir()
    for number, pixels in enumerate(np.random.default_rng(0).integers(0, 256, (COUNT, SIDE, SIDE, 3), dtype=np.uint8)):
        Image.fromarray(pixels).save(root / "pictures" / f"{number:03d}.png")
    base = {name: value for name, value in TONES.items() if not name.startswith("TonesDataset")}
    images: dict[str, Any] = {"dataset_class": "DefaultImageFolderDataset", "progressive_growing": False}
    images["DefaultImageFolderDataset.dir_path"] = str(root / "pictures")
    size = {"Trainer.tick_nimg_default": 8, "total_kimg": 0.008, "plugin_dirs": []}
    return run(overrides={**base, **images, **size, "result_dir": str(root / "results")}).path


@pytest.fixture
def folder(drawn: Path, tmp_path: Path) -> Path:
    """A copy of the run, to write to."""
    return shutil.copytree(drawn, tmp_path / drawn.name)


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many images the extractor was shown at a time."""
    shown: list[int] = []
    look = Eye._look

    def counted(self: Eye, images: NDArray[np.uint8]) -> object:
        shown.append(len(images))
        return look(self, images)

    monkeypatch.setattr(Eye, "_look", counted)
    return shown


def evaluate(folder: Path, *words: str) -> dict[str, Any]:
    """The line that is added to metrics.jsonl."""
    assert main(["evaluate", str(folder), *RANDOM, *words]) == 0
    found = json.loads((folder / "metrics.jsonl").read_text().splitlines()[-1])
    assert isinstance(found, dict)
    return {name: value for name, value in found.items() if name != "date"}


def refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["evaluate", *words]) == 2
    return capsys.readouterr().err.strip().splitlines()[-1]


def playing(pictures: NDArray[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the model give these images [N, C, H, W], uint8 or in [-1, 1], over and over, instead of its output."""
    levels = pictures / np.float32(127.5) - 1 if pictures.dtype == np.uint8 else pictures

    def latents(self: Pretrained, count: int, seed: int = 0) -> NDArray[np.int64]:
        return np.arange(count) % len(pictures)

    def generate(self: Pretrained, latents: NDArray[np.int64], labels: object = None) -> NDArray[np.float32]:
        return levels[latents].astype(np.float32)

    monkeypatch.setattr(Pretrained, "latents", latents)
    monkeypatch.setattr(Pretrained, "generate", generate)


def stored(drawn: Path) -> NDArray[np.uint8]:
    files = sorted((drawn.parents[1] / "pictures").glob("*.png"))
    return np.stack([np.asarray(Image.open(path)) for path in files]).transpose(0, 3, 1, 2)


def test_one_extractor_for_all_of_them(folder: Path, looks: list[int], capsys: pytest.CaptureFixture[str]) -> None:
    found = evaluate(folder, "--seed", "2")
    assert looks == [1] + 3 * [32, 32, 11]  # a probe, and three sides of 75
    out = capsys.readouterr().out
    rows = {words[0]: words[1:] for line in out.splitlines() if len(words := line.split()) == 4}
    for name in NAMES | {"coverage_random", "nearest_random.ratio", "swd.16"}:
        assert rows[name] == [f"{found[name]:.4g}", f"{found[f'{name}.floor']:.4g}", "75"]
    assert (found["n"], found["seed"], found["extractor"][:7]) == (75, 2, "random:")
    assert f"features: {found['extractor']}" in out
    assert found["fid_random"] > 5 * found["fid_random.floor"]
    assert found["precision_random"] < 0.1 < found["precision_random.floor"]
    assert not any(name.startswith("is_") for name in found)


def test_reals_are_looked_at_once(folder: Path, tmp_path: Path, looks: list[int]) -> None:
    words = ["--metrics", "fid,kid,nearest", "--cache", str(tmp_path / "cache")]
    first = evaluate(folder, *words)
    assert sum(looks) == 1 + 3 * 75
    looks.clear()
    assert evaluate(folder, *words) == first
    assert sum(looks) == 1 + 75
    looks.clear()
    assert evaluate(folder, *words[:2], "--cache", "none") == first
    assert sum(looks) == 1 + 3 * 75
    evaluate(folder, *words, "--seed", "1")  # other reals
    evaluate(folder, *words, "--count", "70")
    files = sorted((tmp_path / "cache").iterdir())
    assert len(files) == 6
    for path in files:
        path.write_bytes(path.read_bytes()[:-300])
    looks.clear()
    assert evaluate(folder, *words) == first
    assert sum(looks) == 1 + 3 * 75


def test_the_environment_says_where_the_cache_is(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGGAN_CACHE", str(tmp_path / "here"))
    evaluate(folder, "--metrics", "fid")
    assert len(list((tmp_path / "here").glob("features-*.npz"))) == 2


def test_a_model_that_copies_is_found_out(
    drawn: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Half of its images are training images, and the others are new ones of the same kind."""
    pixels = stored(drawn)
    fresh = np.random.default_rng(1).integers(0, 256, (30, 3, SIDE, SIDE), dtype=np.uint8)
    playing(np.concatenate([pixels[100:130], fresh]), monkeypatch)
    found = evaluate(folder, "--count", "60", "--metrics", "nearest", "--neighbours", "3")
    assert found["neighbours_random.copies"] == pytest.approx(0.5, abs=0.05)
    assert found["neighbours_random.copies.floor"] < 0.1
    assert 0.9 < found["neighbours_random.ratio.floor"] < 1.1
    # Of 150 images only 60 are in the half that the metric knows.
    assert found["nearest_random.copies"] < 0.4
    said = capsys.readouterr().out.splitlines()[-1]
    assert "0 times the usual distance" in said
    sample, place = (int(said.split(word)[1].split()[0].strip(",")) for word in ("sample", "training image"))
    assert place == sample + 100
    # The grid: each of three rows begins with a copy and what it was copied from.
    sheet = np.asarray(Image.open(folder / "neighbours_000000.png"))
    factor = (sheet.shape[1] + 2) // 4 // SIDE
    tile = factor * SIDE + 2
    for row in range(3):
        copy, source, other = (
            sheet[row * tile : row * tile + tile - 2, at * tile : at * tile + tile - 2] for at in range(3)
        )
        assert np.array_equal(copy, source) and not np.array_equal(copy, other)


def test_a_model_that_invents_is_not(drawn: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    playing(np.random.default_rng(1).integers(0, 256, (75, 3, SIDE, SIDE), dtype=np.uint8), monkeypatch)
    found = evaluate(folder, "--metrics", "fid", "--neighbours", "1")
    assert found["neighbours_random.copies"] < 0.1
    assert found["neighbours_random.ratio"] == pytest.approx(1, abs=0.1)
    assert found["fid_random"] < 1.5 * found["fid_random.floor"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--metrics", "swd", "--extractor", "random"], "none of the metrics uses features: swd"),
        (["--extractor", "vgg"], "unknown extractor 'vgg'; allowed: inception, lite0, random"),
        (["--extractor", "random", "--metrics", "is"], "is needs an extractor that is a classifier; random is not"),
        (["--extractor", "random", "--metrics", "fid", "--count", "9"], "fid needs 64 images per side; there are 9"),
        (["--extractor", "random", "--lite0.size", "64"], "unknown flag --lite0.size"),
        (["--extractor", "random", "--kid.subsets", "0"], "kid.subsets 0 is not allowed"),
        (["--neighbours", "-1"], "--neighbours is -1; allowed: 0 or more"),
        (["--extractor", "inception", "--inception.weights", "none.pth"], "none.pth"),
    ],
)
def test_what_cannot_be_used(drawn: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert message in refused([str(drawn), "--device", "cpu", *words], capsys)
    assert not (drawn / "metrics.jsonl").exists()


def test_an_extractor_needs_images(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = {**TONES, "progressive_growing": False, "Trainer.tick_nimg_default": 8, "total_kimg": 0.008}
    folder = run(overrides={**flags, "result_dir": str(tmp_path)}).path
    assert "none of the metrics uses features" in refused([str(folder), "--extractor", "random"], capsys)


def coloured(count: int, seed: int) -> list[NDArray[np.float64]]:
    """Recordings of 0.3 s at 8 kHz: noise, each with a different steady spectrum."""
    random = np.random.default_rng(seed)
    spectra = [np.interp(np.arange(1201), np.arange(0, 1201, 100), random.uniform(-3, 0, 13)) for _ in range(count)]
    noise = [np.fft.irfft(10**spectrum * np.exp(2j * np.pi * random.random(1201))) for spectrum in spectra]
    return [0.5 * wave / np.abs(wave).max() for wave in noise]


def test_copies_of_recordings_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Overlapping clips of one recording are alike and must not count as the usual distance."""
    for name, waves in (("data", coloured(20, 0)), ("others", coloured(20, 1))):
        (tmp_path / name).mkdir()
        for number, wave in enumerate(waves):
            soundfile.write(tmp_path / name / f"r{number:02d}.wav", wave, 8000)
    own = {"frequency": 8000, "n_fft": 64, "hop_length": 32, "frames": 32, "margin": 0, "overlap": 0.75}
    own |= {"too_long": "slices", "prepared_dir": None, "jobs": 1}
    base = {name: value for name, value in TONES.items() if not name.startswith("TonesDataset")}
    flags = {**base, "progressive_growing": False, "Trainer.tick_nimg_default": 8, "total_kimg": 0.008}
    flags |= {"dataset_class": "SoundImageDataset", "result_dir": str(tmp_path / "results")}
    flags |= {f"SoundImageDataset.{name}": value for name, value in {**own, "dir_path": str(tmp_path / "data")}.items()}
    folder = run(overrides=flags).path
    known, unknown = (SoundImageDataset(tmp_path / name, **own) for name in ("data", "others"))
    depth = known.growth.max_depth
    copied = known.images(range(7, len(known), 2), depth)
    fresh = unknown.images(range(len(copied)), depth)
    capsys.readouterr()
    for images, share in ((fresh, 0.0), (np.concatenate([copied[:30], fresh[:30]]), 0.5), (copied, 1.0)):
        playing(images, monkeypatch)
        assert main(["evaluate", str(folder), "--metrics", "loudness", "--neighbours", "3", "--count", "60"]) == 0
        found = json.loads((folder / "metrics.jsonl").read_text().splitlines()[-1])
        assert found["neighbours_mel.copies"] == pytest.approx(share, abs=0.12)
        # Clips of one recording are far closer than this.
        assert (found["neighbours_mel.ratio"] > 0.8) == (share == 0)
    line = capsys.readouterr().out.splitlines()[-1]
    sample, place = (int(line.split(word)[1].split()[0].strip(",")) for word in ("sample", "training clip"))
    assert place == 7 + 2 * sample and f"from {known.recordings()[place]}," in line
    assert Image.open(folder / "neighbours_000000.png").size[0] > 100
