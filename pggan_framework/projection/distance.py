"""The distance of images from a target: a weighted combination of all terms."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pggan_framework.errors import UserError
from pggan_framework.projection.views import Term


class Distance:
    """The distance of images from a target: the root of a weighted mean of squared differences.

    Each difference is divided by its mean over random images of the model, so terms of any scale are comparable and the
    distance of a random image is 1.

    Args:
        terms: views to compare, with their weights.
        target: target image, [1, C, h, w] in [-1, 1].

    Raises:
        UserError: if no term has a weight above 0.
    """

    def __init__(self, terms: Sequence[Term], target: Tensor) -> None:
        self.terms = [term for term in terms if term.weight > 0]
        if not self.terms:
            raise UserError("all weights are 0, so nothing is compared; allowed: one or more above 0")
        with torch.no_grad():
            self.wanted = [term.view(target) for term in self.terms]
        self.owners = [index for index, parts in enumerate(self.wanted) for _ in parts]
        shares = [self.terms[owner].weight / len(self.wanted[owner]) for owner in self.owners]
        self.weights = torch.tensor(shares) / sum(term.weight for term in self.terms)
        self.scales = torch.ones(len(shares))

    def parts(self, pictures: Tensor) -> Tensor:
        """Return mean squared differences [N, K] of images [N, C, h, w] from the target, one column per part."""
        columns = []
        for term, wanted in zip(self.terms, self.wanted, strict=True):
            pairs = zip(term.view(pictures), wanted, strict=True)
            columns += [(found - aim).square().flatten(1).mean(1) for found, aim in pairs]
        return torch.stack(columns, 1)

    def calibrate(self, parts: Tensor) -> None:
        """Normalize by the mean of `parts` [M, K] of random images; parts that are 0 for all of them are ignored."""
        means = parts.mean(0)
        self.scales = torch.where(means > 0, means, torch.inf)

    def squared(self, parts: Tensor) -> Tensor:
        """Return squared distances [N] from the output [N, K] of `parts`."""
        return (parts / self.scales) @ self.weights

    def by_term(self, parts: Tensor) -> dict[str, float]:
        """Return the distance in each single term for the parts [K] of one image."""
        shares = parts / self.scales * self.weights
        found: dict[str, float] = {}
        for index, term in enumerate(self.terms):
            own = [place for place, owner in enumerate(self.owners) if owner == index]
            found[term.name] = float((shares[own].sum() / self.weights[own].sum()).sqrt())
        return found
