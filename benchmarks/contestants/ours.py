"""Our eager training step, which a run with ``--compile never`` uses."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from pggan_framework.cpu.allocation import keep_freed_memory
from pggan_framework.losses import WGANGP
from pggan_framework.networks import Discriminator, Generator
from pggan_framework.training.ema import EMA
from pggan_framework.training.optimizers import Adam
from pggan_framework.training.step import TrainingStep

keeps_freed_memory = True
"""As a run does."""


def training_step(
    resolution: int,
    fmap_base: int,
    fmap_max: int,
    latent: int,
    alpha: float,
    fused_downscale: bool = True,
    device: str | None = None,
) -> tuple[TrainingStep, EMA]:
    """Build the step and the EMA of a run at its last depth with the defaults, by default on torch's default device."""
    shape = [3, resolution, resolution]
    G = Generator(shape, fmap_base=fmap_base, fmap_max=fmap_max, latent_size=latent)
    D = Discriminator(shape, fmap_base=fmap_base, fmap_max=fmap_max, fused_downscale=fused_downscale)
    for network in (G, D):
        network.alpha = alpha
        if device is not None:
            network.to(device)
    adam = Adam()
    step = TrainingStep(
        G,
        D,
        WGANGP(),
        adam.build(G.parameters(), 1e-3),
        adam.build(D.parameters(), 1e-3, "D"),
        lambda count: torch.randn(count, latent, device=device),
    )
    ema = EMA()
    ema.attach(G)
    return step, ema


def stepper(step: TrainingStep, ema: EMA, batch: int) -> Callable[[Tensor], None]:
    """Return the three updates of a step as one function of the reals [N, 3, R, R]."""
    shown = 0

    def one(real: Tensor) -> None:
        nonlocal shown
        shown += batch
        step.discriminator_update(real)
        step.generator_update(batch)
        ema.update(step.G, shown, batch)

    return one


def make(
    resolution: int, fmap_base: int, fmap_max: int, latent: int, batch: int, alpha: float
) -> Callable[[Tensor], None]:
    """Build a training step with WGAN-GP and drift: an update of D, an update of G, and an update of the EMA."""
    keep_freed_memory()  # for whoever times this without benchmarks/step.py, which does so in each turn
    return stepper(*training_step(resolution, fmap_base, fmap_max, latent, alpha), batch)


def shapes_only(resolution: int, fmap_base: int, fmap_max: int, latent: int, batch: int, alpha: float) -> None:
    """Run both updates on tensors without values, in order to count their operations."""
    with torch.device("meta"):
        step, _ = training_step(resolution, fmap_base, fmap_max, latent, alpha)
        for optimizer in (step.G_optimizer, step.D_optimizer):
            for group in optimizer.param_groups:
                group["fused"] = False
        step.discriminator_update(torch.empty(batch, 3, resolution, resolution))
        step.generator_update(batch)
