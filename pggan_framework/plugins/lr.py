"""LRScheduler: learning rates as functions of the images shown."""

from __future__ import annotations

from math import prod
from typing import ClassVar

from pggan_framework.errors import UserError
from pggan_framework.registry import register
from pggan_framework.training.plugin import Plugin
from pggan_framework.training.schedule import lr_rampup


@register("plugin")
class LRScheduler(Plugin):
    """Raises both learning rates linearly to their maximum over `lr_rampup_kimg` thousand images.

    Args:
        lr_rampup_kimg: length of the ramp in thousand images; 0 for none.
        G_lr_max: learning rate of the generator after the ramp.
        D_lr_max: learning rate of the discriminator after the ramp.
        G_lr_decay: factor of the generator's rate at each new depth.
        D_lr_decay: factor of the discriminator's rate at each new depth.

    Raises:
        UserError: if a decay is not above 0.
    """

    injected: ClassVar[tuple[str, ...]] = ("lr_rampup_kimg", "G_lr_max", "D_lr_max")
    schedulable: ClassVar[tuple[str, ...]] = ("G_lr_max", "D_lr_max")

    def __init__(
        self,
        lr_rampup_kimg: float = 40,
        G_lr_max: float = 0.001,
        D_lr_max: float = 0.001,
        G_lr_decay: float = 1.0,
        D_lr_decay: float = 1.0,
    ) -> None:
        for name, decay in (("G_lr_decay", G_lr_decay), ("D_lr_decay", D_lr_decay)):
            if not decay > 0:
                raise UserError(f"LRScheduler.{name} {decay} is not allowed; allowed: above 0; 1 for none")
        self.lr_rampup_kimg = lr_rampup_kimg
        self.G_lr_decay, self.D_lr_decay = G_lr_decay, D_lr_decay
        self.G_lr_max = G_lr_max
        self.D_lr_max = D_lr_max

    def before_step(self) -> None:
        """Set the learning rate of both optimizers."""
        trainer = self.trainer
        factor = lr_rampup(trainer.nimg, self.lr_rampup_kimg) * prod(trainer.lr_factors.values())
        step = trainer.parts.step
        for optimizer, maximum, decay in (
            (step.G_optimizer, self.G_lr_max, self.G_lr_decay),
            (step.D_optimizer, self.D_lr_max, self.D_lr_decay),
        ):
            for group in optimizer.param_groups:
                group["lr"] = maximum * decay**trainer.depth * factor

    def on_tick(self) -> None:
        """Report the learning rates of the tick's last step."""
        step = self.trainer.parts.step
        self.trainer.stats["G_lr"] = step.G_optimizer.param_groups[0]["lr"]
        self.trainer.stats["D_lr"] = step.D_optimizer.param_groups[0]["lr"]
