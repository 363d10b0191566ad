"""GradientFlow: gradient magnitudes by layer."""

from __future__ import annotations

import torch

from pggan_framework.errors import at_least
from pggan_framework.plugins.pictures import layers, show
from pggan_framework.postprocessors.chart import bars_chart, stack
from pggan_framework.registry import register
from pggan_framework.training.plugin import Every, Plugin


@register("plugin")
class GradientFlow(Plugin):
    """Draws the mean and largest absolute gradient of every layer's weights in ``gradients.png``; logs the extremes.

    The gradients are those of the tick's last step. ``gradient.G.min`` is the smallest layer mean: if it is near 0,
    that layer has stopped learning. ``gradient.G.max`` is the largest absolute value.

    Args:
        every_ticks: ticks between two measurements.
        filename: file name of the image inside the run's folder.
    """

    main_process_only = True

    def __init__(self, every_ticks: int = 5, filename: str = "gradients.png") -> None:
        at_least("GradientFlow", 1, every_ticks=every_ticks)
        self.every = Every(every_ticks, "tick")
        self.filename = filename

    def on_tick(self) -> None:
        """Measure, log and draw."""
        charts = []
        for name, network in (("G", self.trainer.G), ("D", self.trainer.D)):
            gradients = {layer: weight.grad for layer, weight in layers(network) if weight.grad is not None}
            if not gradients:
                continue
            sizes = torch.stack([torch.stack([g.abs().mean(), g.abs().max()]) for g in gradients.values()]).tolist()
            rows = {layer: (mean, largest) for layer, (mean, largest) in zip(gradients, sizes, strict=True)}
            self.trainer.stats[f"gradient.{name}.min"] = min(mean for mean, _ in rows.values())
            self.trainer.stats[f"gradient.{name}.max"] = max(largest for _, largest in rows.values())
            charts.append(bars_chart(f"{name}, |gradient| at {self.trainer.kimg:g} kimg", rows, ("mean", "largest")))
        if charts:
            show(self.trainer, stack(charts), self.filename)
