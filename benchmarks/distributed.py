"""How much faster several processes train than one process, measured on this machine, and a model of many GPUs.

    python benchmarks/distributed.py
    python benchmarks/distributed.py --model

The script measures the whole step at one resolution, in one process with one thread and in two processes with one
thread each, in turns. Each turn trains several steps and counts the last ones. The output contains the machine, the
time per image in each turn, the medians and their ratio. Two processes on two cores can at most double the speed; some
of this is lost, since the gradients must be summed and both processes share the memory.

With --model, nothing is measured. For GPUs of a given speed in a ring of a given bandwidth and latency, the table shows
the time of a step, the fraction of it that the sum of the gradients takes, and the speed-up over one GPU, both with a
constant batch per GPU and with a constant total batch.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

TRAIN = Path(__file__).parents[1] / "train.py"
RING = 2
"""How often each byte of the gradients crosses a GPU's link in a ring: once to be added up, once to be handed out."""


def main() -> None:
    """Run the measurement, or print the model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=64, help="side of the images in pixels (default: %(default)s)")
    parser.add_argument("--fmap_base", type=int, default=2048, help="fmap_base of both networks (default: %(default)s)")
    parser.add_argument("--fmap_max", type=int, default=128, help="fmap_max of both networks (default: %(default)s)")
    parser.add_argument(
        "--batch", type=int, default=16, help="number of images per batch over all processes (default: %(default)s)"
    )
    parser.add_argument(
        "--steps", type=int, default=12, help="steps per turn; the first third is not counted (default: %(default)s)"
    )
    parser.add_argument("--turns", type=int, default=3, help="number of turns per side (default: %(default)s)")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--model", action="store_true", help="print the model instead of measuring")
    parser.add_argument(
        "--tflops",
        type=float,
        default=60,
        help="for the model: TFLOP/s of a GPU in convolutions (default: %(default)s)",
    )
    parser.add_argument(
        "--bandwidth", type=float, default=20, help="for the model: GB/s of a link of the ring (default: %(default)s)"
    )
    parser.add_argument(
        "--latency", type=float, default=15, help="for the model: microseconds per message (default: %(default)s)"
    )
    given = parser.parse_args()
    if given.model:
        model(given.tflops * 1e12, given.bandwidth * 1e9, given.latency * 1e-6)
    else:
        measure(given)


def measure(given: argparse.Namespace) -> None:
    """Run the turns and print their results."""
    import torch

    print(f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, torch {torch.__version__}")
    print(f"{given.size} px, fmap_base {given.fmap_base}, fmap_max {given.fmap_max}, batch {given.batch}")
    found: dict[int, list[float]] = {1: [], given.processes: []}
    for turn in range(given.turns):
        for processes, times in found.items():
            times.append(milliseconds(given, processes))
            print(f"turn {turn + 1}, {processes} process(es): {times[-1]:.1f} ms an image", flush=True)
    one, many = (statistics.median(times) for times in found.values())
    print(f"medians {one:.1f} and {many:.1f} ms: {one / many:.2f} times as fast")


def milliseconds(given: argparse.Namespace, processes: int) -> float:
    """Return the time per image in milliseconds, from the ticks of a run with one step per tick."""
    flags: dict[str, Any] = {
        "dataset_class": "TonesDataset",
        "TonesDataset.count": 64,
        "TonesDataset.n_fft": 2 * given.size,
        "TonesDataset.hop_length": given.size,
        "TonesDataset.frames": given.size,
        "TonesDataset.preload": True,
        "progressive_growing": False,
        "minibatch_size": given.batch,
        "Trainer.tick_nimg_default": given.batch,
        "total_kimg": given.batch * given.steps / 1000,
        "Generator.fmap_base": given.fmap_base,
        "Generator.fmap_max": given.fmap_max,
        "Discriminator.fmap_base": given.fmap_base,
        "Discriminator.fmap_max": given.fmap_max,
        "postprocessors": [],
        "loggers": ["JSONLLogger"],
        "SaverPlugin.network_snapshot_ticks": 10**6,
        "SaverPlugin.network_snapshot_minutes": 0,
        "device": "cpu",
    }
    with tempfile.TemporaryDirectory() as folder:
        words = [f"--{name}={json.dumps(value) if isinstance(value, list) else value}" for name, value in flags.items()]
        start = [sys.executable]
        if processes > 1:
            start += ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            [*start, str(TRAIN), *words, "--result_dir", folder],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            sys.exit(done.stderr)
        lines = next(Path(folder).glob("*/stats.jsonl")).read_text(encoding="utf-8").splitlines()
    ticks = [json.loads(line)["sec.kimg"] for line in lines]
    return float(statistics.median(ticks[len(ticks) // 3 :]))


def model(flops: float, bandwidth: float, latency: float) -> None:
    """Print the table for the networks and batch sizes of the PGGAN paper."""
    import torch

    from pggan_framework.losses.wgan import WGANGP
    from pggan_framework.networks import Discriminator, Generator
    from pggan_framework.schedules.growth import Growth
    from pggan_framework.training.step import TrainingStep

    print(f"GPU {flops / 1e12:g} TFLOP/s reached, link {bandwidth / 1e9:g} GB/s, {latency * 1e6:g} us a message")
    growth = Growth.of((3, 1024, 1024), (4, 4))
    counts = (8, 64, 512)
    head = "  ".join(f"{n:>3} GPUs: sum, weak, strong" for n in counts)
    print(f"{'px':>5} {'batch':>5} {'MB sent':>8} {'TFLOP':>7} {'one GPU':>9}  {head}")
    with torch.device("meta"):
        networks = Generator(growth), Discriminator(growth)
    for depth in range(growth.max_depth + 1):
        for network in networks:
            network.depth, network.alpha = depth, 1
        batch = {6: 14, 7: 6, 8: 3}.get(depth, 16)
        step = TrainingStep(
            networks[0],
            networks[1],
            WGANGP(),
            torch.optim.SGD(networks[0].parameters(), 0.0),
            torch.optim.SGD(networks[1].parameters(), 0.0),
            lambda count: torch.empty(count, networks[0].latent_size, device="meta"),
        )
        work, used = cost(step, batch, growth.shape_at(depth))
        alone = work / flops
        cells = []
        for gpus in counts:
            # Two sums a step, one of each network's gradients.
            summed = RING * (gpus - 1) / gpus * used / bandwidth + 2 * RING * (gpus - 1) * latency
            weak = gpus * alone / (alone + summed)
            strong = alone / (alone / min(gpus, batch) + summed)
            cells.append(f"{1000 * summed:>9.1f} ms {weak:>5.0f}x {strong:>5.1f}x")
        side = 4 * 2**depth
        text = f"{side:>5} {batch:>5} {used / 1e6:>8.1f} {work / 1e12:>7.2f} {1000 * alone:>6.1f} ms"
        print(text + "  " + "  ".join(cells))


def cost(step: Any, batch: int, shape: tuple[int, int, int]) -> tuple[float, float]:
    """Return the operations of a step, and the bytes of the float32 gradients of both networks."""
    import torch

    from pggan_framework.training.costing import Ledger

    with Ledger() as ledger:
        step.discriminator_update(torch.empty(batch, *shape, device="meta"))
        used = sum(4 * p.numel() for p in step.D.parameters() if p.grad is not None)
        step.generator_update(batch)
        used += sum(4 * p.numel() for p in step.G.parameters() if p.grad is not None)
    return ledger.work.flops, used


if __name__ == "__main__":
    started = time.perf_counter()
    main()
    print(f"{time.perf_counter() - started:.0f} s")
