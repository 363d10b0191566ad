"""WeightHistograms: weight distributions by layer."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from pggan_framework.errors import at_least
from pggan_framework.loggers.base import Histogram
from pggan_framework.plugins.pictures import layers, show
from pggan_framework.postprocessors.chart import histograms_chart, stack
from pggan_framework.registry import register
from pggan_framework.training.plugin import Every, Plugin


@register("plugin")
class WeightHistograms(Plugin):
    """Sends a histogram of every layer's weights to loggers that accept them, and draws ``weights.png``.

    WandbLogger and TensorBoardLogger receive them as ``weights.G.layer``.

    Args:
        every_ticks: ticks between two measurements.
        bins: number of bins, evenly spaced over a layer's range.
        filename: file name of the image inside the run's folder.
    """

    main_process_only = True

    def __init__(self, every_ticks: int = 20, bins: int = 64, filename: str = "weights.png") -> None:
        at_least("WeightHistograms", 1, every_ticks=every_ticks, bins=bins)
        self.every = Every(every_ticks, "tick")
        self.bins = bins
        self.filename = filename

    def on_tick(self) -> None:
        """Count, log and draw the weights."""
        charts = []
        for name, network in (("G", self.trainer.G), ("D", self.trainer.D)):
            cells = {}
            for layer, weight in layers(network):
                spread = histogram(weight, self.bins)
                self.trainer.parts.logger.histogram(f"weights.{name}.{layer}", spread, self.trainer.nimg)
                cells[layer] = spread.counts, spread.edges
            charts.append(histograms_chart(f"{name}, weights at {self.trainer.kimg:g} kimg", cells))
        show(self.trainer, stack(charts), self.filename)


def histogram(values: Tensor, bins: int) -> Histogram:
    """Return the distribution of `values`, of any shape, without non-finite values."""
    numbers = values.detach().cpu().double().numpy().ravel()
    numbers = numbers[np.isfinite(numbers)]
    counts, edges = np.histogram(numbers, bins)
    return Histogram(counts, edges, float(numbers.sum()), float(np.square(numbers).sum()))
