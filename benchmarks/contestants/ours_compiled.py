"""Our training step with compiled gradients, which a run with ``--compile always`` uses after the first step."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from benchmarks.contestants.ours import stepper, training_step
from pggan_framework.cpu.allocation import keep_freed_memory
from pggan_framework.training.compiler import compiler
from pggan_framework.training.graphs import Captures

keeps_freed_memory = True
"""As a run does."""


def make(
    resolution: int, fmap_base: int, fmap_max: int, latent: int, batch: int, alpha: float
) -> Callable[[Tensor], None]:
    """Build a training step with WGAN-GP and drift: an update of D, an update of G, and an update of the EMA."""
    keep_freed_memory()  # for whoever times this without benchmarks/step.py, which does so in each turn
    step, ema = training_step(resolution, fmap_base, fmap_max, latent, alpha)

    def not_compiled(text: str) -> None:
        if "not compiled" in text:
            raise RuntimeError(text)

    step.gradients = Captures(compiler(torch.device("cpu")), not_compiled)
    return stepper(step, ema, batch)
