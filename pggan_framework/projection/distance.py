"""How far pictures are from one target, all that is compared taken together."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pggan_framework.errors import UserError
from pggan_framework.projection.views import Term


class Distance:
    """How far pictures are from a target: the root of a weighted mean of squared differences.

    Each difference is divided by what it is for random pictures of the model on average. So terms of any size can be
    weighed against each other, and 1 is as far as a random picture is.

    Args:
        terms: what is compared.
        target: [1, C, h, w] in [-1, 1].

    Raises:
        UserError: if no term has a weight above 0.
    """

    def __init__(self, terms: Sequence[Term], target: Tensor) -> None:
        self.terms = [term for term in terms if term.weight > 0]
        if not self.terms:
            raise UserError("all weights are 0, so that nothing is compared; allowed: one or more above 0")
        with torch.no_grad():
            self.wanted = [term.view(target) for term in self.terms]
        self.owners = [index for index, parts in enumerate(self.wanted) for _ in parts]
        shares = [self.terms[owner].weight / len(self.wanted[owner]) for owner in self.owners]
        self.weights = torch.tensor(shares) / sum(term.weight for term in self.terms)
        self.scales = torch.ones(len(shares))

    def parts(self, pictures: Tensor) -> Tensor:
        """Mean squared differences [N, K] of pictures [N, C, h, w] from the target, a column for each part compared."""
        columns = []
        for term, wanted in zip(self.terms, self.wanted, strict=True):
            pairs = zip(term.view(pictures), wanted, strict=True)
            columns += [(found - aim).square().flatten(1).mean(1) for found, aim in pairs]
        return torch.stack(columns, 1)

    def calibrate(self, parts: Tensor) -> None:
        """Take the mean of `parts` [M, K], those of random pictures, for 1; what is 0 for all of them is left out."""
        means = parts.mean(0)
        self.scales = torch.where(means > 0, means, torch.inf)

    def squared(self, parts: Tensor) -> Tensor:
        """Squared distances [N] of what `parts` gave [N, K]."""
        return (parts / self.scales) @ self.weights

    def by_term(self, parts: Tensor) -> dict[str, float]:
        """The distance by each term alone, of one picture's parts [K]."""
        shares = parts / self.scales * self.weights
        found: dict[str, float] = {}
        for index, term in enumerate(self.terms):
            own = [place for place, owner in enumerate(self.owners) if owner == index]
            found[term.name] = float((shares[own].sum() / self.weights[own].sum()).sqrt())
        return found
