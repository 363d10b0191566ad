"""Find the latents whose images are nearest to a target."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from pggan_framework.labels.attributes import Labels
from pggan_framework.models.pretrained import Pretrained
from pggan_framework.projection.candidates import Candidates
from pggan_framework.projection.distance import Distance
from pggan_framework.projection.search import Points, Search, Seeker
from pggan_framework.projection.views import Term

Progress = Callable[[int, int], None]

SHORT = 4
"""Ratio of the steps of the main search to those of the label search."""


@dataclass(frozen=True)
class Projection:
    """Results of a search, the nearest first.

    Args:
        latents: latents [K, F], the result of each restart.
        labels: given or found labels, [K, A]; None for an unconditional model.
        distances: distances [K], where 1 is the mean distance of a random image; see `Distance`.
        pictures: images of the latents, [K, C, h, w] in [-1, 1].
        random: number of random latents tried.
        random_distance: distance of the nearest random latent.
        random_picture: image of the nearest random latent, [C, h, w].
        way: intermediate results of the nearest restart: number of steps, and the image [C, h, w].
        terms: distance according to each term, for the nearest random latent and for the result.
    """

    latents: NDArray[np.float32]
    labels: Labels | None
    distances: NDArray[np.float64]
    pictures: NDArray[np.float32]
    random: int
    random_distance: float
    random_picture: NDArray[np.float32]
    way: list[tuple[int, NDArray[np.float32]]]
    terms: dict[str, tuple[float, float]]

    @property
    def factor(self) -> float:
        """Distance of the nearest random latent divided by the distance of the result."""
        found = float(self.distances[0])
        return self.random_distance / found if found > 0 else float("inf")


def project(
    model: Pretrained,
    target: NDArray[np.float32],
    terms: Sequence[Term],
    given: Mapping[str, str] | None = None,
    search: Search | None = None,
    progress: Progress | None = None,
) -> Projection:
    """Find the latents whose images are nearest to a target.

    The search starts with random latents; Adam then optimizes the nearest of them in parallel. The norm of a latent
    stays within `BAND` of the usual norms. If the generator normalizes latents and has no labels, the norm has no
    effect and is fixed at its mean. Labels that are not given are searched: the random latents have all labels with
    equal frequency, a short search from the best latents of different labels selects one label, and the main search
    uses it.
    Continuous labels are optimized together with the latent.

    Args:
        model: model loaded by `pretrained.load_generator`, at the depth of the target.
        target: target image, [C, h, w] in [-1, 1].
        terms: views to compare; see `views`.
        given: values of labels, by name.
        search: search settings.
        progress: called with the number of generated images and the total number.

    Raises:
        UserError: if a label is unknown, a map is missing, or the model's images are not finite.
        ValueError: if the target does not have the shape of the model's images.
    """
    search = search or Search()
    if target.shape != model.growth.shape_at(model.generator.depth):
        raise ValueError(f"a target of shape {target.shape} does not have the shape of the model's images")
    candidates = Candidates.of(model, given or {})
    short = -(-search.steps // SHORT) if candidates.open else 0
    count = _Count(progress, _pictures(search, short))
    seeker = Seeker(model, Distance(terms, torch.from_numpy(target)[None]), search, count)
    best, tried = seeker.random(candidates, 0), search.random
    seeker.distance.calibrate(best.parts)
    first = best[seeker.nearest(best, candidates, 1)]
    starts = best[seeker.nearest(best, candidates, search.restarts)]
    if candidates.open:
        found, _ = seeker.descend(starts, candidates, short)
        winner = found[seeker.nearest(found, candidates, 1)]
        assert winner.labels is not None
        candidates = candidates.only(winner.labels[0])
        more, tried = seeker.random(candidates, 1), 2 * search.random
        nearest = more[seeker.nearest(more, candidates, search.restarts)]
        starts = _joined(nearest, winner)
        first = min(first, nearest[[0]], key=lambda one: float(seeker.squared(one)[0]))
    found, way = seeker.descend(starts, candidates, search.steps)
    order = seeker.squared(found).argsort(stable=True).tolist()
    found = found[order]
    before, after = (seeker.distance.by_term(each.parts[0]) for each in (first, found))
    return Projection(
        found.latents.numpy(),
        found.labels,
        seeker.squared(found).double().sqrt().numpy(),
        seeker.pictures(found),
        tried,
        float(seeker.squared(first)[0].double().sqrt()),
        seeker.pictures(first)[0],
        [(step, seeker.pictures(points[order[:1]])[0]) for step, points in way],
        {name: (before[name], after[name]) for name in before},
    )


class _Count:
    """Counts generated images over all searches for one target."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self.progress, self.total, self.done = progress, total, 0

    def __call__(self, more: int) -> None:
        self.done += more
        if self.progress:
            self.progress(self.done, self.total)


def _pictures(search: Search, short: int) -> int:
    """Return the number of images to generate, with a label search of `short` steps (0 for none)."""
    if not short:
        return search.random + search.restarts * search.steps
    return 2 * search.random + search.restarts * short + (search.restarts + 1) * search.steps


def _joined(first: Points, second: Points) -> Points:
    labels = None
    if first.labels is not None and second.labels is not None:
        labels = np.concatenate([first.labels, second.labels])
    latents, parts = (torch.cat(pair) for pair in ((first.latents, second.latents), (first.parts, second.parts)))
    return Points(latents, labels, parts)
