"""The shipped configs: all resolve, and GANSynth's is built at full size and takes steps."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from math import log2
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import yaml
from PIL import Image

from pggan_framework import run
from pggan_framework.cli.main import main
from pggan_framework.config import resolve_overrides
from pggan_framework.launch.dry_run import dry_run
from pggan_framework.models.pretrained import load_generator
from pggan_framework.plugins.depth import DepthManager
from pggan_framework.runs.folders import snapshots

CONFIGS = sorted((Path(__file__).parents[1] / "configs").glob("*.yaml"))
GANSYNTH = next(path for path in CONFIGS if path.stem == "gansynth")


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_config_says_what_it_means(path: Path) -> None:
    given = yaml.safe_load(path.read_text())
    resolved = resolve_overrides(path, {}).to_dict()
    for name, value in given.items():
        found = resolved[name]
        if isinstance(value, dict):
            assert {parameter: found[parameter] for parameter in value} == value, name
        else:
            assert found == value, name


REDUCED: dict[str, dict[str, Any]] = {
    "Generator": {"fmap_base": 16, "fmap_max": 4, "latent_size": 4},
    "Discriminator": {"fmap_base": 16, "fmap_max": 4},
    "R3GANGenerator": {"fmap_base": 16, "fmap_max": 4, "latent_size": 4},
    "R3GANDiscriminator": {"fmap_base": 16, "fmap_max": 4},
    "DCGANGenerator": {"fmap_base": 4, "fmap_max": 4, "latent_size": 4},
    "DCGANDiscriminator": {"fmap_base": 4, "fmap_max": 4},
    "SPADEGenerator": {"fmap_base": 16, "fmap_max": 4, "hidden": 4},
    "MapDiscriminator": {"fmap_base": 16, "fmap_max": 4},
    "TonesDataset": {"count": 12, "n_fft": 32, "hop_length": 16, "frames": 16},
    "IterationSchedule": {"iterations": {0: 3}, "alpha_jumps": {0: 2}, "alpha_jump_length": {0: 1}},
    "StaircaseSchedule": {"iterations": {0: 4}, "delay": {0: 1}, "interval": 1, "jumps": {0: 2}},
    "StageSchedule": {"cycles": {0: [[1, 0.5], [0.1, 0.5]]}},
    "WallClockSchedule": {"minutes": 0.3, "min_steps": 0},  # of a clock that counts steps
    "PitchMonitor": {"count": 2, "every_ticks": 100},
}
"""Small networks, and schedules that reach every depth in a few steps."""
STAND_INS = 12
"""Images or sounds."""


def stand_in(config: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Data for a config, as small as they can be, and what of its dataset is reduced for them."""
    dataset = config["dataset_class"]
    own = config[dataset]
    random = np.random.default_rng(0)
    height, width = own.get("size") or (64, 64) if not isinstance(own.get("size"), int) else (own["size"],) * 2
    least = 24 if config.get("schedule") else 12  # a schedule may name depths that have to be there
    ratio = 1 << int(log2(max(1, min(height, width) / least)))
    size = height // ratio, width // ratio
    flags: dict[str, Any] = {}
    if dataset == "DefaultImageFolderDataset":
        for number in range(STAND_INS):
            (folder / str(number % 2)).mkdir(parents=True, exist_ok=True)
            pixels = random.integers(0, 256, (*size, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / str(number % 2) / f"{number}.png")
        flags = {"dir_path": str(folder), "size": size}
    elif dataset == "LabelMapDataset":
        classes = own.get("classes") or len(own["label_names"])
        for kind, levels, shape in (("images", 256, (*size, 3)), ("labels", classes, size)):
            (folder / kind).mkdir(parents=True)
            for number in range(STAND_INS):
                pixels = random.integers(0, levels, shape, dtype=np.uint8)
                Image.fromarray(pixels).save(folder / kind / f"{number}.png")
        flags = {"image_dir": str(folder / "images"), "label_dir": str(folder / "labels"), "size": size}
    elif dataset == "SoundImageDataset":
        folder.mkdir(parents=True)
        rows = [f"file,{(own.get('labels') or ['pitch'])[0]}"]
        for number in range(STAND_INS):
            wave = 0.3 * np.sin(2 * np.pi * (300 + 40 * number) * np.arange(16000) / 16000)
            name = f"{number % 2}/keyboard_{number:03d}-{60 + number % 2:03d}-100.wav"
            (folder / name).parent.mkdir(exist_ok=True)
            soundfile.write(folder / name, wave, 16000)
            rows.append(f"{name},{60 + number % 2}")
        (folder / "labels.csv").write_text("\n".join(rows))
        flags = {"dir_path": str(folder), "n_fft": 32, "hop_length": 16, "frames": 16}
        if "seed_shape" in own:
            flags["seed_shape"] = [16, 2] if own["seed_shape"][0] > 32 else [4, 1]
        if "bins" in own:
            flags["bins"] = 16
        if "labels_csv" in own:
            flags["labels_csv"] = str(folder / "labels.csv")
    if tuple(flags.get("seed_shape", own.get("seed_shape", ()))) > size:
        flags["seed_shape"] = None
    return {f"{dataset}.{name}": value for name, value in flags.items()}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_config_trains_at_every_depth(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(DepthManager, "now", itertools.count().__next__)
    given = yaml.safe_load(path.read_text())
    config = resolve_overrides(path, {}).to_dict()
    flags = {
        f"{component}.{name}": value
        for component, values in REDUCED.items()
        for name, value in values.items()
        if component in config
    }
    if "seed_shape" in given.get("TonesDataset", {}):
        flags |= {"TonesDataset.bins": 16, "TonesDataset.margin": 1, "TonesDataset.seed_shape": None}
    if "minutes" in given:
        flags["minutes"] = None  # its schedule counts the steps of the stand-in clock
    if given["dataset_class"] != "TonesDataset":
        flags |= stand_in(given, tmp_path / "data")
    for name in [name for name in flags if name.endswith("latent_size") and given.get("SPADEGenerator")]:
        del flags[name]
    flags |= {"minibatch_size": 4, "result_dir": str(tmp_path / "results"), "num_data_workers": 0}
    flags |= {"postprocessors": [], "loggers": ["JSONLLogger"], "OutputGenerator.samples_count": 2, "lr_rampup_kimg": 0}
    if config.get("DepthManager"):
        flags["DepthManager.minibatch_overrides"] = {}
        flags["DepthManager.tick_kimg_default"], flags["DepthManager.tick_kimg_overrides"] = 0.004, {}
        if config["schedule"] is None:
            for phase in ("training", "transition"):
                flags[f"DepthManager.lod_{phase}_nimg"], flags[f"DepthManager.lod_{phase}_overrides"] = 4, {}
    if config["total_epochs"] is not None:
        flags["total_epochs"] = 1
    else:
        flags["total_kimg"] = 0.06
    if config["by_depth"]:
        flags["by_depth"] = {name: {0: table[0], 2: table[max(table)]} for name, table in config["by_depth"].items()}
    assert dry_run(resolve_overrides(path, flags)) == 0
    planned = {int(line.split()[0]) for line in capsys.readouterr().out.splitlines() if line[:5].strip().isdigit()}
    result = run(path, flags)
    rows = [json.loads(line) for line in (result.path / "stats.jsonl").read_text().splitlines()]
    growth = load_generator(snapshots(result.path)[-1]).growth
    depths = range(growth.max_depth + 1) if config["progressive_growing"] else [growth.max_depth]
    assert {row["depth"] for row in rows} == planned == set(depths)
    assert len(depths) > 1 or not config["progressive_growing"]
    assert all(np.isfinite([row["D_loss"], row["G_loss"]]).all() for row in rows)


@pytest.fixture
def nsynth(tmp_path: Path) -> Path:
    """Eight notes with the names and the length of NSynth's."""
    folder = tmp_path / "nsynth"
    folder.mkdir()
    time = np.arange(64000) / 16000
    for number, pitch in enumerate((24, 48, 60, 84) * 2):
        tone = 0.3 * np.sin(2 * np.pi * 440 * 2 ** ((pitch - 69) / 12) * time) * np.exp(-time)
        soundfile.write(folder / f"keyboard_acoustic_{number:03d}-{pitch:03d}-100.wav", tone, 16000)
    return folder


def test_gansynth_at_full_size(nsynth: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["train", "--config", str(GANSYNTH), "--SoundImageDataset.dir_path", str(nsynth), "--dry_run"]
    assert main([*words, "--SoundImageDataset.prepared_dir", "None"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines() if line[:5].strip().isdigit()]
    assert [row[1] for row in rows] == [f"2x{16 << d}x{2 << d}" for d in range(7)]
    assert {row[2] for row in rows} == {"8"}
    assert [float(row[3].replace(",", "")) for row in rows] == [800, *[1600] * 5, 2200]


@pytest.mark.slow
def test_gansynth_takes_steps(nsynth: Path, tmp_path: Path) -> None:
    flags = {
        "SoundImageDataset.dir_path": nsynth,
        "SoundImageDataset.prepared_dir": None,
        "total_kimg": 0.024,
        "result_dir": str(tmp_path / "results"),
        "postprocessors": [],
        "DepthManager.tick_kimg_default": 0.008,
        "DepthManager.lod_training_nimg": 8,
        "DepthManager.lod_transition_nimg": 8,
    }
    result = run(GANSYNTH, flags)
    assert np.isfinite([result.stats["D_loss"], result.stats["G_loss"], result.stats["D_label"]]).all()
    pretrained = load_generator(snapshots(result.path)[-1])
    assert pretrained.label_space is not None and pretrained.label_space.attributes[0].values == (
        "24",
        "48",
        "60",
        "84",
    )
    picture = pretrained.sample(1)
    assert picture.shape == (1, 2, 32, 4)
    assert pretrained.decode(picture, refine_iter=0).shape == (1, 128 * 512)
