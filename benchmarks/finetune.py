"""Does fine-tuning a model of other sounds help with few recordings? Compares it with training from scratch.

For each seed, two models are trained on a few recordings: one from scratch with `pggan train FEW`, and one that starts
from a model of other recordings, with `pggan train FEW --from RUN`. Both are measured by the Frechet distance of
log-mel statistics to recordings of the same kind that neither was trained on, at 16 kHz over one second, and by the
fraction of samples that are copies of training clips. Minutes are processor time of one thread.

    python benchmarks/finetune.py --source datasets/notes --few datasets/flute40 --rest datasets/flute --minutes 10
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile
import torch

HERE = Path(__file__).resolve().parent
if str(HERE.parent) not in sys.path:
    sys.path.insert(0, str(HERE.parent))

from benchmarks.machine import budget_in_processor_time, machine_facts  # noqa: E402  -- it is found only now
from benchmarks.ten_minutes import at_16k, command, distances, mono, recordings  # noqa: E402
from pggan_framework.cli.main import main as pggan  # noqa: E402
from pggan_framework.metrics.frechet import LEAST_SPREAD  # noqa: E402

RATE = 16000


def main() -> None:
    """Train and measure; print a line per run, and the mean ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--source", type=Path, required=True, help="a folder of recordings to train the source on, or a trained run")
    add("--few", type=Path, required=True, help="the few recordings to train on")
    add("--rest", type=Path, required=True, help="recordings of the same kind, to compare with")
    add("--minutes", type=float, default=10.0)
    add("--seeds", type=int, nargs="+", default=[0, 1, 2])
    add("--count", type=int, default=300)
    given = parser.parse_args()
    torch.set_num_threads(1)
    budget_in_processor_time()
    print(json.dumps(machine_facts(1)), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        source = given.source
        if not (source / "config.yaml").exists():
            source = train(given.source, given.minutes, 0, place / "source")
        ratios = []
        for seed in given.seeds:
            scratch = train(given.few, given.minutes, seed, place / f"scratch-{seed}")
            tuned = train(given.few, given.minutes, seed, place / f"tuned-{seed}", "--from", source)
            found = {}
            for name, run in (("scratch", scratch), ("fine-tuned", tuned)):
                found[name] = measured(run, given.rest, given.count)
                print(json.dumps({"seed": seed, "training": name, **found[name]}), flush=True)
            ratios.append(found["scratch"]["frechet"] / found["fine-tuned"]["frechet"])
        logs = np.log(ratios)
        mean, spread = np.exp(logs.mean()), np.exp(logs.std(ddof=1) if len(logs) > 1 else float("nan"))
        print(f"from scratch / fine-tuned: {mean:.2f} times, standard deviation over seeds: {spread:.2f} times")


def train(data: Path, minutes: float, seed: int, place: Path, *more: object) -> Path:
    """Train on `data` with results in the new folder `place`, and return the run's folder."""
    words = ("train", data.resolve(), "--minutes", minutes, "--random_seed", seed, "--result_dir", place, *more)
    if status := pggan([*map(str, words), "--quiet"]):
        raise SystemExit(status)
    (run,) = place.iterdir()
    return run


def measured(run: Path, rest: Path, count: int) -> dict[str, float]:
    """Return the distance of a run's samples to `rest`, its baseline, and the fraction of copies and its baseline."""
    samples = run.parent / "samples"
    command("generate", run, "--count", count, "--out", samples, "--only", "files")
    fakes = np.stack([at_16k(mono(wave), rate) for wave, rate in map(soundfile.read, sorted(samples.glob("*.wav")))])
    distance, baseline = distances(recordings(rest, RATE, RATE, 2 * count), fakes, RATE, LEAST_SPREAD)
    table = command("evaluate", run, "--metrics", "silence", "--neighbours", 1)
    copies, floor = map(float, re.findall(r"neighbours_mel\.copies +(\S+) +(\S+)", table)[0])
    return {"frechet": distance, "baseline": baseline, "copies": copies, "copies of reals": floor}


if __name__ == "__main__":
    main()
