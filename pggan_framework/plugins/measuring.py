"""The base of plugins that measure samples: halves of the reals, samples from constant latents, metrics.jsonl."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from pggan_framework.cpu.transfer import for_analysis
from pggan_framework.data.loader import to_network_range
from pggan_framework.errors import DivergedError, UserError
from pggan_framework.metrics.base import BaseMetric, Clips, Features, Pictures
from pggan_framework.metrics.decoding import decoded
from pggan_framework.metrics.lines import FILE, append_line, drop_lines
from pggan_framework.metrics.report import measure, usable
from pggan_framework.postprocessors.picture import to_uint8
from pggan_framework.training.plugin import Plugin
from pggan_framework.training.randomness import derive

_BATCH = 32


class MeasuringPlugin(Plugin):
    """Compares samples of the EMA generator with two halves of the reals, at the current depth.

    Subclasses set `count`, `metrics` and `order`.
    """

    by: ClassVar[str]
    """Name of the plugin in metrics.jsonl and in messages."""
    streams: ClassVar[tuple[int, int]]
    """Random streams of the seed: for the choice of reals, and for the latents."""
    decodes: ClassVar[bool] = True
    """True to decode spectrograms to sounds; False to measure them as images."""
    griffin_lim_iter = 32
    count: int
    """Largest number of samples and of reals in each half."""
    metrics: list[BaseMetric[Any]]
    order: NDArray[np.int64]
    """Indices of the reals; the first `n` and the next `n` are the two halves."""
    _known: tuple[int, list[BaseMetric[Any]], dict[str, Features], dict[str, Features]] | None = None

    @property
    def n(self) -> int:
        """Number of samples at the current depth, which is also the number of reals in each half."""
        return self.count

    def shuffled(self) -> NDArray[np.int64]:
        """Return the indices of all examples in the random order of this plugin."""
        parts = self.trainer.parts
        return np.random.default_rng(derive(parts.seed, self.streams[0])).permutation(len(parts.dataset))

    def sides(self) -> tuple[list[BaseMetric[Any]], dict[str, Features], dict[str, Features]]:
        """Return the metrics usable at the current depth and the features of both halves, cached per depth."""
        if self._known is None or self._known[0] != self.trainer.depth:
            n = self.n
            metrics, _ = usable(self.metrics, n, next(self._reals(self.order[:1])))
            first, second = (measure(metrics, self._reals(half), n) for half in (self.order[:n], self.order[n : 2 * n]))
            self._known = self.trainer.depth, metrics, first, second
        return self._known[1:]

    def _reals(self, chosen: NDArray[np.int64]) -> Iterator[Clips | Pictures]:
        dataset = self.trainer.parts.dataset
        for start in range(0, len(chosen), _BATCH):
            images = dataset.images(chosen[start : start + _BATCH].tolist(), self.trainer.depth)
            yield self._clips(to_network_range(torch.from_numpy(images), dataset.range_in, (-1, 1)).numpy())

    def fakes(self) -> Iterator[Clips | Pictures]:
        """Yield `n` samples from constant latents, so that only the network differs between measurements.

        Raises:
            DivergedError: if the samples are not finite.
        """
        for start in range(0, self.n, _BATCH):
            seed = derive(self.trainer.parts.seed, self.streams[1], start)
            images, _ = self.trainer.sample(min(_BATCH, self.n - start), seed)
            if not np.all(np.isfinite(images)):
                raise DivergedError(f"training has diverged: samples are not finite at {self.trainer.kimg:.1f} kimg")
            yield self._clips(images)

    def _clips(self, images: NDArray[np.float32]) -> Clips | Pictures:
        """Convert images [N, C, h, w] in [-1, 1] to the input type of the metrics."""
        parts = self.trainer.parts
        codec = parts.dataset.codec
        if codec is None or not self.decodes:
            return Pictures(to_uint8(images))
        device = for_analysis(parts.device)
        return decoded(codec, images.clip(-1, 1), griffin_lim_iter=self.griffin_lim_iter, device=device)

    def facts(self) -> dict[str, Any]:
        """Return the fields that identify a measurement in metrics.jsonl."""
        trainer = self.trainer
        return {
            "by": self.by,
            "nimg": trainer.nimg,
            "tick": trainer.tick,
            "depth": trainer.depth,
            "alpha": float(trainer.G.alpha),
            "data": trainer.parts.dataset.fingerprint(),
            "n": self.n,
            "seed": trainer.parts.seed,
        }

    def write(self, facts: Mapping[str, Any], figures: Mapping[str, float]) -> None:
        """Append a line to metrics.jsonl, on rank 0; a full disk only causes a message."""
        trainer = self.trainer
        if trainer.parts.directory is not None and trainer.world.main:
            try:
                append_line(trainer.parts.directory / FILE, facts, figures)
            except UserError as error:
                trainer.parts.logger.message(f"{error}; training continues")

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Delete the lines of metrics.jsonl that are newer than the checkpoint: they will be written again."""
        trainer = self.trainer
        if trainer.parts.directory is not None and trainer.world.main:
            last = trainer.tick_start_nimg
            drop_lines(trainer.parts.directory / FILE, lambda line: line.get("by") == self.by and line["nimg"] > last)
