"""How many modes of a toy data set a small generator covers, without and with each term that increases diversity.

    OMP_NUM_THREADS=1 python benchmarks/modes.py

The images are grey, 8x8, and show a cross: a vertical bar at one of 4 positions and a horizontal bar at one of 4
positions, which gives 16 equally frequent modes. The 64 pixels of an image are stored in its channels: this makes the
PGGAN networks fully connected, and a training takes seconds. Each variant is trained once per seed, with everything
else equal, and 1600 samples of the EMA generator are examined. A sample belongs to the mode with the nearest image. It
is good if its distance to this image is at most a third of the distance to the next mode. A mode is covered if it has
at least a fifth of its expected number of good samples, 20 of 1600.
"""

from __future__ import annotations

import argparse
import platform
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pggan_framework import DepthDataset, register
from pggan_framework.config import resolve_overrides
from pggan_framework.launch.experiment import Experiment

SIDE, BARS = 8, 4
"""Pixels of an image's side, and the places a bar has along it."""
MODES = BARS**2
CLOSE = 0.4
"""Root mean square distance of a good sample from its mode, in [-1, 1]; a third of that between neighbouring modes."""
SAMPLES, SHARE = 1600, 0.2

SETTING: dict[str, Any] = {
    "dataset_class": "Crosses",
    "progressive_growing": False,
    "loss": "StandardGAN",
    "Generator.fmap_base": 64,
    "Generator.fmap_max": 64,
    "Generator.kernel_size": 1,
    "Generator.latent_size": 8,
    "Generator.normalize_latents": False,
    "Generator.tanh_at_end": True,
    "Discriminator.fmap_base": 64,
    "Discriminator.fmap_max": 64,
    "Discriminator.kernel_size": 1,
    "Discriminator.mbstd": "none",
    "minibatch_size": 64,
    "lr_rampup_kimg": 0,
    "G_lr_max": 0.01,
    "D_lr_max": 0.01,
    "Trainer.tick_nimg_default": 10**6,
    "postprocessors": [],
    "loggers": [],
    "EMA.half_life_kimg": 2.0,
    "device": "cpu",
}
"""What all ways have in common."""

WAYS: dict[str, dict[str, Any]] = {
    "none": {},
    "minibatch stddev": {"Discriminator.mbstd": "grouped"},
    "PullAway": {"penalties": ["PullAway"]},
    "PullAway of images": {"penalties": ["PullAway"], "PullAway.of": "pictures"},
    "PullAway, centred": {"penalties": ["PullAway"], "PullAway.centred": True},
    "GDPP": {"penalties": ["GDPP"]},
    "UnrolledD, 2 steps": {"penalties": ["UnrolledD"], "UnrolledD.steps": 2},
    "RelativisticAverageGAN": {"loss": "RelativisticAverageGAN"},
}
"""Parameters of each contestant; all others have their defaults."""


def modes() -> NDArray[np.float64]:
    """Return the image of every mode, [MODES, SIDE * SIDE, 1, 1]: 1 on the two bars, -1 elsewhere."""
    bars = np.kron(np.eye(BARS), np.ones(SIDE // BARS))
    crosses = np.maximum(bars[:, None, :, None], bars[None, :, None, :])
    pictures: NDArray[np.float64] = 2 * crosses.reshape(MODES, -1, 1, 1) - 1
    return pictures


@register("dataset")
class Crosses(DepthDataset):
    """Images of one cross each, the modes in turn; they vary slightly in contrast and noise.

    Args:
        count: number of images.
    """

    def __init__(self, count: int = 4800) -> None:
        super().__init__([SIDE * SIDE, 1, 1], seed_shape=(1, 1))
        random = np.random.default_rng(0)
        clean = modes()[np.arange(count) % MODES] * random.uniform(0.8, 1, (count, 1, 1, 1))
        noisy = clean + random.normal(0, 0.05, clean.shape)
        self.pictures = np.rint((noisy.clip(-1, 1) + 1) * 127.5).astype(np.uint8)

    def __len__(self) -> int:
        return len(self.pictures)

    def image(self, index: int) -> NDArray[np.uint8]:
        """Return image `index`, [SIDE * SIDE, 1, 1]."""
        picture: NDArray[np.uint8] = self.pictures[index]
        return picture

    def fingerprint(self) -> str:
        """Return the name of the recipe and the count."""
        return f"crosses-{len(self)}"


def count_modes(
    pictures: NDArray[Any], centres: NDArray[Any], close: float = CLOSE, share: float = SHARE
) -> tuple[int, float]:
    """Return the number of modes that the samples cover, and the fraction of good samples.

    Args:
        pictures: samples [N, ...].
        centres: images of the modes [M, ...].
        close: largest root mean square distance of a good sample from its nearest mode.
        share: smallest number of good samples of a covered mode, as a fraction of N / M.
    """
    flat, middle = (x.reshape(len(x), -1).astype(np.float64) for x in (pictures, centres))
    squares = ((flat[:, None] - middle) ** 2).mean(2)
    nearest = squares.argmin(1)
    good = squares.min(1) <= close**2
    counts = np.bincount(nearest[good], minlength=len(middle))
    return int((counts >= max(share * len(flat) / len(middle), 1)).sum()), float(good.mean())


def train(way: dict[str, Any], seed: int, kimg: float) -> tuple[int, float]:
    """Return `count_modes` of a generator that is trained with this variant."""
    with tempfile.TemporaryDirectory() as folder:
        flags = {**SETTING, **way, "random_seed": seed, "total_kimg": kimg, "result_dir": folder}
        trainer, _ = Experiment(resolve_overrides(None, flags)).trainer(Path(folder))
        trainer.run()
        pictures, _ = trainer.sample(SAMPLES, seed)
    return count_modes(pictures, modes())


def main() -> None:
    """Train all variants and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--kimg", type=float, default=25, help="training length in thousand images (default: %(default)s)"
    )
    parser.add_argument("--seeds", type=int, default=3, help="number of trainings per variant (default: %(default)s)")
    parser.add_argument(
        "--ways", nargs="+", default=list(WAYS), choices=list(WAYS), help="variants to train (default: all)"
    )
    arguments = parser.parse_args()
    print(f"{platform.machine()}, torch {torch.__version__}, {torch.get_num_threads()} thread(s)")
    print(f"{arguments.kimg:g} kimg a training, seeds 0 to {arguments.seeds - 1}")
    print("; ".join(f"{name} {value}" for name, value in SETTING.items()))
    reals = Crosses().pictures / 127.5 - 1
    covered, good = count_modes(reals[:SAMPLES], modes())
    print(f"\nreals: {covered} of {MODES} modes, {good:.1%} good\n")
    print("| way | modes found, mean | each seed | good samples, mean | each seed | CPU time of one |")
    print("|---|---|---|---|---|---|")
    for name in arguments.ways:
        start = time.process_time()
        rows = [train(WAYS[name], seed, arguments.kimg) for seed in range(arguments.seeds)]
        seconds = (time.process_time() - start) / arguments.seeds
        found, shares = zip(*rows, strict=True)
        print(
            f"| {name} | {np.mean(found):.1f} of {MODES} | {', '.join(map(str, found))} | {np.mean(shares):.0%} |"
            f" {', '.join(f'{share:.0%}' for share in shares)} | {seconds:.1f} s |",
            flush=True,
        )


if __name__ == "__main__":
    main()
