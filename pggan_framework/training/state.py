"""The state of a trainer in a checkpoint, and its restoration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from pggan_framework.data.base import DepthDataset
from pggan_framework.labels.maps import MapSpace
from pggan_framework.training.graphs import Captures
from pggan_framework.training.randomness import random_state, restore_random_state

if TYPE_CHECKING:
    from pggan_framework.training.trainer import Trainer


def state_of(trainer: Trainer) -> dict[str, Any]:
    """Return everything needed for an exact resume, as plain values and tensors."""
    parts = trainer.parts
    dataset = parts.dataset
    return {
        "config": dict(parts.config),
        "nimg": trainer.nimg,
        "tick": trainer.tick,
        "trainer": {
            "iteration": trainer.iteration,
            "tick_start_nimg": trainer.tick_start_nimg,
            "stream": trainer.stream,
            # The planned end of the run, which may depend on the schedule or a number of epochs instead of the
            # configuration.
            "total_nimg": trainer.total_nimg,
            "ema_births": dict(parts.ema.births),
        },
        "networks": {
            "G": trainer.G.state_dict(),
            "D": trainer.D.state_dict(),
            "depth": trainer.depth,
            "alpha": float(trainer.G.alpha),
        },
        "ema": parts.ema.state_dict(),
        "optimizers": {name: optimizer.state_dict() for name, optimizer in _optimizers(trainer).items()},
        "loss": parts.step.loss.state_dict(),
        "augmentations": parts.step.augmentations.state_dict(),
        "random": random_state(),
        "machine": dict(parts.machine),
        "compiled": dict(choices_of(trainer)),
        "plugins": {type(plugin).__name__: plugin.state_dict() for plugin in trainer.plugins},
        "codec": dataset.codec.state_dict() if dataset.codec is not None else None,
        "growth": {
            "channels": dataset.growth.channels,
            "seed": list(dataset.growth.seed),
            "doubles": [list(axes) for axes in dataset.growth.doubles],
            "range_out": list(dataset.range_out),
        },
        "labels": label_state(dataset),
        "data": dataset.fingerprint(),
        "origin": list(parts.origin),
    }


def restore(trainer: Trainer, state: dict[str, Any]) -> None:
    """Restore `state` in `trainer`, after its setup."""
    parts, own, networks = trainer.parts, state["trainer"], state["networks"]
    parts.origin = list(state.get("origin", []))
    trainer.nimg, trainer.tick = state["nimg"], state["tick"]
    trainer.iteration, trainer.tick_start_nimg = own["iteration"], own["tick_start_nimg"]
    trainer.stream = own.get("stream", 0)
    trainer.G.load_state_dict(networks["G"])
    trainer.D.load_state_dict(networks["D"])
    parts.ema.load_state_dict(state["ema"])
    # Older checkpoints do not store births, so assume that all weights existed from the start.
    names = (name for name, _ in trainer.G.named_parameters())
    parts.ema.births = dict(own.get("ema_births", dict.fromkeys(names, 0.0)))
    for network in (trainer.G, trainer.D, parts.ema.generator):
        network.depth, network.alpha = networks["depth"], networks["alpha"]
    for name, optimizer in _optimizers(trainer).items():
        settings = [{key: value for key, value in group.items() if key != "params"} for group in optimizer.param_groups]
        optimizer.load_state_dict(state["optimizers"][name])
        for group, configured in zip(optimizer.param_groups, settings, strict=True):
            group.update(configured)  # betas, eps etc. come from the configuration, which may have changed
    parts.step.loss.load_state_dict(state.get("loss", {}))
    parts.step.augmentations.load_state_dict(state.get("augmentations", {}))
    choices_of(trainer).update(state.get("compiled", {}))
    for plugin in trainer.plugins:
        plugin.load_state_dict(state["plugins"].get(type(plugin).__name__, {}))
    restore_random_state(state["random"])


def choices_of(trainer: Trainer) -> dict[str, bool]:
    """Map kinds of updates to True if they use their graph, as measured once in the run; see `Captures`."""
    gradients = trainer.parts.step.gradients
    return gradients.choices if isinstance(gradients, Captures) else {}


def _optimizers(trainer: Trainer) -> dict[str, torch.optim.Optimizer]:
    return {"G": trainer.parts.step.G_optimizer, "D": trainer.parts.step.D_optimizer}


def label_state(dataset: DepthDataset) -> dict[str, Any] | None:
    """Return the label space of a conditional generator, and the frequencies of its labels."""
    if dataset.label_space is None or dataset.labels is None:
        return None
    space, labels = dataset.label_space, dataset.labels
    if isinstance(space, MapSpace):
        # A subset of the maps is enough to sample from.
        space = space.examples
        labels = np.arange(len(space))[:, None]
    rows, counts = np.unique(labels, axis=0, return_counts=True)
    return {
        "space": space.state_dict(),
        "rows": torch.from_numpy(rows),
        "counts": torch.from_numpy(counts),
    }
