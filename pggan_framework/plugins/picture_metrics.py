"""PictureMetrics: metrics of generated images during training, at the current depth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pggan_framework.cpu.transfer import for_analysis
from pggan_framework.errors import UserError, at_least
from pggan_framework.metrics.base import PictureMetric, Pictures
from pggan_framework.metrics.deep import Eye, attach
from pggan_framework.metrics.report import as_dict, compare, measure, metric_class, usable
from pggan_framework.plugins.measuring import MeasuringPlugin
from pggan_framework.registry import register
from pggan_framework.training.plugin import Every

if TYPE_CHECKING:
    from pggan_framework.training.trainer import Trainer

_NAME = "PictureMetrics"


@register("plugin")
class PictureMetrics(MeasuringPlugin):
    """Adds metrics of generated images to a tick's values, as ``picture.swd.average``, and to metrics.jsonl.

    Metrics are measured at the current depth, with their real-vs-real baselines (``picture.swd.average.floor``);
    metrics that need larger images are skipped. The first measurement at a depth also measures the reals, and takes
    three times as long as later ones. Training itself is unchanged.

    Args:
        metrics: names of image metrics; metrics that need features share one pass through the extractor.
        count: number of samples, and of reals, to measure; at most half the data.
        every_ticks: ticks between two measurements.
        extractor: feature extractor: lite0, inception, random, or auto: lite0 if installed, else random.

    Raises:
        UserError: if a metric or the extractor cannot be used, or a number is outside its limits.
    """

    by, streams, decodes = _NAME, (13, 14), False

    def __init__(
        self,
        metrics: list[str] | None = None,
        count: int = 500,
        every_ticks: int = 5,
        extractor: str = "auto",
    ) -> None:
        at_least(_NAME, 2, count=count)
        at_least(_NAME, 1, every_ticks=every_ticks)
        self.count, self.extractor = count, extractor
        self.every = Every(every_ticks, "tick")
        kind: Any = PictureMetric
        names = dict.fromkeys(("swd", "fid") if metrics is None else metrics)
        self.metrics = [metric_class(name, kind)() for name in names]
        if not self.metrics:
            raise UserError(f"{_NAME}.metrics is empty; allowed: names of metrics, such as swd")
        self._eye: Eye | None = None

    def setup(self, trainer: Trainer) -> None:
        """Build the extractor, and check that the metrics can be measured at full depth.

        Raises:
            UserError: if there are too few data, the extractor cannot be built, or a metric does not support the data.
        """
        super().setup(trainer)
        dataset = trainer.parts.dataset
        dataset.check_all_present(_NAME)
        self.count = min(self.count, len(dataset) // 2)
        self.order = self.shuffled()
        self._eye = attach(self.metrics, self.extractor, for_analysis(trainer.parts.device))
        full = Pictures(np.zeros((1, *dataset.shape), np.uint8))
        _, left_out = usable(self.metrics, self.count, full)
        if left_out:
            raise UserError(f"{_NAME}: {'; '.join(left_out)}")

    def on_tick(self) -> None:
        """Measure if due.

        Raises:
            DivergedError: if the images are not finite.
        """
        metrics, reals, others = self.sides()
        if not metrics:
            return
        figures = as_dict(compare(metrics, reals, others, measure(metrics, self.fakes(), self.n)))
        self.trainer.stats.update({f"picture.{name}": value for name, value in figures.items()})
        self.write(self.facts(), figures)

    def facts(self) -> dict[str, Any]:
        """Return the fields that identify a measurement in metrics.jsonl, including the extractor."""
        return {**super().facts(), **({} if self._eye is None else {"extractor": self._eye.extractor.identity()})}
