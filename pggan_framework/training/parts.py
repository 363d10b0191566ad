"""What a trainer works with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from pggan_framework.data.base import DepthDataset
from pggan_framework.data.loader import BatchLoader
from pggan_framework.loggers.base import Logger
from pggan_framework.training.budget import Budget
from pggan_framework.training.ema import EMA
from pggan_framework.training.plugin import Plugin
from pggan_framework.training.step import TrainingStep


@dataclass
class Parts:
    """What a trainer works with, built by `experiment`.

    Args:
        dataset: the images.
        loader: gives their batches.
        step: one update of D and of G.
        ema: the EMA generator.
        plugins: called in this order.
        device: where the networks are.
        minibatch_size: real images a D update; DepthManager changes it with the depth.
        total_kimg: when to end, in thousand real images.
        seed: the run's seed.
        config: the resolved configuration, for the checkpoints.
        directory: the run's folder, for plugins that write files.
        logger: receives metrics and messages.
        budget: wall-clock time of this start of the program; None: no limit.
        origin: the models that the weights come from, oldest first, as plain values; none for a run from the start.
        machine: what results depend on to the last bit besides the configuration, for the checkpoints.
    """

    dataset: DepthDataset
    loader: BatchLoader
    step: TrainingStep
    ema: EMA
    plugins: Sequence[Plugin]
    device: torch.device
    minibatch_size: int
    total_kimg: float
    seed: int
    config: Mapping[str, Any] = field(default_factory=dict)
    directory: Path | None = None
    logger: Logger = field(default_factory=Logger)
    budget: Budget | None = None
    origin: list[dict[str, Any]] = field(default_factory=list)
    machine: Mapping[str, str] = field(default_factory=dict)
