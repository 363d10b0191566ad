"""OutputGenerator: samples from the averaged generator, always from the same latents, beside a sheet of reals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from pggan_framework.data.loader import to_network_range
from pggan_framework.errors import UserError
from pggan_framework.loggers.base import Logger
from pggan_framework.postprocessors.base import Postprocessor
from pggan_framework.registry import register
from pggan_framework.training.plugin import Plugin
from pggan_framework.training.randomness import derive

if TYPE_CHECKING:
    from pggan_framework.training.trainer import Trainer

_LATENTS, _REALS = 1, 2  # which stream of the seed


@register("plugin")
class OutputGenerator(Plugin):
    """Gives samples to every postprocessor: at the first tick, every few ticks, and when training ends.

    Args:
        postprocessors: what turns samples into files; given by the experiment.
        logger: hears of the files; given by the experiment.
        samples_count: how many samples.
        output_snapshot_ticks: ticks between two sheets.
    """

    def __init__(
        self,
        postprocessors: Sequence[Postprocessor],
        logger: Logger,
        samples_count: int = 6,
        output_snapshot_ticks: int = 3,
    ) -> None:
        for name, value in (("samples_count", samples_count), ("output_snapshot_ticks", output_snapshot_ticks)):
            if value < 1:
                raise UserError(f"OutputGenerator.{name}: {value} is given; allowed: 1 and up")
        self.postprocessors = postprocessors
        self.logger = logger
        self.samples_count = samples_count
        self.output_snapshot_ticks = output_snapshot_ticks
        self._written = -1

    def setup(self, trainer: Trainer) -> None:
        """Draw the latents all samples of this run come from."""
        super().setup(trainer)
        random = torch.Generator().manual_seed(derive(trainer.parts.seed, _LATENTS))
        self.latents = torch.randn(self.samples_count, trainer.G.latent_size, generator=random)

    def before_step(self) -> None:
        """Write the sheet of reals before the first step."""
        if self.trainer.iteration == 0:
            self.save(self.reals(), "reals")

    def on_tick(self) -> None:
        """Write samples if they are due."""
        if self.trainer.tick == 1 or self.trainer.tick % self.output_snapshot_ticks == 0:
            self.save(self.fakes(), "fakes")

    def on_end(self) -> None:
        """Write the last samples, if they are not written yet."""
        if not self.trainer.failed and self.trainer.iteration > 0 and self._written != self.trainer.nimg:
            self.save(self.fakes(), "fakes")

    def fakes(self) -> NDArray[np.float32]:
        """Samples [n, C, h, w] in [-1, 1] at the current depth and alpha, from the averaged generator."""
        parts = self.trainer.parts
        with torch.no_grad():
            images = parts.ema.generator(self.latents.to(parts.device))
        return to_unit_range(images.float().cpu().numpy(), parts.dataset.range_out)

    def reals(self) -> NDArray[np.float32]:
        """Real pictures [n, C, H, W] in [-1, 1] at full depth, drawn by the seed."""
        parts = self.trainer.parts
        dataset = parts.dataset
        random = np.random.default_rng(derive(parts.seed, _REALS))
        indices = random.permutation(len(dataset))[: self.samples_count].tolist()
        batch = torch.from_numpy(dataset.images(indices, dataset.growth.max_depth))
        return to_network_range(batch, dataset.range_in, (-1, 1)).numpy()

    def save(self, samples: NDArray[np.float32], kind: str) -> None:
        """Give `samples` to every postprocessor, and what they wrote to the loggers."""
        nimg = self.trainer.nimg
        for postprocessor in self.postprocessors:
            for artifact in postprocessor.save(samples, kind, nimg // 1000):
                if artifact.kind == "image":
                    self.logger.image(artifact.name, artifact.path, nimg)
                elif artifact.kind == "audio":
                    self.logger.audio(artifact.name, artifact.path, nimg)
        if kind == "fakes":
            self._written = nimg

    def state_dict(self) -> dict[str, Any]:
        """The latents."""
        return {"latents": self.latents}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on with the same latents."""
        self.latents = state["latents"]


def to_unit_range(images: NDArray[np.float32], range_out: tuple[float, float]) -> NDArray[np.float32]:
    """Map `range_out` linearly onto [-1, 1]."""
    low, high = range_out
    if (low, high) == (-1, 1):
        return images
    return ((images - low) * (2 / (high - low)) - 1).astype(np.float32)
