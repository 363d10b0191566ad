"""Save a chart to the run's folder and log it, without ever stopping a run; for all drawing plugins."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from torch import nn

from pggan_framework.postprocessors.picture import save_png

if TYPE_CHECKING:
    from pathlib import Path

    from PIL.Image import Image

    from pggan_framework.training.trainer import Trainer


def run_folder(trainer: Trainer) -> Path:
    """The folder of the trainer's run.

    Raises:
        RuntimeError: if its parts name none.
    """
    if trainer.parts.directory is None:
        raise RuntimeError("this plugin writes files: Parts.directory is due")
    return trainer.parts.directory


def show(trainer: Trainer, image: Image, filename: str) -> None:
    """Write `image` over any older one and log it; a full disk only causes a message."""
    path = run_folder(trainer) / filename
    try:
        save_png(image, path)
    except OSError as error:
        trainer.parts.logger.message(f"cannot write {path} ({error}); training continues")
    else:
        trainer.parts.logger.image(path.stem, path, trainer.nimg)


def layers(network: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """The weights of each layer and their names, in the network's order, without biases and other vectors."""
    for name, parameter in network.named_parameters():
        if parameter.ndim > 1:
            yield name.removesuffix(".weight"), parameter
