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

    A subclass sets `count`, `metrics` and `order`.
    """

    by: ClassVar[str]
    """Its name in metrics.jsonl and in messages."""
    streams: ClassVar[tuple[int, int]]
    """Random streams of the seed: for the choice of reals, and for the latents."""
    decodes: ClassVar[bool] = True
    """Whether images of sounds are decoded, or measured as images."""
    griffin_lim_iter = 32
    count: int
    """Samples on each side, at most."""
    metrics: list[BaseMetric[Any]]
    order: NDArray[np.int64]
    """Indices of the reals; the first `n`, and the next `n`, are the two halves."""
    _known: tuple[int, list[BaseMetric[Any]], dict[str, Features], dict[str, Features]] | None = None

    @property
    def n(self) -> int:
        """Samples on each side at the current depth."""
        return self.count

    def shuffled(self) -> NDArray[np.int64]:
        """The indices of all examples, in the plugin's random order."""
        parts = self.trainer.parts
        return np.random.default_rng(derive(parts.seed, self.streams[0])).permutation(len(parts.dataset))

    def sides(self) -> tuple[list[BaseMetric[Any]], dict[str, Features], dict[str, Features]]:
        """The metrics that suit the current depth, and the features of both halves, kept until the depth changes."""
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
        """`n` samples from constant latents, so that two measurements differ by the network alone.

        Raises:
            DivergedError: if they are not finite.
        """
        for start in range(0, self.n, _BATCH):
            seed = derive(self.trainer.parts.seed, self.streams[1], start)
            images, _ = self.trainer.sample(min(_BATCH, self.n - start), seed)
            if not np.all(np.isfinite(images)):
                raise DivergedError(f"training has diverged: samples are not finite at {self.trainer.kimg:.1f} kimg")
            yield self._clips(images)

    def _clips(self, images: NDArray[np.float32]) -> Clips | Pictures:
        """Images [N, C, h, w] in [-1, 1] as what the metrics compare."""
        parts = self.trainer.parts
        codec = parts.dataset.codec
        if codec is None or not self.decodes:
            return Pictures(to_uint8(images))
        device = for_analysis(parts.device)
        return decoded(codec, images.clip(-1, 1), griffin_lim_iter=self.griffin_lim_iter, device=device)

    def facts(self) -> dict[str, Any]:
        """What identifies a measurement in metrics.jsonl."""
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
        """Append a line to metrics.jsonl, on rank 0; a full disk costs a message."""
        trainer = self.trainer
        if trainer.parts.directory is not None and trainer.world.main:
            try:
                append_line(trainer.parts.directory / FILE, facts, figures)
            except UserError as error:
                trainer.parts.logger.message(f"{error}; training continues")

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Drop the lines of metrics.jsonl that are newer than the checkpoint: they will be written again."""
        trainer = self.trainer
        if trainer.parts.directory is not None and trainer.world.main:
            last = trainer.tick_start_nimg
            drop_lines(trainer.parts.directory / FILE, lambda line: line.get("by") == self.by and line["nimg"] > last)
