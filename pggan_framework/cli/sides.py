"""What ``pggan evaluate`` measures: generated clips or pictures, and real ones in two halves."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pggan_framework.data.base import DepthDataset
    from pggan_framework.metrics.base import BaseMetric, Clips, Features, Pictures
    from pggan_framework.metrics.cache import FeatureCache
    from pggan_framework.metrics.deep import Eye
    from pggan_framework.pretrained import Pretrained

BATCH = 32
"""Clips or pictures made and measured at a time."""


@dataclass
class Sides:
    """A model and its data, as clips or pictures to be measured.

    Args:
        trained: the model.
        dataset: its data.
        n: how many a side.
        seed: of the samples, and of which reals.
        griffin_lim_iter: of sounds, steps in search of phases.
        device: where that search runs.
        eye: looks at pictures for the metrics that need features, if any does.
        cache: has features of real pictures.
        progress: called with how many more are done.
    """

    trained: Pretrained
    dataset: DepthDataset
    n: int
    seed: int
    griffin_lim_iter: int
    device: str
    eye: Eye | None
    cache: FeatureCache
    progress: Callable[[int], object] = lambda done: None

    def __post_init__(self) -> None:
        from pggan_framework.data.sampling import indices
        from pggan_framework.metrics.decoding import midi_of

        self.latents = self.trained.latents(self.n, self.seed)
        self.labels = self.trained.draw_labels(self.n, self.seed)
        self.order = indices(self.seed, 0, 2 * self.n, len(self.dataset))
        space, labels = self.dataset.label_space, self.dataset.labels
        self._fake_midi = midi_of(self.trained.label_space, self.labels)
        self._real_midi = midi_of(space, None if labels is None else labels[self.order])
        self._fingerprint = self.dataset.fingerprint()

    def fakes(self, part: slice) -> Clips | Pictures:
        """Generated ones."""
        pictures = self.trained.generate(self.latents[part], None if self.labels is None else self.labels[part])
        return self._clips(self.trained.codec, pictures, self._fake_midi, part)

    def reals(self, part: slice) -> Clips | Pictures:
        """Real ones, in random order: 0 to n and n to 2n are the two halves."""
        return self._clips(self.dataset.codec, self._pictures(self.order[part].tolist()), self._real_midi, part)

    def all_reals(self, part: slice) -> Clips | Pictures:
        """All real pictures, in their own order."""
        return self._clips(None, self._pictures(list(range(part.start, part.stop))), None, part)

    def real_features(self, metrics: Sequence[BaseMetric[Any]], start: int) -> dict[str, Features]:
        """What each metric keeps of the `n` reals from `start` on, from the cache what is in it."""
        return self._measured(metrics, self.reals, start, self.n, {"seed": self.seed, "order": [start, self.n]})

    def fake_features(self, metrics: Sequence[BaseMetric[Any]]) -> dict[str, Features]:
        """What each metric keeps of the generated ones."""
        from pggan_framework.metrics.report import measure

        return measure(metrics, self._batches(self.fakes, 0, self.n), self.n)

    def features_of_all(self, metric: BaseMetric[Any]) -> Features:
        """What a metric keeps of all real pictures."""
        return self._measured([metric], self.all_reals, 0, len(self.dataset), {"order": "all"})[metric.name]

    def _measured(
        self,
        metrics: Sequence[BaseMetric[Any]],
        make: Callable[[slice], Clips | Pictures],
        start: int,
        count: int,
        which: Mapping[str, object],
    ) -> dict[str, Features]:
        from pggan_framework.metrics.deep import FeatureMetric
        from pggan_framework.metrics.report import measure

        looking = [metric for metric in metrics if isinstance(metric, FeatureMetric)]
        keys = {metric.source: self._key(metric.source, count, which) for metric in looking}
        known = {source: self.cache.load(key, count) for source, key in keys.items()}
        found: dict[str, Features] = {}
        for metric in looking:
            if (features := known[metric.source]) is not None:
                found[metric.name] = features
        left = [metric for metric in metrics if metric.name not in found]
        if not left:
            self.progress(count)
            return found
        fresh = measure(left, self._batches(make, start, count), count)
        for source, name in {metric.source: metric.name for metric in looking if metric.name in fresh}.items():
            self.cache.save(keys[source], fresh[name])
        return {**found, **fresh}

    def _key(self, source: str, count: int, which: Mapping[str, object]) -> dict[str, object]:
        """What decides what is seen of real pictures."""
        assert self.eye is not None
        return {
            "data": self._fingerprint,
            "extractor": self.eye.extractor.identity(),
            "source": source,
            "n": count,
            "shape": list(self.trained.growth.shape_at(self.trained.generator.depth)),
            **which,
        }

    def _batches(self, make: Callable[[slice], Clips | Pictures], start: int, count: int) -> Iterator[Any]:
        for part in parts(start, start + count):
            yield make(part)
            self.progress(part.stop - part.start)

    def _clips(
        self, codec: Any, pictures: NDArray[np.float32], midi: NDArray[np.float64] | None, part: slice
    ) -> Clips | Pictures:
        from pggan_framework.metrics.base import Pictures
        from pggan_framework.metrics.decoding import decoded
        from pggan_framework.postprocessors.picture import to_uint8

        if codec is None:
            return Pictures(to_uint8(pictures))
        return decoded(codec, pictures, None if midi is None else midi[part], self.griffin_lim_iter, self.device)

    def _pictures(self, chosen: Sequence[int]) -> NDArray[np.float32]:
        """Real pictures in [-1, 1], at the depth of the model."""
        import torch

        from pggan_framework.data.loader import to_network_range

        images = self.dataset.images(chosen, self.trained.generator.depth)
        return to_network_range(torch.from_numpy(images), self.dataset.range_in, (-1, 1)).numpy()


def parts(start: int, stop: int) -> Iterable[slice]:
    """`start` to `stop` in batches."""
    return (slice(at, min(at + BATCH, stop)) for at in range(start, stop, BATCH))
