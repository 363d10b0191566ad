"""How many of a toy's modes a small generator finds, without and with each term that is to keep its samples apart.

    OMP_NUM_THREADS=1 python benchmarks/modes.py

The images are grey, 8x8, and show a cross: an upright bar at one of 4 places and a level bar at one of 4 places, so
16 modes, equally frequent. An image's 64 pixels are in its channels: that makes the PGGAN networks fully connected,
and a training a matter of seconds. Each way is trained as often as there are seeds, with all else equal, and 1600
samples of the EMA generator are looked at. A sample belongs to the mode whose image is nearest, and is good if
it is not a further from it than a third of the way to the next; a mode is found if it has at least a fifth of its
share, 20 of 1600, in good samples.
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
"""What each way has of its own; parameters that are not named are at their defaults."""


def modes() -> NDArray[np.float64]:
    """The image of every mode, [MODES, SIDE * SIDE, 1, 1]: 1 on the two bars, -1 elsewhere."""
    bars = np.kron(np.eye(BARS), np.ones(SIDE // BARS))
    crosses = np.maximum(bars[:, None, :, None], bars[None, :, None, :])
    pictures: NDArray[np.float64] = 2 * crosses.reshape(MODES, -1, 1, 1) - 1
    return pictures


@register("dataset")
class Crosses(DepthDataset):
    """Images of one cross each, the modes in turn; they differ a little in contrast and noise.

    Args:
        count: how many.
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
        """Image `index`, [SIDE * SIDE, 1, 1]."""
        picture: NDArray[np.uint8] = self.pictures[index]
        return picture

    def fingerprint(self) -> str:
        """The recipe's name and count."""
        return f"crosses-{len(self)}"


def count_modes(
    pictures: NDArray[Any], centres: NDArray[Any], close: float = CLOSE, share: float = SHARE
) -> tuple[int, float]:
    """How many modes samples cover, and the fraction of good samples.

    Args:
        pictures: samples [N, ...].
        centres: the modes' images [M, ...].
        close: largest root mean square distance of a good sample from its nearest mode.
        share: a mode is covered by at least this share of N / M good samples.
    """
    flat, middle = (x.reshape(len(x), -1).astype(np.float64) for x in (pictures, centres))
    squares = ((flat[:, None] - middle) ** 2).mean(2)
    nearest = squares.argmin(1)
    good = squares.min(1) <= close**2
    counts = np.bincount(nearest[good], minlength=len(middle))
    return int((counts >= max(share * len(flat) / len(middle), 1)).sum()), float(good.mean())


def train(way: dict[str, Any], seed: int, kimg: float) -> tuple[int, float]:
    """`count_modes` of a generator trained in this way."""
    with tempfile.TemporaryDirectory() as folder:
        flags = {**SETTING, **way, "random_seed": seed, "total_kimg": kimg, "result_dir": folder}
        trainer, _ = Experiment(resolve_overrides(None, flags)).trainer(Path(folder))
        trainer.run()
        pictures, _ = trainer.sample(SAMPLES, seed)
    return count_modes(pictures, modes())


def main() -> None:
    """Train all ways and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kimg", type=float, default=25, help="thousand images each is trained with")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each way")
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=list(WAYS), help="which ways")
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
