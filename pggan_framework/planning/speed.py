"""How fast this machine trains the networks that plans are made of: measured for about two seconds."""

from __future__ import annotations

import time
from dataclasses import dataclass
from math import log2

FMAP_BASE, FMAP_MAX, LATENTS = 512, 64, 64
"""Size of the networks of every plan: about 0.3 M weights each."""
BATCH = 8
MEASURED = 32, 64
"""Sides, in pixels, that are measured."""
BUSY = 1.25
"""Wall-clock time over processor time of each thread, on an idle machine at most."""
SECONDS = 1.2
"""Time a side gets."""


@dataclass(frozen=True)
class Speed:
    """Seconds that training takes for an image of a side that was measured, by side in pixels."""

    seconds: dict[int, float]

    def at(self, side: int) -> float:
        """Seconds an image of `side` pixels squared takes; other sides follow the trend of the measured ones."""
        low, high = min(self.seconds), max(self.seconds)
        if side in self.seconds:
            return self.seconds[side]
        growth = max(self.seconds[high] / self.seconds[low], 1.5) if high > low else 2.0
        near = low if side < low else high
        return self.seconds[near] * float(growth ** log2(side / near))


def measure_speed(channels: int = 1) -> Speed:
    """Take training steps on random images, and time the fastest for each side of `MEASURED`.

    The fastest step counts, by the wall clock or by `BUSY` times its processor time, whichever is less: another program
    that is busy for a while does not spoil the result.

    Args:
        channels: of the images.
    """
    import torch
    from torch.optim import Adam

    from pggan_framework.losses.context import Progress
    from pggan_framework.losses.gradient_penalties import R1
    from pggan_framework.losses.logistic import LogisticGAN
    from pggan_framework.networks import Discriminator, Generator
    from pggan_framework.training.step import TrainingStep

    found = {}
    state = torch.get_rng_state()
    for side in MEASURED:
        shape = channels, side, side
        G = Generator(shape, fmap_base=FMAP_BASE, fmap_max=FMAP_MAX, latent_size=LATENTS)
        D = Discriminator(shape, fmap_base=FMAP_BASE, fmap_max=FMAP_MAX)
        for network in (G, D):
            network.depth, network.alpha = network.max_depth, 1.0
        loss = LogisticGAN() + R1(weight=1.0, interval=8).terms
        step = TrainingStep(
            G, D, loss, Adam(G.parameters()), Adam(D.parameters()), lambda count: torch.randn(count, LATENTS)
        )
        reals = torch.rand(BATCH, *shape) * 2 - 1
        times = []
        began = time.perf_counter()
        # Step 0 has the penalty and warms up; one in eight has it in training too.
        for number in range(100):
            start, used = time.perf_counter(), time.process_time()
            step.discriminator_update(reals, None, Progress(0, number), BATCH)
            step.generator_update(BATCH, Progress(0, number))
            used = (time.process_time() - used) / torch.get_num_threads()
            times.append(min(time.perf_counter() - start, BUSY * used))
            if time.perf_counter() - began > SECONDS and number >= 2:
                break
        # A step with the penalty takes about half as long again.
        found[side] = min(times[1:]) / BATCH * (1 + 0.5 / 8)
    torch.set_rng_state(state)
    return Speed(found)
