"""LRScheduler: the learning rates as pure functions of the images shown."""

from __future__ import annotations

from pggan_framework.registry import register
from pggan_framework.training.plugin import Plugin
from pggan_framework.training.schedule import lr_rampup


@register("plugin")
class LRScheduler(Plugin):
    """Raises both learning rates to their maximum over the first `lr_rampup_kimg` thousand images.

    Args:
        lr_rampup_kimg: length of the ramp, thousand images; 0 for none.
        G_lr_max: the generator's learning rate after it.
        D_lr_max: the discriminator's.
    """

    def __init__(self, lr_rampup_kimg: float = 40, G_lr_max: float = 0.001, D_lr_max: float = 0.001) -> None:
        self.lr_rampup_kimg = lr_rampup_kimg
        self.G_lr_max = G_lr_max
        self.D_lr_max = D_lr_max

    def before_step(self) -> None:
        """Set the learning rate of both optimisers."""
        factor = lr_rampup(self.trainer.nimg, self.lr_rampup_kimg)
        step = self.trainer.parts.step
        for optimizer, maximum in ((step.G_optimizer, self.G_lr_max), (step.D_optimizer, self.D_lr_max)):
            for group in optimizer.param_groups:
                group["lr"] = maximum * factor

    def on_tick(self) -> None:
        """Report the learning rates of the tick's last step."""
        step = self.trainer.parts.step
        self.trainer.stats["G_lr"] = step.G_optimizer.param_groups[0]["lr"]
        self.trainer.stats["D_lr"] = step.D_optimizer.param_groups[0]["lr"]
