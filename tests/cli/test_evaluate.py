"""``pggan evaluate`` and the SoundMetrics plugin, on a run of seconds."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import TONES

from pggan_framework import __version__, run
from pggan_framework.cli.main import main
from pggan_framework.config.discovery import load_all
from pggan_framework.registry import REGISTRY

QUICK = ["--griffin_lim_iter", "2", "--device", "cpu"]
FULL_SIZE = {"progressive_growing": False, "Trainer.tick_nimg_default": 8, "plugin_dirs": []}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two ticks with 140 tones, its sounds measured at each tick."""
    flags = {
        **TONES,
        **FULL_SIZE,
        "TonesDataset.count": 140,
        "total_kimg": 0.016,
        "plugins": ["SoundMetrics"],
        "SoundMetrics.every_ticks": 1,
        "SoundMetrics.griffin_lim_iter": 2,
        "result_dir": str(tmp_path_factory.mktemp("results")),
    }
    return run(overrides=flags).path


@pytest.fixture
def folder(trained: Path, tmp_path: Path) -> Path:
    """A copy of the run, to write to."""
    return shutil.copytree(trained, tmp_path / trained.name)


def lines(path: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that the command ends with."""
    assert main(["evaluate", *words]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("error: ")
    return error


def test_table_and_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        assert main(["evaluate", str(folder), "--seed", "3", *QUICK]) == 0
    out = capsys.readouterr().out
    assert "70 sounds a side, seed 3" in out
    assert "left out: pitch needs sounds labelled with their pitch" in out
    rows = {words[0]: words[1:] for line in out.splitlines() if len(words := line.split()) == 4}
    first, second = lines(folder / "metrics.jsonl")
    assert first["data"] == torch.load(folder / "network-snapshot-000000.pt", weights_only=True)["data"]
    assert (first["n"], first["seed"], first["nimg"], first["version"]) == (70, 3, 16, __version__)
    assert first["checkpoint"] == "network-snapshot-000000.pt"
    names = {"frechet", "ndb.share", "ndb.jsd", "consistency", "silence", "loudness.distance", "centroid.p50"}
    assert names <= set(rows)
    for name in names:
        assert rows[name] == [f"{first[name]:.4g}", f"{first[f'{name}.floor']:.4g}", "70"]
    assert {k: v for k, v in first.items() if k != "date"} == {k: v for k, v in second.items() if k != "date"}
    # Two ticks make no instrument.
    assert first["frechet"] > 2 * first["frechet.floor"]


def test_a_generator_that_plays_the_data_is_at_the_floor(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The images of other tones of the same kind in the place of generated ones."""
    from pggan_framework.models.pretrained import Pretrained

    load_all([])
    others = REGISTRY.get("TonesDataset").cls(count=100, seed=9)

    def play(self: Pretrained, latents: torch.Tensor, labels: object = None) -> np.ndarray:  # type: ignore[type-arg]
        return others.images(list(range(len(latents))), self.generator.depth).astype(np.float32)

    monkeypatch.setattr(Pretrained, "generate", play)
    assert main(["evaluate", str(folder), "--metrics", "frechet,loudness", *QUICK]) == 0
    (found,) = lines(folder / "metrics.jsonl")
    assert found["frechet"] < 1.6 * found["frechet.floor"]
    assert abs(found["loudness.p50"] - found["loudness.p50.floor"]) < 3


def test_chosen_metrics_count_and_a_metrics_own_flag(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [str(next(folder.glob("*.pt"))), "--count", "30", "--metrics", "ndb,silence", "--ndb.bins", "2", *QUICK]
    assert main(["evaluate", *words]) == 0
    (found,) = lines(folder / "metrics.jsonl")
    assert found["n"] == 30
    assert found["ndb.share"] in (0, 0.5, 1)
    assert "frechet" not in found


def test_too_few_for_a_default_metric_is_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(folder), "--count", "10", *QUICK]) == 0
    assert "left out: frechet needs 64 clips per side; there are 10" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--metrics", "frechett"], "unknown metric 'frechett' (did you mean 'frechet'?)"),
        (["--metrics", "pitch"], "pitch needs sounds labelled with their pitch"),
        (["--metrics", "frechet", "--count", "9"], "frechet needs 64 clips per side; there are 9"),
        (["--count", "0"], "--count is 0; allowed: 1 or more"),
        (["--counts", "3"], "unknown flag --counts"),
        (["--ndb.bin", "3"], "unknown flag --ndb.bin (did you mean '--ndb.bins'?)"),
        (["--ndb.bins", "many"], "--ndb.bins"),
        (["--ndb.bins"], "--ndb.bins needs a value"),
        (["--pitch.tracker", "ear"], "--pitch.tracker"),
        (["--data", "nowhere"], "--data nowhere does not exist"),
        (["--data", "."], "TonesDataset reads no files"),
        (["--device", "tpu"], "device: 'tpu' is given"),
    ],
)
def test_what_cannot_be_used_is_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert message in refused([str(folder), *words], capsys)
    assert not (folder / "metrics.jsonl").exists()


def test_no_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "nowhere does not exist" in refused([str(tmp_path / "nowhere")], capsys)


def test_moved_and_other_data(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import soundfile

    for number in range(6):
        (tmp_path / "here").mkdir(exist_ok=True)
        wave = 0.3 * np.sin(2 * np.pi * 220 * (1 + number) * np.arange(1024) / 16000)
        soundfile.write(tmp_path / "here" / f"{number}.wav", wave, 16000)
    sizes = {"SoundImageDataset.n_fft": 64, "SoundImageDataset.hop_length": 32, "SoundImageDataset.prepared_dir": None}
    base = {**TONES, **FULL_SIZE, "total_kimg": 0.008, "result_dir": str(tmp_path / "results")}
    base = {name: value for name, value in base.items() if not name.startswith("TonesDataset")}
    sound = {"dataset_class": "SoundImageDataset", "SoundImageDataset.dir_path": str(tmp_path / "here"), **sizes}
    folder = run(overrides={**base, **sound}).path
    shutil.move(tmp_path / "here", tmp_path / "there")
    error = refused([str(folder), *QUICK], capsys)
    assert "the model's data cannot be read" in error
    assert "give their new location with --data PATH" in error
    words = [str(folder), "--data", str(tmp_path / "there"), "--metrics", "loudness", *QUICK]
    assert main(["evaluate", *words]) == 0
    assert "note:" not in capsys.readouterr().err
    for path in list((tmp_path / "there").glob("*.wav"))[:3]:
        wave, rate = soundfile.read(path)
        soundfile.write(path, 2 * wave, rate)
    assert main(["evaluate", *words]) == 0
    assert "not the model's training data" in capsys.readouterr().err


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one tick with 12 images of 32x32."""
    root = tmp_path_factory.mktemp("drawn")
    (root / "pictures").mkdir()
    for number, pixels in enumerate(np.random.default_rng(0).integers(0, 256, (12, 32, 32, 3), dtype=np.uint8)):
        Image.fromarray(pixels).save(root / "pictures" / f"{number}.png")
    base = {name: value for name, value in TONES.items() if not name.startswith("TonesDataset")}
    images = {"dataset_class": "DefaultImageFolderDataset"}
    images["DefaultImageFolderDataset.dir_path"] = str(root / "pictures")
    return run(overrides={**base, **FULL_SIZE, **images, "total_kimg": 0.008, "result_dir": str(root / "results")}).path


def test_pictures_beside_their_floor(drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = shutil.copytree(drawn, tmp_path / drawn.name)
    for _ in range(2):
        assert main(["evaluate", str(folder), "--seed", "3", "--device", "cpu"]) == 0
    out = capsys.readouterr().out
    assert "6 images a side, seed 3" in out
    rows = {words[0]: words[1:] for line in out.splitlines() if len(words := line.split()) == 4}
    first, second = lines(folder / "metrics.jsonl")
    for name in ("swd.32", "swd.16", "swd.average", "ms_ssim"):
        assert rows[name] == [f"{first[name]:.4g}", f"{first[f'{name}.floor']:.4g}", "6"]
    assert (first["n"], first["seed"], first["nimg"], first["depth"]) == (6, 3, 8, 3)
    assert first["data"] == torch.load(next(folder.glob("*.pt")), weights_only=True)["data"]
    assert "griffin_lim_iter" not in first
    assert {k: v for k, v in first.items() if k != "date"} == {k: v for k, v in second.items() if k != "date"}
    # A network of two steps draws no white noise, and one image like the other.
    assert first["swd.32"] > 2 * first["swd.32.floor"]
    assert first["ms_ssim"] > first["ms_ssim.floor"]


def test_a_generator_that_copies_the_data_is_at_the_floor(
    drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The very images of the baseline's half in the place of generated ones give its very values."""
    from pggan_framework.data.sampling import indices
    from pggan_framework.models.pretrained import Pretrained

    folder = shutil.copytree(drawn, tmp_path / drawn.name)
    files = sorted((drawn.parents[1] / "pictures").glob("*.png"))
    pixels = np.stack([np.asarray(Image.open(path)) for path in files]).transpose(0, 3, 1, 2)

    def copy(self: Pretrained, latents: torch.Tensor, labels: object = None) -> np.ndarray:  # type: ignore[type-arg]
        return (pixels[indices(0, 6, 6, 12)] / np.float32(127.5) - 1).astype(np.float32)

    monkeypatch.setattr(Pretrained, "generate", copy)
    assert main(["evaluate", str(folder), "--device", "cpu"]) == 0
    (found,) = lines(folder / "metrics.jsonl")
    for name in ("swd.32", "swd.16", "swd.average", "ms_ssim"):
        assert found[name] == pytest.approx(found[f"{name}.floor"], rel=1e-6)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--metrics", "frechet"], "'frechet' is not a metric of images; allowed: density_coverage, fid, is, kid"),
        (["--ms_ssim.pairs", "0"], "ms_ssim.pairs 0 is not allowed; allowed: 1 and up"),
        (["--ndb.bins", "3"], "unknown flag --ndb.bins"),
        (["--metrics", "swd", "--count", "1"], "swd needs 2 images per side; there are 1"),
    ],
)
def test_what_pictures_do_not_allow(
    drawn: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert message in refused([str(drawn), *words, "--device", "cpu"], capsys)
    assert not (drawn / "metrics.jsonl").exists()


def test_sounds_have_no_metric_of_pictures(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "'swd' is not a metric of clips; allowed: centroid" in refused([str(folder), "--metrics", "swd"], capsys)


def test_plugin_adds_figures_and_disturbs_nothing(trained: Path, tmp_path: Path) -> None:
    stats = lines(trained / "stats.jsonl")
    assert len(stats) == 2
    for tick in stats:
        assert tick["sound.frechet"] > tick["sound.frechet.floor"] > 0
        assert tick["sound.silence"] == 0
        assert -60 < tick["sound.loudness.p50"] < 20
        assert tick["sound.loudness.distance"] > 0
    assert stats[0]["sound.frechet.floor"] == stats[1]["sound.frechet.floor"]
    assert stats[0]["sound.frechet"] != stats[1]["sound.frechet"]
    flags = {**TONES, **FULL_SIZE, "TonesDataset.count": 140, "total_kimg": 0.016, "result_dir": str(tmp_path)}
    without = run(overrides=flags).path
    weights = [torch.load(path / "network-snapshot-000000.pt", weights_only=True) for path in (trained, without)]
    for name, value in weights[0]["ema"].items():
        assert torch.equal(value, weights[1]["ema"][name]), name
    assert torch.equal(weights[0]["random"]["torch"], weights[1]["random"]["torch"])


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"TonesDataset.count": 100}, "100 sounds are too few; allowed: 128 and up"),
        ({"SoundMetrics.count": 10}, r"SoundMetrics\.count 10 is not allowed; allowed: 64 and up"),
    ],
)
def test_plugin_refuses(flags: dict[str, object], message: str, tmp_path: Path) -> None:
    from pggan_framework import UserError

    base = {**TONES, **FULL_SIZE, "plugins": ["SoundMetrics"], "total_kimg": 0.008, "result_dir": str(tmp_path)}
    with pytest.raises(UserError, match=message):
        run(overrides={**base, **flags})
    assert not list(tmp_path.iterdir())


def test_pitch_of_a_conditioned_model(tmp_path: Path) -> None:
    """A generator of two ticks is out of tune; the reals in the baseline's place are not."""
    labelled = {"TonesDataset.labels": ["pitch"], "TonesDataset.low_hz": 400, "TonesDataset.count": 24}
    flags = {**TONES, **FULL_SIZE, **labelled, "total_kimg": 0.008, "result_dir": str(tmp_path)}
    folder = run(overrides=flags).path
    words = ["--metrics", "pitch", "--pitch.tracker", "autocorrelation", "--pitch.count", "10"]
    assert main(["evaluate", str(folder), *words, "--griffin_lim_iter", "32"]) == 0
    (found,) = lines(folder / "metrics.jsonl")
    assert found["n"] == 12
    assert found["pitch.in_tune.floor"] > 0.8
    assert found["pitch.in_tune"] < 0.5
