"""The two sides of ``pggan evaluate``: generated samples, and two halves of real samples."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pggan_framework.training.team import Team

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pggan_framework.data.base import DepthDataset
    from pggan_framework.metrics.base import BaseMetric, Clips, Features, Pictures
    from pggan_framework.metrics.cache import FeatureCache
    from pggan_framework.metrics.deep import Eye
    from pggan_framework.models.pretrained import Pretrained

BATCH = 32
"""Clips or images processed at a time."""


@dataclass
class Sides:
    """A model and its data, as clips or images to measure.

    Args:
        trained: trained model.
        dataset: training data of the model.
        n: number of samples, and of reals in each half.
        seed: random seed of the samples and the selection of reals.
        griffin_lim_iter: Griffin-Lim iterations, for sounds.
        device: device of the Griffin-Lim iterations.
        eye: extractor for the metrics that need features, if any.
        cache: cache of real images' features.
        progress: called with the number of newly finished samples.
        team: ranks that divide the work; rank 0 receives all features, the other ranks none.
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
    team: Team = field(default_factory=Team)

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
        """Generate samples."""
        return self._clips(self.trained.codec, self.generated(part), self._fake_midi, part)

    def generated(self, part: slice) -> NDArray[np.float32]:
        """Generate the images of samples, in [-1, 1]."""
        return self.trained.generate(self.latents[part], None if self.labels is None else self.labels[part])

    def reals(self, part: slice) -> Clips | Pictures:
        """Return real samples in random order: 0 to n and n to 2n are the two halves."""
        return self._clips(self.dataset.codec, self.pictures(self.order[part].tolist()), self._real_midi, part)

    def all_reals(self, part: slice) -> Clips | Pictures:
        """Return real samples in the order of the dataset."""
        return self._clips(self.dataset.codec, self.pictures(list(range(part.start, part.stop))), None, part)

    def real_features(self, metrics: Sequence[BaseMetric[Any]], start: int) -> dict[str, Features]:
        """Return the features of each metric of the `n` reals from `start` on, from the cache if possible."""
        return self._measured(metrics, self.reals, start, self.n, {"seed": self.seed, "order": [start, self.n]})

    def fake_features(self, metrics: Sequence[BaseMetric[Any]]) -> dict[str, Features]:
        """Return the features of each metric of the generated samples."""
        return self._fresh(metrics, self.fakes, 0, self.n)

    def features_of_all(self, metric: BaseMetric[Any]) -> Features | None:
        """Return the features of a metric of all real samples; None except on rank 0."""
        found = self._measured([metric], self.all_reals, 0, len(self.dataset), {"order": "all"})
        return found.get(metric.name)

    def _measured(
        self,
        metrics: Sequence[BaseMetric[Any]],
        make: Callable[[slice], Clips | Pictures],
        start: int,
        count: int,
        which: Mapping[str, object],
    ) -> dict[str, Features]:
        from pggan_framework.metrics.deep import FeatureMetric

        looking = [metric for metric in metrics if isinstance(metric, FeatureMetric)]
        keys = {metric.source: self._key(metric.source, count, which) for metric in looking}
        known = {source: self.cache.load(key, count) if self.team.main else None for source, key in keys.items()}
        cached = self.team.broadcast([source for source, features in known.items() if features is not None])
        found: dict[str, Features] = {}
        for metric in looking:
            if (features := known[metric.source]) is not None:
                found[metric.name] = features
        left = [metric for metric in metrics if not (isinstance(metric, FeatureMetric) and metric.source in cached)]
        if not left:
            self.progress(len(self.team.share(count, BATCH)))
            return found
        fresh = self._fresh(left, make, start, count)
        for source, name in {metric.source: metric.name for metric in looking if metric.name in fresh}.items():
            self.cache.save(keys[source], fresh[name])
        return {**found, **fresh}

    def _fresh(
        self,
        metrics: Sequence[BaseMetric[Any]],
        make: Callable[[slice], Clips | Pictures],
        start: int,
        count: int,
    ) -> dict[str, Features]:
        """Compute the features of each metric of `count` clips or images from `start` on, on all ranks."""
        from pggan_framework.metrics.report import measure

        if self.team.world.size == 1:
            return measure(metrics, self._batches(make, start, count), count)
        limits = {metric.name: min(metric.limit or count, count) for metric in metrics}
        # The batches do not depend on the number of ranks.
        needed = min(-(-max(limits.values()) // BATCH) * BATCH, count)
        share = self.team.share(needed, BATCH)
        batches = self._batches(make, start + share.start, len(share))
        mine = measure(metrics, batches, share.stop, share.start) if share else {}
        return self._gathered(mine, limits, needed)

    def _gathered(self, mine: Mapping[str, Features], limits: Mapping[str, int], needed: int) -> dict[str, Features]:
        """Gather the features of all ranks on rank 0; other ranks return nothing."""
        from pggan_framework.metrics.rows import Rows

        places = {name: features.__array_interface__["data"][0] for name, features in mine.items()}
        # An array shared by several metrics is sent once.
        alike: dict[tuple[int, int], list[str]] = {}
        for name, place in places.items():
            alike.setdefault((place, limits[name]), []).append(name)
        gathered: dict[str, Features] = {}
        for names in self.team.broadcast(list(alike.values())):
            limit = limits[names[0]]
            shares = [self.team.share(needed, BATCH, rank) for rank in range(self.team.world.size)]
            counts = [max(0, min(share.stop, limit) - share.start) for share in shares]
            rows = Rows(sum(counts))
            self.team.gather(mine.get(names[0]), counts, rows.add)
            if self.team.main:
                gathered.update(dict.fromkeys(names, rows.array()))
        return gathered

    def _key(self, source: str, count: int, which: Mapping[str, object]) -> dict[str, object]:
        """Return the settings that determine the features of real images."""
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

    def pictures(self, chosen: Sequence[int]) -> NDArray[np.float32]:
        """Return real images in [-1, 1], at the depth of the model."""
        import torch

        from pggan_framework.data.loader import to_network_range

        images = self.dataset.images(chosen, self.trained.generator.depth)
        return to_network_range(torch.from_numpy(images), self.dataset.range_in, (-1, 1)).numpy()


def parts(start: int, stop: int) -> Iterable[slice]:
    """Divide `start` to `stop` into batches."""
    return (slice(at, min(at + BATCH, stop)) for at in range(start, stop, BATCH))
