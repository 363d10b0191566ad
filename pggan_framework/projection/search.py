"""Random search and gradient descent for latents whose images are near a target."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from math import cos, pi

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pggan_framework.errors import UserError
from pggan_framework.labels.attributes import Labels
from pggan_framework.models.pretrained import Pretrained
from pggan_framework.projection.candidates import Candidates
from pggan_framework.projection.distance import Distance
from pggan_framework.projection.painter import Painter

BAND = 2.5
"""Largest relative deviation of a latent's norm from the root of its size; 1 in 1,000 normal latents exceeds it."""
RAMP = 0.05
"""Fraction of the steps in which the learning rate rises."""
SHOWN = 5
"""Number of intermediate results kept between start and end."""
AT_ONCE = 1 << 22
"""Largest number of image values generated at a time in the random search."""


@dataclass(frozen=True)
class Search:
    """The settings of a search.

    Args:
        random: number of random latents to try first.
        restarts: number of the nearest random latents to optimize.
        steps: steps of gradient descent.
        lr: peak learning rate of Adam.
        seed: random seed of the latents.

    Raises:
        UserError: if a number is outside its limits.
    """

    random: int = 1000
    restarts: int = 8
    steps: int = 200
    lr: float = 0.3
    seed: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.restarts <= self.random:
            raise UserError(f"--restarts is {self.restarts}; allowed: 1 to {self.random}, the random latents")
        if self.steps < 1:
            raise UserError(f"--steps is {self.steps}; allowed: 1 or more")
        if not 0 < self.lr < float("inf"):
            raise UserError(f"--lr is {self.lr:g}; allowed: above 0")


@dataclass
class Points:
    """Latents [N, F] with labels [N, A], and the parts of their distances [N, K]."""

    latents: Tensor
    labels: Labels | None
    parts: Tensor

    def __getitem__(self, chosen: list[int]) -> Points:
        labels = None if self.labels is None else self.labels[chosen]
        return Points(self.latents[chosen], labels, self.parts[chosen])


class Seeker:
    """Searches one model for one target.

    Args:
        model: model loaded by `pretrained.load_generator`.
        distance: distance to the target.
        search: search settings.
        count: called with the number of newly generated images.
    """

    def __init__(self, model: Pretrained, distance: Distance, search: Search, count: Callable[[int], None]) -> None:
        self.model, self.distance, self.search, self.count = model, distance, search, count
        self.painter = Painter(model)
        self.size = model.generator.size
        mean = model.generator.latent_size**0.5
        scaled = bool(getattr(model.generator, "normalize_latents", False)) and model.label_space is None
        self.lengths = (mean, mean) if scaled else (max(mean - BAND, 0.0), mean + BAND)

    def squared(self, points: Points) -> Tensor:
        """Return the squared distances [N]."""
        return self.distance.squared(points.parts)

    def nearest(self, points: Points, candidates: Candidates, count: int) -> list[int]:
        """Return indices of the nearest points: first the nearest of every class, then the second nearest ..."""
        order = self.squared(points).argsort(stable=True).tolist()
        before: Counter[Hashable] = Counter()
        ranks = []
        for index in order:
            key = None if points.labels is None else candidates.key(points.labels[index])
            ranks.append(before[key])
            before[key] += 1
        ranked = sorted(zip(ranks, range(len(order)), strict=True))
        return [order[place] for _, place in ranked[:count]]

    def random(self, candidates: Candidates, stream: int) -> Points:
        """Draw random latents with candidate labels.

        Raises:
            UserError: if the images are not finite.
        """
        number = self.search.random
        random = torch.Generator().manual_seed(2 * self.search.seed + stream)
        latents = self._of_length(torch.randn(number, self.model.generator.latent_size, generator=random))
        labels = candidates.deal(number, 2 * self.search.seed + stream)
        channels = self.model.growth.channels
        batch = min(max(AT_ONCE // (channels * self.size[0] * self.size[1]), 1), 64)
        parts = []
        with torch.no_grad():
            for start in range(0, number, batch):
                part = slice(start, start + batch)
                condition = self.model.condition(None if labels is None else labels[part])
                parts.append(self.distance.parts(self.painter(latents[part], condition)))
                self.count(len(parts[-1]))
        points = Points(latents, labels, torch.cat(parts))
        if not bool(torch.isfinite(points.parts).all()):
            raise UserError("the model's images are not finite: its training has diverged")
        return points

    def descend(self, starts: Points, candidates: Candidates, steps: int) -> tuple[Points, list[tuple[int, Points]]]:
        """Optimize all starts in parallel with Adam; return the nearest point of each start and intermediate points."""
        latents = starts.latents.clone().requires_grad_()
        condition = self.model.condition(starts.labels)
        columns = candidates.columns
        numbers = torch.zeros(len(latents), 0) if condition is None else condition[:, columns].clone()
        numbers.requires_grad_(bool(columns))
        adam = torch.optim.Adam([latents, numbers] if columns else [latents], lr=self.search.lr, betas=(0.9, 0.99))
        best = _Best(starts, self.squared(starts), numbers)
        shown = {int(round(step)) for step in np.geomspace(1, max(steps // 2, 1), SHOWN)}
        way = []
        for step in range(steps + 1):
            if condition is not None and columns:
                condition = condition.detach().index_copy(1, torch.tensor(columns), numbers)
            parts = self.distance.parts(self.painter(latents, condition))
            squared = self.distance.squared(parts)
            best.take(squared.detach(), latents.detach(), numbers.detach(), parts.detach())
            if step in shown:
                labels = candidates.with_numbers(starts.labels, numbers.detach())
                way.append((step, Points(latents.detach().clone(), labels, parts.detach())))
            if step == steps:
                break
            for group in adam.param_groups:
                group["lr"] = self.search.lr * _ramp(step, steps)
            adam.zero_grad()
            torch.autograd.backward(squared.sum())
            adam.step()
            with torch.no_grad():
                latents.copy_(self._of_length(latents))
                numbers.clamp_(-1, 1)
            self.count(len(latents))
        return Points(best.latents, candidates.with_numbers(starts.labels, best.numbers), best.parts), way

    def pictures(self, points: Points) -> NDArray[np.float32]:
        """Generate the images of points, [N, C, h, w]."""
        with torch.no_grad():
            made: NDArray[np.float32] = self.painter(points.latents, self.model.condition(points.labels)).numpy()
        return made

    def _of_length(self, latents: Tensor) -> Tensor:
        """Rescale latents [N, F] to the allowed norms."""
        lengths = latents.norm(dim=1, keepdim=True).clamp_min(1e-12)
        kept: Tensor = latents * (lengths.clamp(*self.lengths) / lengths)
        return kept


class _Best:
    """The nearest point of each restart so far."""

    def __init__(self, starts: Points, squared: Tensor, numbers: Tensor) -> None:
        self.squared, self.latents, self.parts = squared.clone(), starts.latents.clone(), starts.parts.clone()
        self.numbers = numbers.detach().clone()

    def take(self, squared: Tensor, latents: Tensor, numbers: Tensor, parts: Tensor) -> None:
        """Keep points that are nearer than the stored points."""
        nearer = squared < self.squared
        self.squared[nearer] = squared[nearer]
        self.latents[nearer] = latents[nearer]
        self.numbers[nearer] = numbers[nearer]
        self.parts[nearer] = parts[nearer]


def _ramp(step: int, steps: int) -> float:
    """Return the learning-rate factor: linear rise over the first steps, then half-cosine decay."""
    part = (step + 1) / (steps + 1)
    return min(part / RAMP, 1.0) * (0.5 + 0.5 * cos(pi * part))
