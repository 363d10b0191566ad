"""How much faster several processes train than one, measured here, and what a model on paper says of many GPUs.

    python benchmarks/distributed.py
    python benchmarks/distributed.py --model

Measured is the whole step at one resolution, of one process with one thread and of two with one thread each, in turns;
each turn trains a number of steps and counts the last ones. Printed are the machine, the time of an image in each turn,
the medians and their ratio. Two processes on two cores cannot be faster than twice one; what is lost is the sum of the
gradients and the memory both share.

With --model nothing is measured: the table shows, for a GPU of a given speed and a ring of a given bandwidth and
latency, the time of a step, the fraction of it that the sum of the gradients takes, and how many times as fast as one
GPU so many are, with the batch of each kept and with the batch of all kept.
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
    """Measure, or compute."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=64, help="pixels a side")
    parser.add_argument("--fmap_base", type=int, default=2048, help="of both networks")
    parser.add_argument("--fmap_max", type=int, default=128, help="of both networks")
    parser.add_argument("--batch", type=int, default=16, help="images, over all processes")
    parser.add_argument("--steps", type=int, default=12, help="steps a turn; the first third is not counted")
    parser.add_argument("--turns", type=int, default=3, help="of each")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--model", action="store_true", help="the model on paper instead")
    parser.add_argument("--tflops", type=float, default=60, help="of a GPU, as reached in convolutions; for the model")
    parser.add_argument("--bandwidth", type=float, default=20, help="GB/s of a link of the ring; for the model")
    parser.add_argument("--latency", type=float, default=15, help="microseconds of a message; for the model")
    given = parser.parse_args()
    if given.model:
        model(given.tflops * 1e12, given.bandwidth * 1e9, given.latency * 1e-6)
    else:
        measure(given)


def measure(given: argparse.Namespace) -> None:
    """Run the turns and print them."""
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
    """The time of an image, from the ticks of a run that trains one step a tick."""
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
    """Print the table for the paper's networks, batch by depth as in the paper."""
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
    """Operations of a step, and bytes of both networks' gradients in float32."""
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
