"""SoundMetrics: metrics of generated sounds during training."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from pggan_framework.cpu.transfer import for_analysis
from pggan_framework.data.loader import to_network_range
from pggan_framework.errors import DivergedError, UserError
from pggan_framework.metrics.base import Clips, Features
from pggan_framework.metrics.decoding import decoded
from pggan_framework.metrics.frechet import Frechet
from pggan_framework.metrics.levels import Loudness, Silence
from pggan_framework.metrics.report import as_dict, compare, measure
from pggan_framework.registry import register
from pggan_framework.training.plugin import Every, Plugin
from pggan_framework.training.randomness import derive

if TYPE_CHECKING:
    from pggan_framework.training.trainer import Trainer

_REALS, _FAKES = 11, 12  # random streams of the seed
_BATCH = 32
_LOGGED = ("frechet", "frechet.floor", "silence", "loudness.p50", "loudness.distance")


@register("plugin")
class SoundMetrics(Plugin):
    """Adds metrics of generated sounds to a tick's values: Frechet distance, fraction of silence, loudness.

    At full depth only. ``sound.frechet.floor`` is the real-vs-real baseline of ``sound.frechet``; ``pggan evaluate``
    explains all of them. The first measurement also measures the reals, and takes three times as long as the others.

    Args:
        count: number of samples, at least 64 and at most half the data.
        every_ticks: ticks between two measurements.
        griffin_lim_iter: Griffin-Lim iterations, for codecs without phase; samples and reals alike.
    """

    def __init__(self, count: int = 200, every_ticks: int = 5, griffin_lim_iter: int = 8) -> None:
        for name, value, least in (
            ("count", count, Frechet.minimum),
            ("every_ticks", every_ticks, 1),
            ("griffin_lim_iter", griffin_lim_iter, 0),
        ):
            if value < least:
                raise UserError(f"SoundMetrics.{name} {value} is not allowed; allowed: {least} and up")
        self.count, self.griffin_lim_iter = count, griffin_lim_iter
        self.every = Every(every_ticks, "tick")
        self._metrics = (Frechet(), Silence(), Loudness())
        self._known: tuple[dict[str, Features], dict[str, Features]] | None = None

    def setup(self, trainer: Trainer) -> None:
        """Reject data that cannot be measured.

        Raises:
            UserError: if they are not sound, or too few.
        """
        super().setup(trainer)
        dataset = trainer.parts.dataset
        if dataset.codec is None:
            raise UserError("SoundMetrics: these data are not sound; allowed: a dataset with a codec")
        dataset.check_all_present("SoundMetrics")
        self.count = min(self.count, len(dataset) // 2)
        if self.count < Frechet.minimum:
            raise UserError(f"SoundMetrics: {len(dataset)} sounds are too few; allowed: {2 * Frechet.minimum} and up")

    def on_tick(self) -> None:
        """Measure.

        Raises:
            DivergedError: if the samples are not finite.
        """
        trainer = self.trainer
        if trainer.depth < trainer.G.max_depth:
            return
        seed = trainer.parts.seed
        if self._known is None:
            dataset = trainer.parts.dataset
            order = np.random.default_rng(derive(seed, _REALS)).permutation(len(dataset))
            first, second = order[: self.count].tolist(), order[self.count : 2 * self.count].tolist()
            known, others = (measure(self._metrics, self._reals(half), self.count) for half in (first, second))
            self._known = known, others
        figures = as_dict(compare(self._metrics, *self._known, measure(self._metrics, self._fakes(seed), self.count)))
        trainer.stats.update({f"sound.{name}": figures[name] for name in _LOGGED})

    def _reals(self, chosen: list[int]) -> Iterator[Clips]:
        dataset = self.trainer.parts.dataset
        for start in range(0, len(chosen), _BATCH):
            batch = torch.from_numpy(dataset.images(chosen[start : start + _BATCH], dataset.growth.max_depth))
            yield self._clips(to_network_range(batch, dataset.range_in, (-1, 1)).numpy())

    def _fakes(self, seed: int) -> Iterator[Clips]:
        """Samples from constant latents, so that two ticks differ by the network alone."""
        for start in range(0, self.count, _BATCH):
            pictures, _ = self.trainer.sample(min(_BATCH, self.count - start), derive(seed, _FAKES, start))
            if not np.all(np.isfinite(pictures)):
                raise DivergedError(f"training has diverged: samples are not finite at {self.trainer.kimg:.1f} kimg")
            yield self._clips(pictures)

    def _clips(self, pictures: NDArray[np.float32]) -> Clips:
        codec = self.trainer.parts.dataset.codec
        assert codec is not None
        device = for_analysis(self.trainer.parts.device)
        return decoded(codec, np.clip(pictures, -1, 1), griffin_lim_iter=self.griffin_lim_iter, device=device)
