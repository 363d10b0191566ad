"""FreezeD: freeze discriminator blocks for fine-tuning on few examples."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pggan_framework.errors import UserError
from pggan_framework.networks.pggan import Discriminator
from pggan_framework.registry import register
from pggan_framework.training.plugin import Plugin

if TYPE_CHECKING:
    from pggan_framework.training.trainer import Trainer


@register("plugin")
class FreezeD(Plugin):
    """Freezes the discriminator's blocks nearest to the image (FreezeD, Mo et al. 2020, arXiv 2002.10964).

    These blocks detect edges and textures, which another model has learned on more examples. Use it for runs with
    --resume_network at full size: a new block would be frozen at its random initialization.

    Args:
        blocks: number of frozen blocks, counted from the full-size input, with their input layers; the last block,
            which outputs the score, is always trained.

    Raises:
        UserError: if the discriminator has fewer blocks, or no blocks by depth.
    """

    def __init__(self, blocks: int = 3) -> None:
        self.blocks = blocks
        if blocks < 0:
            raise UserError(f"FreezeD.blocks {blocks} is given; allowed: 0 and up")

    def setup(self, trainer: Trainer) -> None:
        """Disable the gradients of the frozen blocks' weights."""
        super().setup(trainer)
        D = trainer.D
        if not isinstance(D, Discriminator):
            raise UserError(f"FreezeD is given, but {type(D).__name__} has no blocks by depth; leave FreezeD out")
        if self.blocks > D.max_depth:
            raise UserError(f"FreezeD.blocks {self.blocks} is given; allowed: 0 to {D.max_depth} for these images")
        for depth in range(D.max_depth - self.blocks + 1, D.max_depth + 1):
            D.blocks[depth].requires_grad_(False)
            D.from_rgb[depth].requires_grad_(False)
