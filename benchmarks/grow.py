"""Does growing save time? Compares training from scratch with growing a trained source, on tones.

For each seed, one source is trained, and two more runs for each kind of growth. Each run is measured by the sliced
Wasserstein distance of its samples to its own data:

    source    the small model, trained for --minutes
    scratch   the target from random weights, trained for 2 x --minutes
    grown     the target from the source, trained for another --minutes / 2

Growing pays off if `grown`, whose total time is shorter than the time of `scratch`, is not farther from the data. Times
are wall-clock times on an idle machine.

    python benchmarks/grow.py --minutes 10 --seeds 3
    python benchmarks/grow.py --minutes 0.05 --seeds 1 --kinds labels --tiny
"""

from __future__ import annotations

import argparse
import json
import tempfile
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np

from pggan_framework import run
from pggan_framework.cli.grow import facts_of
from pggan_framework.config import resolve_overrides
from pggan_framework.launch.start import run_config
from pggan_framework.metrics.swd import sliced_wasserstein
from pggan_framework.models.pretrained import load_generator
from pggan_framework.planning.targets import grown
from pggan_framework.registry import REGISTRY
from pggan_framework.runs.folders import snapshots

SMALL: dict[str, Any] = {
    "dataset_class": "TonesDataset",
    "TonesDataset.frequency": 8000,
    "TonesDataset.n_fft": 64,
    "TonesDataset.hop_length": 32,
    "TonesDataset.frames": 32,
    "TonesDataset.margin": 0,
    "schedule": "WallClockSchedule",
    "loss": "LogisticGAN",
    "penalties": ["R1"],
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
KINDS: dict[str, dict[str, Any]] = {
    "size": {"bins": 64, "frames": 64, "hop": 16},
    "rate": {"rate": 16000},
    "labels": {"labels": ["pitch"]},
}
TINY = {
    "TonesDataset.count": 40,
    "Generator.fmap_max": 4,
    "Discriminator.fmap_max": 4,
    "WallClockSchedule.min_steps": 0,
}


def distance(folder: Path, count: int) -> float:
    """Return the sliced Wasserstein distance x 1e3 of a run's samples to its data, mean over sizes."""
    model = load_generator(snapshots(folder)[-1])
    name = model.config["dataset_class"]
    dataset = REGISTRY.get(name).cls(**model.config[name])
    count = min(count, len(dataset))
    reals = np.asarray(dataset.images(range(count), model.generator.depth), np.float64)
    fakes = model.sample(count, 0)
    pixels = [
        np.rint((np.asarray(np.clip(images, -1, 1), np.float64) + 1) * 127.5).astype(np.uint8)
        for images in (reals, fakes)
    ]
    return float(np.mean(list(sliced_wasserstein(pixels[0], pixels[1]).values())))


def train_source(seed: int, minutes: float, tiny: bool, results: Path) -> Path:
    """Train the source of a seed, and return its folder."""
    flags = {**SMALL, **(TINY if tiny else {}), "random_seed": seed, "result_dir": str(results)}
    return run(overrides={**flags, "exp_name": "source", "minutes": minutes}).path


def compare(kind: str, source: Path, seed: int, minutes: float, tiny: bool, results: Path) -> dict[str, float]:
    """Return the three distances of one kind and seed."""
    target = grown(facts_of(str(source), results), KINDS[kind])
    more = {"random_seed": seed, "result_dir": str(results)}
    alone = {**target, "resume_network": "", "DepthManager": {**target["DepthManager"], "trained_depth": None}}
    found = {"source": source}
    for name, base, length in (("scratch", alone, 2 * minutes), ("grown", target, minutes / 2)):
        config = resolve_overrides(None, {**more, "exp_name": f"{kind}-{name}", "minutes": length}, base=base)
        found[name] = run_config(config).path
    return {name: distance(folder, 32 if tiny else 1024) for name, folder in found.items()}


def main() -> None:
    """Run the comparison and print one line per kind."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--minutes", type=float, default=10.0, help="training time of the source in minutes (default: %(default)s)"
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS), default=list(KINDS))
    parser.add_argument("--tiny", action="store_true", help="use networks with 4 feature maps, as a quick test")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder)
        sources = [train_source(seed, given.minutes, given.tiny, results) for seed in range(given.seeds)]
        for kind in given.kinds:
            rows = [
                compare(kind, source, seed, given.minutes, given.tiny, results) for seed, source in enumerate(sources)
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
