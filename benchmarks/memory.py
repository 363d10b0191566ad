"""How much memory a training step takes, compared with the prediction of ``--dry_run``.

    OMP_NUM_THREADS=1 python benchmarks/memory.py
    python benchmarks/memory.py --resolutions 64,128 --widths 2048/128 --batches 16 --micro_batches 0,8,4
    python benchmarks/memory.py --resolutions 512 --widths 2048/128 --batches 6 --checkpointing never,always

The script measures the peak resident memory (VmHWM of Linux) during several steps of D and G in a new process, beyond
the memory of that process after all imports and a first convolution with its gradients. The measured memory contains
tensors, memory that libraries keep, and freed blocks that the allocator keeps. Each combination of the given values is
a row; a micro-batch that is not smaller than the batch is skipped. Steps are eager, and images are random. Below 16 px,
the measurement is mostly noise. The prediction applies to the tensor pool, if it is available; ``--allocators glibc``
measures without the pool.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks import machine as computer  # noqa: E402
from benchmarks.contestants.ours import stepper, training_step  # noqa: E402
from pggan_framework import losses  # noqa: E402
from pggan_framework.cpu.allocation import keep_freed_memory  # noqa: E402
from pggan_framework.cpu.pool import use_pool  # noqa: E402
from pggan_framework.training.estimate import Training, estimate  # noqa: E402

_ROW = "{:>5} {:>10} {:>6} {:>6} {:>9} {:>14} {:>9} {:>10} {:>10} {:>7} {:>9}"


def main() -> None:
    """Measure every combination."""
    given = _parser().parse_args()
    if given.one:
        print(json.dumps(measure(given.one, given.steps)))
        return
    machine = {
        "machine": computer.processor(),
        "torch": torch.__version__,
        "libc": " ".join(os.confstr("CS_GNU_LIBC_VERSION").split()) if hasattr(os, "confstr") else "",  # type: ignore[union-attr]
        "date": time.strftime("%Y-%m-%d"),
        "steps": given.steps,
    }
    print("; ".join(f"{name} {value}" for name, value in machine.items()))
    names = "px width batch micro loss checkpointing allocator predicted measured ratio"
    print(_ROW.format(*names.split(), "s a step"))
    rows = []
    for side, width, batch, micro, loss, checkpointing, allocator in itertools.product(
        given.resolutions, given.widths, given.batches, given.micro_batches, given.losses, given.checkpointing,
        given.allocators,
    ):  # fmt: skip
        if micro >= batch:
            continue
        base, maximum = (int(number) for number in width.split("/"))
        setting = {
            "resolution": side, "fmap_base": base, "fmap_max": maximum, "batch": batch, "micro_batch": micro or None,
            "loss": loss, "checkpointing": checkpointing, "allocator": allocator,
        }  # fmt: skip
        row = setting | in_a_process(setting, given.steps)
        rows.append(row)
        print(
            _ROW.format(
                side, width, batch, micro or "-", loss, checkpointing, allocator, f"{row['predicted']:.0f} MiB",
                f"{row['measured']:.0f} MiB", f"{row['predicted'] / row['measured']:.2f}", f"{row['seconds']:.2f}",
            ),
            flush=True,
        )  # fmt: skip
    large = [row for row in rows if row["resolution"] >= 16]
    if len(large) > 3:
        print(f"from 16 px, {fitted(large):.2f} times the peak would fit best")
    if given.json:
        given.json.write_text(json.dumps({**machine, "rows": rows}, indent=1) + "\n", encoding="utf-8")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--resolutions", type=_numbers, default=[4, 8, 16, 32, 64, 128], help="sides in pixels, such as 4,8,16"
    )
    parser.add_argument(
        "--widths", type=_words, default=["2048/128"], help="fmap_base/fmap_max pairs, such as 2048/128"
    )
    parser.add_argument("--batches", type=_numbers, default=[16])
    parser.add_argument("--micro_batches", type=_numbers, default=[0], help="micro-batch sizes; 0 for the whole batch")
    parser.add_argument("--losses", type=_words, default=["WGANGP"], help="losses, such as WGANGP,HingeGAN")
    parser.add_argument(
        "--checkpointing", type=_words, default=["never"], help="activation checkpointing: never, large, always"
    )
    parser.add_argument("--allocators", type=_words, default=["pool"], help="allocators: pool, glibc")
    parser.add_argument("--steps", type=int, default=6, help="number of steps (default: %(default)s)")
    parser.add_argument("--json", type=Path, help="JSON file for the values")
    parser.add_argument("--one", type=json.loads, help=argparse.SUPPRESS)
    return parser


def _numbers(text: str) -> list[int]:
    return [int(word) for word in text.split(",")]


def _words(text: str) -> list[str]:
    return text.split(",")


def in_a_process(setting: dict[str, Any], steps: int) -> dict[str, float]:
    """Call `measure` in a separate process."""
    command = [sys.executable, __file__, "--one", json.dumps(setting), "--steps", str(steps)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{setting}: {done.stderr.strip().splitlines()[-1:]}")
    found: dict[str, float] = json.loads(done.stdout)
    return found


def measure(setting: dict[str, Any], steps: int) -> dict[str, float]:
    """Return the predicted and measured MiB, and the processor seconds per step."""
    side, batch = setting["resolution"], setting["batch"]
    width = setting["fmap_base"], setting["fmap_max"]
    computer.load_libraries()
    real = torch.rand(batch, 3, side, side) * 2 - 1
    before = computer.resident("VmRSS")
    keep_freed_memory()
    use_pool(setting["allocator"] == "pool")
    step, ema = training_step(side, *width, width[1], 1.0)
    for network in (step.G, step.D):
        network.checkpoint_activations(setting["checkpointing"])
    step.micro_batch = setting["micro_batch"]
    step.loss = getattr(losses, setting["loss"])()
    one = stepper(step, ema, batch)
    start = time.process_time()
    for _ in range(steps):
        one(real)
    seconds = (time.process_time() - start) / steps
    measured = computer.resident("VmHWM") - before
    training = Training(step.loss, step.G_optimizer, step.D_optimizer, micro_batch=step.micro_batch)
    cost = estimate(step.G, step.D, step.G.growth, step.G.max_depth, batch, training)
    kept, peak = (count / 2**20 for count in cost.tensors)
    return {
        "predicted": cost.memory_bytes / 2**20,
        "measured": measured,
        "seconds": seconds,
        "kept": kept,
        "peak": peak,
    }


def fitted(rows: list[dict[str, Any]]) -> float:
    """Fit the factors of `training.memory.resident_bytes` by least squares of the relative errors."""
    peaks, beyond = (
        np.array([(row[name] - (row["kept"] if name == "measured" else 0)) / row["measured"] for row in rows])
        for name in ("peak", "measured")
    )
    return float(peaks @ beyond / (peaks @ peaks))


if __name__ == "__main__":
    main()
