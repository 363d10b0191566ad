"""Overhead of a complete run of train.py: its images per second compared with those of the bare training step.

    python benchmarks/end_to_end.py
    OMP_NUM_THREADS=1 python benchmarks/end_to_end.py --seconds 60 --fmap_base 512 --fmap_max 64 --latent 64
    python benchmarks/end_to_end.py --linear

Three sides take turns in one process, with the same networks at the full size of the images and the same batch size:

    run       what ``python train.py`` does: batches from the images, schedule, losses, progress bar, log, samples at
              every third tick and a checkpoint at every tenth, all far more often than by default. Each turn ends
              when the background writes have finished, so their time is included.
    bare      the updates of D, G and the EMA, repeated on one batch that is already a tensor.
    decoding  the bare step with torch's DataLoader and a data set that opens, decodes and reduces each image each
              time, as in deepsound's trainer and most others.

A turn is one tick. The script prints the machine, the images per second of each side over all turns but the first, by
wall-clock time and by processor time, and the ratios. With --linear, it instead trains one depth for one, two and four
times as many images, and prints the time per image for each.

The images come from `pggan prepare cats datasets/cats --count 3000 --size 64`, or from any folder of images.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

HERE = Path(__file__).parent
if str(HERE.parent) not in sys.path:
    sys.path.insert(0, str(HERE.parent))

from benchmarks.machine import machine_facts  # noqa: E402  -- it is found only now
from pggan_framework import register, run  # noqa: E402
from pggan_framework.config import resolve_overrides  # noqa: E402
from pggan_framework.data.loader import to_network_range  # noqa: E402
from pggan_framework.launch.experiment import Experiment  # noqa: E402
from pggan_framework.registry import REGISTRY  # noqa: E402
from pggan_framework.training.plugin import Plugin  # noqa: E402

Spent = tuple[float, float]
"""Seconds by the clock, and of processor time."""
Turn = Callable[[int], None]
"""Takes so many steps."""
STEPS = 10
"""Of a tick, with --linear: 160 images."""


class Watch:
    """Accumulates wall-clock time and the processor time of all threads."""

    def __init__(self) -> None:
        self.spent: Spent = (0.0, 0.0)
        self.start()

    def start(self) -> None:
        """Resume the measurement."""
        self._from = time.perf_counter(), time.process_time()

    def stop(self) -> None:
        """Add the time since `start`."""
        clock, cpu = self._from
        self.spent = self.spent[0] + time.perf_counter() - clock, self.spent[1] + time.process_time() - cpu


def main() -> None:
    """Run the sides in turns, or train for several lengths."""
    given = _parser().parse_args()
    torch.set_num_threads(given.threads)
    machine = {
        **machine_facts(given.threads),
        "setting": f"{given.side} px, batch {given.batch}, fmap_base {given.fmap_base}, fmap_max {given.fmap_max},"
        f" latent {given.latent}",
    }
    print("; ".join(f"{name} {value}" for name, value in machine.items()), flush=True)
    figures = linear(given) if given.linear else compare(given)
    if given.json:
        given.json.write_text(json.dumps({**machine, **figures}, indent=1) + "\n", encoding="utf-8")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data", type=Path, default=Path("datasets/cats"), help="folder of images (default: %(default)s)"
    )
    parser.add_argument(
        "--side", type=int, default=64, help="side of the trained images in pixels (default: %(default)s)"
    )
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--fmap_base", type=int, default=2048)
    parser.add_argument("--fmap_max", type=int, default=128)
    parser.add_argument("--latent", type=int, default=128)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument(
        "--seconds",
        type=float,
        default=300,
        help="total time of the turns in seconds, at least three turns (default: %(default)s)",
    )
    parser.add_argument(
        "--steps", type=int, default=STEPS, help="number of steps per tick, which is a turn (default: %(default)s)"
    )
    parser.add_argument("--linear", action="store_true", help="instead, train for 1, 2 and 4 times --kimg")
    parser.add_argument(
        "--kimg",
        type=float,
        default=0.32,
        help="shortest training for --linear, in thousand images (default: %(default)s)",
    )
    parser.add_argument("--json", type=Path, help="JSON file for the values")
    return parser


def flags_of(given: argparse.Namespace, folder: str) -> dict[str, Any]:
    """Return the flags of a run at one depth."""
    flags: dict[str, Any] = {
        "dataset_class": "DefaultImageFolderDataset",
        "DefaultImageFolderDataset.dir_path": str(given.data),
        "DefaultImageFolderDataset.preload": True,
        "DefaultImageFolderDataset.size": given.side,
        "DefaultImageFolderDataset.resize": "stretch",
        "progressive_growing": False,
        "minibatch_size": given.batch,
        "compile": "never",
        "device": "cpu",
        "result_dir": folder,
        "Trainer.tick_nimg_default": given.steps * given.batch,
        "SaverPlugin.network_snapshot_ticks": 10,
        "Generator.latent_size": given.latent,
    }
    for network in ("Generator", "Discriminator"):
        flags |= {f"{network}.fmap_base": given.fmap_base, f"{network}.fmap_max": given.fmap_max}
    return flags


@contextlib.contextmanager
def plugin(hook: Callable[[Plugin], None]) -> Iterator[str]:
    """Register a plugin whose `before_step` is `hook`, and return its name."""

    class Between(Plugin):
        """Calls a function before each step."""

        def before_step(self) -> None:
            """Call it."""
            hook(self)

    register("plugin")(Between)
    try:
        yield "Between"
    finally:
        REGISTRY.remove("Between")


def compare(given: argparse.Namespace) -> dict[str, Any]:
    """Run the turns and print the result."""
    watches = {name: Watch() for name in ("run", "bare", "decoding")}
    turns = 0
    end = time.perf_counter() + given.seconds
    with tempfile.TemporaryDirectory() as folder:
        flags = flags_of(given, folder)
        others = bare_sides(Experiment(resolve_overrides(None, flags)), given)

        def between(hook: Plugin) -> None:
            nonlocal turns, watches
            trainer = hook.trainer
            if trainer.iteration % given.steps or not trainer.iteration:
                return
            trainer.background.join()
            watches["run"].stop()
            for name, turn in others.items():
                watches[name].start()
                turn(given.steps)
                watches[name].stop()
            turns += 1
            if turns == 1:  # what is done once, and first calls
                watches = {name: Watch() for name in watches}
            elif turns > 3 and time.perf_counter() > end:
                trainer.stop("enough")
            watches["run"].start()

        with plugin(between) as name, contextlib.redirect_stdout(io.StringIO()):
            run(overrides={**flags, "plugins": [name], "total_kimg": 1e6})
    images = (turns - 1) * given.steps * given.batch
    print(f"{turns - 1} turns of {given.steps} steps")
    print(f"{'':10}{'images/s':>10}{'of processor':>14}{'of bare':>9}{'by clock':>10}")
    figures: dict[str, Any] = {"turns": turns - 1}
    for name, watch in watches.items():
        clock, cpu = (images / spent for spent in watch.spent)
        ratio, of_clock = (bare / own for bare, own in zip(watches["bare"].spent[::-1], watch.spent[::-1], strict=True))
        figures[name] = {"clock": clock, "processor": cpu, "of_bare": ratio, "of_bare_clock": of_clock}
        print(f"{name:10}{clock:>10.2f}{cpu:>14.2f}{ratio:>9.1%}{of_clock:>10.1%}")
    figures["run_over_decoding"] = figures["run"]["processor"] / figures["decoding"]["processor"]
    figures["run_over_decoding_clock"] = figures["run"]["clock"] / figures["decoding"]["clock"]
    print(f"a run gives {figures['run_over_decoding']:.3f} times the images of the decoding side,"
          f" {figures['run_over_decoding_clock']:.3f} times by the clock")  # fmt: skip
    return figures


class Pictures(Dataset[Tensor]):
    """Images that are opened, decoded and reduced each time.

    Args:
        folder: folder of the images.
        side: side of the images in pixels.
    """

    def __init__(self, folder: Path, side: int) -> None:
        self.files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".png", ".jpg", ".jpeg"))
        self.side = side

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Tensor:
        with Image.open(self.files[index]) as image:
            pixels = image.convert("RGB").resize((self.side, self.side), Image.Resampling.BOX)
        return torch.from_numpy(np.asarray(pixels, np.float32).transpose(2, 0, 1) / 127.5 - 1)


def bare_sides(experiment: Experiment, given: argparse.Namespace) -> dict[str, Turn]:
    """Return the two sides besides the run, which share its networks."""
    step, ema, dataset = experiment.step, experiment.ema, experiment.dataset
    experiment.generator.depth = experiment.discriminator.depth = dataset.growth.max_depth
    shown = 0

    def one(reals: Tensor) -> None:
        nonlocal shown
        shown += given.batch
        step.discriminator_update(reals)
        step.generator_update(given.batch)
        ema.update(step.G, shown, given.batch)

    stored = torch.from_numpy(dataset.images(range(given.batch), dataset.growth.max_depth))
    constant = to_network_range(stored, dataset.range_in, dataset.range_out)

    def endless() -> Iterator[Tensor]:
        while True:
            pictures = Pictures(given.data, given.side)
            yield from DataLoader(pictures, batch_size=given.batch, shuffle=True, drop_last=True)

    batches = endless()

    def bare(steps: int) -> None:
        for _ in range(steps):
            one(constant)

    def decoding(steps: int) -> None:
        for _ in range(steps):
            one(next(batches))

    return {"bare": bare, "decoding": decoding}


def linear(given: argparse.Namespace) -> dict[str, Any]:
    """Print the time per image for trainings of three lengths."""
    print(f"{'kimg':>8}{'ms/image':>10}{'of processor':>14}")
    rows = []
    for times in (1, 2, 4):
        kimg = given.kimg * times
        with tempfile.TemporaryDirectory() as folder:
            watch = Watch()

            def begin(hook: Plugin, watch: Watch = watch) -> None:
                if hook.trainer.iteration == 0:
                    watch.start()

            with plugin(begin) as name, contextlib.redirect_stdout(io.StringIO()):
                result = run(overrides={**flags_of(given, folder), "plugins": [name], "total_kimg": kimg})
            watch.stop()
        clock, cpu = (1000 * spent / result.nimg for spent in watch.spent)
        rows.append({"kimg": result.nimg / 1000, "ms_image": clock, "cpu_ms_image": cpu})
        print(f"{result.nimg / 1000:8.2f}{clock:10.2f}{cpu:14.2f}", flush=True)
    spread = max(row["cpu_ms_image"] for row in rows) / min(row["cpu_ms_image"] for row in rows)
    print(f"the longest and the shortest differ by {spread - 1:.1%} of processor time an image")
    return {"rows": rows, "spread": spread}


if __name__ == "__main__":
    main()
