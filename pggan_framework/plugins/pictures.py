"""Helpers of drawing plugins: save a chart to the run's folder and log it; errors never stop a run."""

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
    """Return the folder of the trainer's run.

    Raises:
        RuntimeError: if the trainer has no folder.
    """
    if trainer.parts.directory is None:
        raise RuntimeError("this plugin writes files: Parts.directory is due")
    return trainer.parts.directory


def show(trainer: Trainer, image: Image, filename: str) -> None:
    """Write `image`, replacing an older file, and log it; a full disk only causes a message."""
    path = run_folder(trainer) / filename
    try:
        save_png(image, path)
    except OSError as error:
        trainer.parts.logger.message(f"cannot write {path} ({error}); training continues")
    else:
        trainer.parts.logger.image(path.stem, path, trainer.nimg)


def layers(network: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """Yield name and weight of each layer in network order, without biases and other vectors."""
    for name, parameter in network.named_parameters():
        if parameter.ndim > 1:
            yield name.removesuffix(".weight"), parameter
