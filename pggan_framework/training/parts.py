"""The parts that a trainer is built from."""

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
    """The parts of a trainer, built by `experiment`.

    Args:
        dataset: training images.
        loader: loader of the dataset's batches.
        step: training step, an update of D and an update of G.
        ema: EMA generator.
        plugins: plugins in the order of their calls.
        device: device of the networks.
        minibatch_size: number of real images per update of D; DepthManager changes it with the depth.
        total_kimg: length of the training in thousand real images.
        seed: random seed of the run.
        config: resolved configuration, for the checkpoints.
        directory: folder of the run, for plugins that write files.
        logger: logger that receives metrics and messages.
        budget: wall-clock budget of this session; None for no limit.
        origin: models that the weights come from, oldest first, as plain values; empty for a run from scratch.
        machine: everything except the configuration that bit-exact results depend on, for the checkpoints.
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
