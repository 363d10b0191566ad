"""Convert a model of another system to networks, a checkpoint, and a config for training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pggan_framework.config import General, resolve_overrides
from pggan_framework.models.importing.foreign import Foreign, Layers, fill
from pggan_framework.networks import Discriminator, Generator
from pggan_framework.plugins.depth import PHASE
from pggan_framework.schedules.growth import Growth
from pggan_framework.training.checkpoint import save_checkpoint

MODES = {1: "L", 3: "RGB", 4: "RGBA"}
_SEED = 0
"""Random seed of the weights that the file lacks."""


def build_generator(model: Foreign, layers: Layers | None = None, dtype: torch.dtype = torch.float32) -> Generator:
    """Build the generator, in eval mode, at its depth and alpha.

    Args:
        model: imported model.
        layers: layers of the generator; by default the layers of the EMA generator, if there is one.
        dtype: dtype of the weights.

    Raises:
        UserError: if a layer is missing or has the wrong shape.
    """
    layers = model.averaged or model.G if layers is None else layers
    with _seeded(_SEED):
        network = Generator(model.shape, **model.generator, label_space=model.labels).to(dtype)
    fill(network, layers, "the generator", partial=network.max_depth > model.depth)
    network.depth, network.alpha = model.depth, model.alpha
    return network.eval()


def build_discriminator(model: Foreign, dtype: torch.dtype = torch.float32) -> Discriminator:
    """Build the discriminator, in eval mode, at its depth and alpha; its weights are random if the file has none.

    Raises:
        UserError: the errors of `build_generator`.
    """
    with _seeded(_SEED + 1):
        network = Discriminator(model.shape, **model.discriminator, label_space=model.labels).to(dtype)
    if model.D is not None:
        fill(network, model.D, "the discriminator", partial=network.max_depth > model.depth)
    network.depth, network.alpha = model.depth, model.alpha
    return network.eval()


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Draw missing weights from a seed without changing the global random generator."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def settings(model: Foreign, checkpoint: Path) -> dict[str, Any]:
    """The flags, by component, of a run that continues training the model; the folder of the data is an example."""
    mode = MODES.get(model.shape[0])
    data: dict[str, Any] = {"size": model.shape[1], "resize": "crop", "dir_path": "datasets/photos"}
    return {
        "exp_name": checkpoint.stem,
        "dataset_class": "DefaultImageFolderDataset",
        "DefaultImageFolderDataset": data | ({} if mode is None else {"imread_mode": mode}),
        "generator": "Generator",
        "Generator": dict(model.generator),
        "discriminator": "Discriminator",
        "Discriminator": dict(model.discriminator),
        "loss": model.loss,
        "resume_network": str(checkpoint),
        # The position at which the default schedule has the same depth and alpha.
        "Trainer": {"resume_nimg": _nimg(model)},
    }


def _nimg(model: Foreign) -> int:
    if model.depth == 0 or model.alpha == 1:
        return model.depth * 2 * PHASE
    return round((2 * model.depth - 1 + model.alpha) * PHASE)


def write_checkpoint(model: Foreign, source: Path, path: Path, flags: Mapping[str, Any]) -> None:
    """Write a model as a checkpoint of this framework.

    Args:
        model: imported model.
        source: file that the model was read from.
        path: destination of the checkpoint.
        flags: result of `settings`.

    Raises:
        UserError: if the file cannot be written, and the errors of `build_generator`.
    """
    save_checkpoint(path, _state(model, source, flags))


def _state(model: Foreign, source: Path, flags: Mapping[str, Any]) -> dict[str, Any]:
    """The contents of a checkpoint without optimizers; training starts with new optimizers."""
    growth = Growth.of(model.shape)
    trained = build_generator(model, model.G)
    averaged = trained if model.averaged is None else build_generator(model, model.averaged)
    names = [f"{name}.{part}" for name in model.G for part in ("weight", "bias")]
    labels = None
    if model.labels is not None:
        sizes = model.labels.sizes
        rows = np.stack(np.meshgrid(*map(np.arange, sizes), indexing="ij"), -1).reshape(-1, len(sizes))
        labels = {
            "space": model.labels.state_dict(),
            "rows": torch.from_numpy(rows.astype(np.int64)),
            "counts": torch.ones(len(rows), dtype=torch.int64),
        }
    nimg = model.nimg or 0
    # Plugins in the current folder are not loaded here; a run that starts from the checkpoint loads them as usual.
    resolved = resolve_overrides(None, {**flags, "plugin_dirs": []}).to_dict()
    config = {**resolved, "resume_network": "", "plugin_dirs": General().plugin_dirs}
    return {
        "config": config,
        "nimg": nimg,
        "tick": 0,
        "trainer": {
            "iteration": 0,
            "tick_start_nimg": nimg,
            "stream": 0,
            "total_nimg": nimg,
            "ema_births": dict.fromkeys(names, 0.0),
        },
        "networks": {
            "G": trained.state_dict(),
            "D": build_discriminator(model).state_dict(),
            "depth": model.depth,
            "alpha": model.alpha,
        },
        "ema": averaged.state_dict(),
        "optimizers": {},
        "loss": {},
        "augmentations": {},
        "random": {},
        "plugins": {},
        "codec": None,
        "growth": {
            "channels": growth.channels,
            "seed": list(growth.seed),
            "doubles": [list(axes) for axes in growth.doubles],
            "range_out": [-1.0, 1.0],
        },
        "labels": labels,
        "data": "",
        "imported": {"system": model.system, "file": source.name, "nimg_known": model.nimg is not None},
    }
