"""PictureMetrics: metrics of generated images during training, at the current depth."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from pggan_framework.cpu.transfer import for_analysis
from pggan_framework.data.loader import to_network_range
from pggan_framework.errors import DivergedError, UserError
from pggan_framework.metrics.base import BaseMetric, Features, PictureMetric, Pictures
from pggan_framework.metrics.deep import Eye, attach
from pggan_framework.metrics.lines import FILE, append_line, drop_lines
from pggan_framework.metrics.report import as_dict, compare, measure, metric_class, usable
from pggan_framework.postprocessors.picture import to_uint8
from pggan_framework.registry import register
from pggan_framework.training.plugin import Every, Plugin
from pggan_framework.training.randomness import derive

if TYPE_CHECKING:
    from pggan_framework.training.trainer import Trainer

_REALS, _FAKES = 13, 14  # random streams of the seed
_BATCH = 32
_NAME = "PictureMetrics"


@register("plugin")
class PictureMetrics(Plugin):
    """Adds metrics of generated images to a tick's values, as ``picture.swd.average``, and to metrics.jsonl.

    They are measured at the current depth, with their real-vs-real baselines (``picture.swd.average.floor``); metrics
    that need larger images are skipped. The first measurement at a depth also measures the reals, and takes three times
    as long as the others. Training itself is unchanged.

    Args:
        metrics: names of image metrics; those that need features share one pass through the extractor.
        count: images per side, at most half the data.
        every_ticks: ticks between two measurements.
        extractor: feature extractor: lite0, inception, random, or auto: lite0 if installed, else random.

    Raises:
        UserError: if a metric or the extractor cannot be used, or a number is outside its limits.
    """

    def __init__(
        self,
        metrics: list[str] | None = None,
        count: int = 500,
        every_ticks: int = 5,
        extractor: str = "auto",
    ) -> None:
        for name, value, least in (("count", count, 2), ("every_ticks", every_ticks, 1)):
            if value < least:
                raise UserError(f"{_NAME}.{name} {value} is not allowed; allowed: {least} and up")
        self.count, self.extractor = count, extractor
        self.every = Every(every_ticks, "tick")
        kind: Any = PictureMetric
        names = dict.fromkeys(("swd", "fid") if metrics is None else metrics)
        self._metrics: list[BaseMetric[Pictures]] = [metric_class(name, kind)() for name in names]
        if not self._metrics:
            raise UserError(f"{_NAME}.metrics is empty; allowed: names of metrics, such as swd")
        self._eye: Eye | None = None
        self._known: tuple[int, list[BaseMetric[Pictures]], dict[str, Features], dict[str, Features]] | None = None

    def setup(self, trainer: Trainer) -> None:
        """Build the extractor, and check that the metrics can be measured at full depth.

        Raises:
            UserError: if the data are too few, or the extractor cannot be built, or a metric does not suit them.
        """
        super().setup(trainer)
        dataset = trainer.parts.dataset
        dataset.check_all_present(_NAME)
        self.count = min(self.count, len(dataset) // 2)
        self._eye = attach(self._metrics, self.extractor, for_analysis(trainer.parts.device))
        full = Pictures(np.zeros((1, *dataset.shape), np.uint8))
        _, left_out = usable(self._metrics, self.count, full)
        if left_out:
            raise UserError(f"{_NAME}: {'; '.join(left_out)}")

    def on_tick(self) -> None:
        """Measure.

        Raises:
            DivergedError: if the images are not finite.
        """
        trainer = self.trainer
        _, metrics, *sides = self._reals_at(trainer.depth)
        if not metrics:
            return
        fakes = measure(metrics, self._fakes(), self.count)
        figures = as_dict(compare(metrics, sides[0], sides[1], fakes))
        trainer.stats.update({f"picture.{name}": value for name, value in figures.items()})
        if trainer.parts.directory is None or not trainer.world.main:
            return
        facts = {
            "by": _NAME,
            "nimg": trainer.nimg,
            "tick": trainer.tick,
            "depth": trainer.depth,
            "alpha": float(trainer.G.alpha),
            "data": trainer.parts.dataset.fingerprint(),
            "n": self.count,
            "seed": trainer.parts.seed,
            **({} if self._eye is None else {"extractor": self._eye.extractor.identity()}),
        }
        try:
            append_line(trainer.parts.directory / FILE, facts, figures)
        except UserError as error:
            trainer.parts.logger.message(f"{error}; training continues")

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Drop the lines of metrics.jsonl that are newer than the checkpoint: they will be written again."""
        trainer = self.trainer
        if trainer.parts.directory is not None and trainer.world.main:
            last = trainer.tick_start_nimg
            drop_lines(trainer.parts.directory / FILE, lambda line: line.get("by") == _NAME and line["nimg"] > last)

    def _reals_at(self, depth: int) -> tuple[int, list[BaseMetric[Pictures]], dict[str, Features], dict[str, Features]]:
        """The metrics that can be measured at `depth`, and both halves of the reals; those of one depth are kept."""
        if self._known is None or self._known[0] != depth:
            dataset = self.trainer.parts.dataset
            shape = dataset.growth.shape_at(depth)
            metrics, _ = usable(self._metrics, self.count, Pictures(np.zeros((1, *shape), np.uint8)))
            order = np.random.default_rng(derive(self.trainer.parts.seed, _REALS)).permutation(len(dataset))
            halves = (order[at : at + self.count].tolist() for at in (0, self.count))
            first, second = (measure(metrics, self._reals(half, depth), self.count) for half in halves)
            self._known = depth, metrics, first, second
        return self._known

    def _reals(self, chosen: list[int], depth: int) -> Iterator[Pictures]:
        dataset = self.trainer.parts.dataset
        for start in range(0, len(chosen), _BATCH):
            batch = torch.from_numpy(dataset.images(chosen[start : start + _BATCH], depth))
            yield Pictures(to_uint8(to_network_range(batch, dataset.range_in, (-1, 1)).numpy()))

    def _fakes(self) -> Iterator[Pictures]:
        """Samples from constant latents, so that two ticks differ by the network alone."""
        for start in range(0, self.count, _BATCH):
            seed = derive(self.trainer.parts.seed, _FAKES, start)
            pictures, _ = self.trainer.sample(min(_BATCH, self.count - start), seed)
            if not np.all(np.isfinite(pictures)):
                kimg = self.trainer.kimg
                raise DivergedError(f"training has diverged: samples are not finite at {kimg:.1f} kimg")
            yield Pictures(to_uint8(pictures))
