"""``pggan grow``, ``pggan train DIR --from`` and ``pggan branch`` on runs of seconds."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
import yaml
from PIL import Image
from tiny import TONES

from pggan_framework.cli.main import main
from pggan_framework.models.pretrained import load_generator
from pggan_framework.runs.folders import runs, snapshots
from pggan_framework.training.checkpoint import load_checkpoint

QUICK: dict[str, Any] = {
    **TONES,
    "DepthManager.lod_training_nimg": 8,
    "DepthManager.lod_transition_nimg": 8,
    "DepthManager.tick_kimg_default": 0.03,
    "DepthManager.tick_kimg_overrides": {},
    "TonesDataset.n_fft": 32,
    "TonesDataset.hop_length": 16,
    "TonesDataset.frames": 16,
    "TonesDataset.margin": 0,
    "TonesDataset.low_hz": 400,
    "loggers": ["TeeLogger", "JSONLLogger"],
    "exp_name": "tones",
    "HTMLReport.write": False,
}


def words(values: dict[str, Any]) -> list[str]:
    return [word for name, value in values.items() for word in (f"--{name}", str(value))]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with results/000-tones: tones of 8 kHz, 16x16, whole at full depth."""
    root = tmp_path_factory.mktemp("grow")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        assert main(["train", *words(QUICK), "--total_kimg", "0.06"]) == 0
    return root


@pytest.fixture
def grow(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Runs a command with results in a folder of the test's own, and returns the run's folder."""
    monkeypatch.chdir(tmp_path)

    def command(name: str, *rest: str, status: int = 0) -> Path:
        assert main([name, *rest, "--result_dir", "own"]) == status
        return runs(Path("own"))[-1]

    return command


def state_of(folder: Path) -> dict[str, Any]:
    return load_checkpoint(snapshots(folder)[-1])


def test_a_larger_size_fades_in_where_the_model_stopped(
    trained: Path, grow: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    old = trained / "results" / "000-tones"
    still = ["--G_lr_max", "1e-30", "--D_lr_max", "1e-30", "--total_kimg", "0.004"]
    folder = grow("grow", str(old), "--to", "bins=32", "frames=32", "hop=8", *still)
    before, after = state_of(old), state_of(folder)
    assert after["growth"]["seed"] == before["growth"]["seed"] and len(after["growth"]["doubles"]) == 3
    # The first step is at alpha 0 of the new depth.
    assert after["networks"]["depth"] == 3 and after["networks"]["alpha"] == 0
    # The EMA moves towards the raw generator even where that is still.
    small, large = (load_generator(snapshots(run)[-1], "raw") for run in (old, folder))
    latents = small.latents(4)
    levels = large.generate(latents) - small.generate(latents).repeat(2, 2).repeat(2, 3)
    shift = float(np.median(levels))  # another window has another loudest value
    inside = np.abs(large.generate(latents)) < 1
    assert np.abs(levels[inside] - shift).max() < 1e-5
    log = (folder / "log.txt").read_text()
    assert "G.blocks.3.first" in log and "added" in log and "kept" in log
    config = yaml.safe_load((folder / "config.yaml").read_text())
    assert config["resume_network"].endswith("000-tones/network-snapshot-000000.pt")
    assert after["origin"][0]["model"] == "000-tones/network-snapshot-000000.pt"
    assert main(["export", str(folder), "card", "--format", "huggingface"]) == 0
    assert (
        "| grown from | 000-tones/network-snapshot-000000.pt, 1x16x16, 0.06 kimg" in Path("card/README.md").read_text()
    )
    assert main(["generate", str(folder), "--count", "2", "--out", "samples", "--griffin_lim_iter", "1"]) == 0
    assert main(["report", str(folder)]) == 0


def test_rate_and_labels_at_once_and_resumed_exactly(trained: Path, grow: Callable[..., Path]) -> None:
    old = trained / "results" / "000-tones"
    to = ["--to", "rate=16000", "labels=pitch", "width=2"]
    whole = grow("grow", str(old), *to, "--total_kimg", "0.024")
    grow("grow", str(old), *to, "--total_kimg", "0.012")
    part = grow("train", "--resume", "latest", "--total_kimg", "0.024")
    first, second = state_of(whole), state_of(part)
    assert whole != part and first["growth"]["seed"] == [8, 4] and first["labels"] is not None
    assert first["config"]["Generator"]["plain_labels"] == ["pitch"]
    for side in ("G", "D"):
        for name, value in first["networks"][side].items():
            assert torch.equal(value, second["networks"][side][name]), name
    assert first["origin"] == second["origin"] and len(first["origin"]) == 1
    again = grow("grow", str(whole), "--to", "labels=none", "--total_kimg", "0.008")
    assert [entry["model"].partition("/")[0] for entry in state_of(again)["origin"]] == ["000-tones", whole.name]
    assert state_of(again)["config"]["Generator"]["position_bias"] is True


def test_images_become_smaller_or_larger_in_colour(grow: Callable[..., Path]) -> None:
    folder = Path("greys")
    folder.mkdir()
    for index in range(8):
        random = np.random.default_rng(index)
        Image.fromarray(random.integers(0, 255, (32, 32), np.uint8)).save(folder / f"{index}.png")
    own = {name: value for name, value in QUICK.items() if not name.startswith("TonesDataset")}
    own |= {"dataset_class": "DefaultImageFolderDataset", "DefaultImageFolderDataset.dir_path": "greys"}
    own |= {"DefaultImageFolderDataset.size": 16, "DefaultImageFolderDataset.resize": "crop"}
    old = grow("train", *words(own), "--DefaultImageFolderDataset.imread_mode", "L", "--total_kimg", "0.05")
    small = grow("grow", str(old), "--to", "size=8", "--total_kimg", "0.008")
    assert state_of(small)["networks"]["depth"] == 1 and "dropped" in (small / "log.txt").read_text()
    large = grow("grow", str(old), "--to", "size=32", "channels=colour", "--total_kimg", "0.004")
    assert state_of(large)["networks"]["depth"] == 3 and state_of(large)["growth"]["channels"] == 3


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--to", "size=32"], "--to size is given"),
        (["--to", "rate"], "--to rate is given; allowed: name=value"),
        ([], "the following arguments are required: --to"),
        (["--to", "width=0.5"], "--to width=0.5 is given; allowed: a factor of 1 and up"),
        (["--to", "mode=complex"], "the model's codec is abslog, and complex is requested: there is no mapping"),
        (["--to", "generator=DCGANGenerator"], "--to generator is given"),
        (
            ["--to", "width=1", "--generator", "DCGANGenerator", "--discriminator", "DCGANDiscriminator",
             "--progressive_growing", "False"],
            "a Generator cannot become a DCGANGenerator: all layers would have to be retrained",
        ),
        (["--to", "width=1", "--Generator.latent_size", "8"], "allowed: latent_size 4"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_in_one_line(
    more: list[str], message: str, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert main(["grow", str(trained / "results" / "000-tones"), *more, "--result_dir", "own"]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("error:") == 1 and not list(Path().glob("own/*"))


def test_fine_tuning_takes_codec_networks_and_freezes(
    trained: Path, grow: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    data = Path("flutes")
    data.mkdir()
    for index in range(6):
        wave = 0.3 * np.sin(2 * np.pi * (500 + 40 * index) * np.arange(4000) / 8000)
        soundfile.write(data / f"{index}.wav", wave, 8000)
    old = trained / "results" / "000-tones"
    quiet = ["--QualityMonitor.every_ticks", "0"]
    folder = grow("train", str(data), "--from", str(old), "--total_kimg", "0.008", "--minutes", "5", *quiet)
    config, state = yaml.safe_load((folder / "config.yaml").read_text()), state_of(folder)
    assert state["codec"]["parameters"] == state_of(old)["codec"]["parameters"]
    assert config["plugins"] == ["FreezeD"] and config["augmentations"] == ["SpectrogramAugment"]
    assert config["G_lr_max"] == 0.00025
    before = state_of(old)["networks"]["D"]
    frozen = {name for name, value in state["networks"]["D"].items() if torch.equal(value, before[name])}
    assert {"blocks.2.first.weight", "blocks.1.second.weight", "from_rgb.2.weight"} <= frozen
    assert "blocks.0.conv.weight" not in frozen and "score.weight" not in frozen
    assert "frozen: 2 of 2 blocks" in capsys.readouterr().out


def test_branches_are_paired(trained: Path, grow: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    line = [str(trained / "results" / "000-tones"), "--set", "G_lr_max=0.001", "--set", "D_lr_max=0.05"]
    assert main(["branch", *line, "--kimg", "0.012", "--repeats", "2", "--count", "16"]) == 0
    out = capsys.readouterr().out.splitlines()
    rows = {line.split()[0]: line for line in out}
    # 0.001 is what the run has: the same random numbers give the same weights, to the last digit.
    assert "+0.00 ± 0.00: no difference found" in rows["G_lr_max=0.001"]
    assert "±" in rows["D_lr_max=0.05"] and "+0.00 ± 0.00" not in rows["D_lr_max=0.05"]
    assert json.dumps(sorted(path.name for path in (trained / "results").iterdir())) == '["000-tones"]'
