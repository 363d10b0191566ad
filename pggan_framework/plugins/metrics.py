"""SoundMetrics: metrics of generated sounds during training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pggan_framework.errors import UserError, at_least
from pggan_framework.metrics.frechet import Frechet
from pggan_framework.metrics.levels import Loudness, Silence
from pggan_framework.metrics.report import as_dict, compare, measure
from pggan_framework.plugins.measuring import MeasuringPlugin
from pggan_framework.registry import register
from pggan_framework.training.plugin import Every

if TYPE_CHECKING:
    from pggan_framework.training.trainer import Trainer

_LOGGED = ("frechet", "frechet.floor", "silence", "loudness.p50", "loudness.distance")


@register("plugin")
class SoundMetrics(MeasuringPlugin):
    """Adds metrics of generated sounds to a tick's values: Frechet distance, fraction of silence, loudness.

    It measures at full depth only. ``sound.frechet.floor`` is the real-vs-real baseline of ``sound.frechet``; the
    documentation of ``pggan evaluate`` explains all metrics. The first measurement also measures the reals, and takes
    three times as long as later ones.

    Args:
        count: number of samples, at least 64 and at most half the data.
        every_ticks: ticks between two measurements.
        griffin_lim_iter: Griffin-Lim iterations for samples and reals, if the codec stores no phases.
    """

    by, streams = "SoundMetrics", (11, 12)

    def __init__(self, count: int = 200, every_ticks: int = 5, griffin_lim_iter: int = 8) -> None:
        at_least("SoundMetrics", Frechet.minimum, count=count)
        at_least("SoundMetrics", 1, every_ticks=every_ticks)
        at_least("SoundMetrics", 0, griffin_lim_iter=griffin_lim_iter)
        self.count, self.griffin_lim_iter = count, griffin_lim_iter
        self.every = Every(every_ticks, "tick")
        self.metrics = [Frechet(), Silence(), Loudness()]

    def setup(self, trainer: Trainer) -> None:
        """Check that the data can be measured.

        Raises:
            UserError: if the data are not sounds, or there are too few.
        """
        super().setup(trainer)
        dataset = trainer.parts.dataset
        if dataset.codec is None:
            raise UserError("SoundMetrics: these data are not sound; allowed: a dataset with a codec")
        dataset.check_all_present("SoundMetrics")
        self.count = min(self.count, len(dataset) // 2)
        self.order = self.shuffled()
        if self.count < Frechet.minimum:
            raise UserError(f"SoundMetrics: {len(dataset)} sounds are too few; allowed: {2 * Frechet.minimum} and up")

    def on_tick(self) -> None:
        """Measure if due.

        Raises:
            DivergedError: if the samples are not finite.
        """
        trainer = self.trainer
        if trainer.depth < trainer.G.max_depth:
            return
        metrics, reals, others = self.sides()
        figures = as_dict(compare(metrics, reals, others, measure(metrics, self.fakes(), self.n)))
        trainer.stats.update({f"sound.{name}": figures[name] for name in _LOGGED})
