"""The latents whose pictures are nearest to a target."""

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
"""The search for the label takes one step for so many of the search that follows."""


@dataclass(frozen=True)
class Projection:
    """What was found, the nearest first.

    Args:
        latents: [K, F], where each restart ended.
        labels: [K, A], found or given; None where the model is not conditioned.
        distances: [K], 1 for what a random picture is away on average; see `Distance`.
        pictures: [K, C, h, w] in [-1, 1].
        random: how many random latents were tried.
        random_distance: of the nearest of them.
        random_picture: [C, h, w], the nearest of them.
        way: how many steps were done, and the picture [C, h, w] then, on the way to the nearest.
        terms: for each term compared its distance before, of the nearest random latent, and after, of what was found.
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
        """How many times nearer the nearest is than the nearest random latent."""
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
    """Look for the latents whose pictures are nearest to a target.

    Random latents are tried first; from the nearest of them, all at once, Adam goes on along the gradient. A latent's
    length stays within `BAND` of what normal latents have; where the generator scales latents itself and has no labels,
    so that lengths do not matter, it stays what it is on average. Labels that are not given are found: the random
    latents have all labels alike, a short search from the best of different labels decides between them, and the whole
    search is done with that one. Continuous labels follow the gradient with the latent.

    Args:
        model: from `pretrained.load_generator`, at the depth of the target.
        target: [C, h, w] in [-1, 1].
        terms: what is compared; see `views`.
        given: values of labels, by name.
        search: how long is searched.
        progress: called with how many pictures have been made, and of how many.

    Raises:
        UserError: if a label is unknown, a map is missing, or the model's pictures are no finite numbers.
        ValueError: if the target does not have the shape of the model's pictures.
    """
    search = search or Search()
    if target.shape != model.growth.shape_at(model.generator.depth):
        raise ValueError(f"a target of shape {target.shape} is none of the model's pictures")
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
    """Pictures made, over all searches for one target."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self.progress, self.total, self.done = progress, total, 0

    def __call__(self, more: int) -> None:
        self.done += more
        if self.progress:
            self.progress(self.done, self.total)


def _pictures(search: Search, short: int) -> int:
    """How many pictures are made, with a search of `short` steps for the label or none."""
    if not short:
        return search.random + search.restarts * search.steps
    return 2 * search.random + search.restarts * short + (search.restarts + 1) * search.steps


def _joined(first: Points, second: Points) -> Points:
    labels = None
    if first.labels is not None and second.labels is not None:
        labels = np.concatenate([first.labels, second.labels])
    latents, parts = (torch.cat(pair) for pair in ((first.latents, second.latents), (first.parts, second.parts)))
    return Points(latents, labels, parts)
