"""Measure the training speed of the planned networks on this machine, in about two seconds."""

from __future__ import annotations

import time
from dataclasses import dataclass
from math import inf, log2
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

FMAP_BASE, FMAP_MAX, LATENTS = 512, 64, 64
"""Network size of every plan: about 0.3 M weights per network."""
BATCH, PENALTY = 8, 8
"""Number of images per step, and of updates per penalty, as in the plans."""
MEASURED = 32, 64
"""Image sides, in pixels, that are measured."""
GAIN, MOST_GAIN = 0.7, 6.0
"""Speed-up of each additional thread, and largest total speed-up."""
SECONDS = 1.2
"""Measuring time per side in seconds."""


@dataclass(frozen=True)
class Speed:
    """Training time per image in seconds, by measured side in pixels."""

    seconds: dict[int, float]

    def at(self, side: int) -> float:
        """Return the seconds per image of `side` x `side` pixels; unmeasured sides are interpolated or extrapolated."""
        low, high = min(self.seconds), max(self.seconds)
        if side in self.seconds:
            return self.seconds[side]
        growth = max(self.seconds[high] / self.seconds[low], 1.5) if high > low else 2.0
        near = low if side < low else high
        return self.seconds[near] * float(growth ** log2(side / near))


def measure_speed(channels: int = 1) -> Speed:
    """Run training steps on random images, and return the fastest time for each side of `MEASURED`.

    On a CPU, the CPU time of one thread is measured, since threads that wait for each other take many times longer on a
    busy machine; `GAIN` accounts for the other threads of this process.

    Args:
        channels: number of image channels.
    """
    import torch

    from pggan_framework.cpu.allocation import keep_freed_memory

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device.type == "cpu":
        keep_freed_memory()
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    torch.set_num_threads(1)
    try:
        found = {side: _seconds_per_step(side, channels, device) / BATCH for side in MEASURED}
    finally:
        torch.set_num_threads(threads)
        torch.set_rng_state(state)
    gain = 1.0 if device.type == "cuda" else min(1 + GAIN * (threads - 1), MOST_GAIN)
    return Speed({side: seconds / gain for side, seconds in found.items()})


def _seconds_per_step(side: int, channels: int, device: torch.device) -> float:
    """Return the time of the fastest step at full size, including the average cost of the lazy penalty."""
    import torch
    from torch.optim import Adam

    from pggan_framework.losses.context import Progress
    from pggan_framework.losses.gradient_penalties import R1
    from pggan_framework.losses.relativistic import RelativisticGAN
    from pggan_framework.networks import Discriminator, Generator
    from pggan_framework.training.step import TrainingStep

    shape = channels, side, side
    G = Generator(shape, fmap_base=FMAP_BASE, fmap_max=FMAP_MAX, latent_size=LATENTS).to(device)
    D = Discriminator(shape, fmap_base=FMAP_BASE, fmap_max=FMAP_MAX).to(device)
    for network in (G, D):
        network.depth, network.alpha = network.max_depth, 1.0
    loss = RelativisticGAN() + R1(weight=1.0, interval=PENALTY).terms
    step = TrainingStep(
        G, D, loss, Adam(G.parameters()), Adam(D.parameters()), lambda count: torch.randn(count, LATENTS, device=device)
    )
    reals = torch.rand(BATCH, *shape, device=device) * 2 - 1
    clock = time.perf_counter if device.type == "cuda" else time.process_time
    plain, penalized = inf, inf
    began = clock()
    for number in range(100):
        start = clock()
        step.discriminator_update(reals, None, Progress(0, number), BATCH)
        step.generator_update(BATCH, Progress(0, number))
        if device.type == "cuda":
            torch.cuda.synchronize()
        taken = clock() - start
        # Step 0 is a warm-up.
        if number % PENALTY:
            plain = min(plain, taken)
        elif number:
            penalized = min(penalized, taken)
        if clock() - began > SECONDS and number > PENALTY:
            break
    return plain + (penalized - plain) / PENALTY
