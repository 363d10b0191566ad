"""Does growing save time? Compares training from scratch with growing a trained source.

The data are synthetic tones, or a folder of images or recordings (`--data`).

For each seed, one source is trained, and two more runs for each kind of growth. Each run is measured by the sliced
Wasserstein distance of its samples to its own data:

    source    the small model, trained for --minutes
    scratch   the target from random weights, trained for 2 x --minutes
    grown     the target from the source, trained for another --minutes

Source and grown model together take as long as the model from scratch, and the growing itself half as long. Growing
pays off if `grown` is not farther from the data than `scratch`. Times are processor times of one thread.

    python benchmarks/grow.py --minutes 10 --seeds 3
    python benchmarks/grow.py --minutes 5 --data datasets/cats --kinds size
    python benchmarks/grow.py --seeds 1 --kinds labels --tiny
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pggan_framework import run
from pggan_framework.cli.grow import facts_of
from pggan_framework.config import resolve_overrides
from pggan_framework.data.loader import to_network_range
from pggan_framework.launch.start import run_config
from pggan_framework.metrics.swd import sliced_wasserstein
from pggan_framework.models.pretrained import load_generator
from pggan_framework.planning.targets import grown
from pggan_framework.registry import REGISTRY
from pggan_framework.runs.folders import snapshots

HERE = Path(__file__).resolve().parent
if str(HERE.parent) not in sys.path:
    sys.path.insert(0, str(HERE.parent))

from benchmarks.machine import budget_in_processor_time, machine_facts  # noqa: E402  -- it is found only now

SMALL: dict[str, Any] = {
    "schedule": "WallClockSchedule",
    "loss": "LogisticGAN",
    "penalties": ["R1"],
    "R1.interval": 8,
    "lr_rampup_kimg": 0,
    "G_lr_max": 0.003,
    "D_lr_max": 0.003,
    "compile": "never",
    "Generator.fmap_base": 256,
    "Generator.fmap_max": 48,
    "Generator.latent_size": 64,
    "Discriminator.fmap_base": 256,
    "Discriminator.fmap_max": 48,
    "postprocessors": [],
    "loggers": ["JSONLLogger"],
    "QualityMonitor.every_ticks": 0,
    "HTMLReport.write": False,
    "DepthManager.tick_kimg_default": 1,
    "DepthManager.tick_kimg_overrides": {},
}
TONES: dict[str, Any] = {"frequency": 8000, "n_fft": 64, "hop_length": 32, "frames": 32, "margin": 0}
RECORDINGS: dict[str, Any] = {
    "img_mode": "mellog",
    "frequency": 8000,
    "n_fft": 512,
    "hop_length": 256,
    "bins": 16,
    "frames": 16,
    "preload": True,
}
IMAGES: dict[str, Any] = {"size": 16, "resize": "crop", "preload": True}
KINDS: dict[str, dict[str, Any]] = {
    "size": {"bins": 64, "frames": 64, "hop": 16},
    "rate": {"rate": 16000},
    "labels": {"labels": ["pitch"]},
}
TINY = {
    "Generator.fmap_max": 4,
    "Discriminator.fmap_max": 4,
    "schedule": None,
    "DepthManager.lod_training_nimg": 16,
    "DepthManager.lod_transition_nimg": 16,
    "total_kimg": 0.16,
}


def data_flags(folder: Path | None, tiny: bool) -> dict[str, Any]:
    """Return the flags of the source's data: tones, or the images or recordings of a folder."""
    if folder is None:
        name, own = "TonesDataset", {**TONES, **({"count": 40} if tiny else {})}
    elif any(path.suffix.lower() in (".png", ".jpg") for path in folder.rglob("*")):
        name, own = "DefaultImageFolderDataset", {**IMAGES, "dir_path": str(folder)}
    else:
        name, own = "SoundImageDataset", {**RECORDINGS, "dir_path": str(folder), "too_short": "pad"}
    return {"dataset_class": name, **{f"{name}.{key}": value for key, value in own.items()}}


def distance(folder: Path, count: int) -> float:
    """Return the sliced Wasserstein distance x 1e3 of a run's samples to its data, mean over sizes."""
    model = load_generator(snapshots(folder)[-1])
    name = model.config["dataset_class"]
    dataset = REGISTRY.get(name).cls(**model.config[name])
    count = min(count, len(dataset))
    stored = torch.from_numpy(dataset.images(range(count), model.generator.depth))
    reals = to_network_range(stored, dataset.range_in, (-1, 1)).numpy()
    fakes = model.sample(count, 0)
    pixels = [
        np.rint((np.asarray(np.clip(images, -1, 1), np.float64) + 1) * 127.5).astype(np.uint8)
        for images in (reals, fakes)
    ]
    return float(np.mean(list(sliced_wasserstein(pixels[0], pixels[1]).values())))


def train_source(seed: int, minutes: float, data: Path | None, tiny: bool, results: Path) -> Path:
    """Train the source of a seed, and return its folder."""
    flags = {
        **SMALL,
        **data_flags(data, tiny),
        **(TINY if tiny else {}),
        "random_seed": seed,
        "result_dir": str(results),
    }
    return run(overrides={**flags, "exp_name": "source", "minutes": None if tiny else minutes}).path


def compare(
    kind: str, source: Path, seed: int, minutes: float, data: Path | None, tiny: bool, results: Path
) -> dict[str, float]:
    """Return the three distances of one kind and seed."""
    facts = facts_of(str(source), results)
    target = grown(facts, {"size": 32} if kind == "size" and facts.codec is None else KINDS[kind])
    if kind == "labels" and data is not None:
        target[target["dataset_class"]]["labels_csv"] = str(data / "labels.csv")
    more = {"random_seed": seed, "result_dir": str(results)}
    alone = {**target, "resume_network": "", "DepthManager": {**target["DepthManager"], "trained_depth": None}}
    found = {"source": source}
    for name, base, length in (("scratch", alone, 2 * minutes), ("grown", target, minutes)):
        config = resolve_overrides(
            None, {**more, "exp_name": f"{kind}-{name}", "minutes": None if tiny else length}, base=base
        )
        found[name] = run_config(config).path
    return {name: distance(folder, 32 if tiny else 1024) for name, folder in found.items()}


def main() -> None:
    """Run the comparison and print one line per kind."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--minutes", type=float, default=10.0, help="training time of the source in minutes (default: %(default)s)"
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument(
        "--data",
        type=Path,
        metavar="DIR",
        help="images or recordings, with pitches in labels.csv for labels (default: synthetic tones)",
    )
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS), default=list(KINDS))
    parser.add_argument("--tiny", action="store_true", help="train small networks for 160 images only, as a quick test")
    given = parser.parse_args()
    torch.set_num_threads(1)
    budget_in_processor_time()
    print(json.dumps(machine_facts(1)), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder)
        sources = [train_source(seed, given.minutes, given.data, given.tiny, results) for seed in range(given.seeds)]
        for kind in given.kinds:
            rows = [
                compare(kind, source, seed, given.minutes, given.data, given.tiny, results)
                for seed, source in enumerate(sources)
            ]
            print(json.dumps({"kind": kind, "runs": rows}), flush=True)
            summary: dict[str, Any] = {"kind": kind, "minutes": given.minutes, "seeds": given.seeds}
            for name in rows[0]:
                values = np.array([row[name] for row in rows])
                spread = values.std(ddof=1) / sqrt(len(values)) if len(values) > 1 else float("nan")
                summary[name] = [round(float(values.mean()), 3), round(float(spread), 3)]
            print(json.dumps(summary), flush=True)


if __name__ == "__main__":
    main()
