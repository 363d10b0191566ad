"""Spaces of values between layers, and their mappings from a source network to a target network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

Kind = Literal["kept", "mapped", "widened"]
Matrix = Tensor | None
"""A matrix [T, S] in float64; None for the identity, which changes no bit."""


@dataclass(frozen=True)
class Space:
    """A linear map between S values of the source and T values of the target.

    Args:
        out: matrix [T, S] for the layer that writes the space: it maps rows, so a target value is a sum of source
            values.
        into: matrix [T, S] for the layer that reads the space: it maps columns. ``into.T @ out`` is the identity if no
            information is lost.
        kind: word for the layers on both sides in the table.
        free: projection [T, T] of a row of weights onto directions that have no effect at the start; random weights in
            these directions break the symmetry of copies.
        offset: offset [T] of the written values.
        held: source values [S] that correspond to 0 in the target.
    """

    out: Matrix = None
    into: Matrix = None
    kind: Kind = "kept"
    free: Matrix = None
    offset: Matrix = None
    held: Matrix = None


SAME = Space()
"""The identity."""


def diagonal(*blocks: Tensor) -> Tensor:
    """A matrix with these blocks on its diagonal."""
    found: Tensor = torch.block_diag(*blocks)  # type: ignore[no-untyped-call]
    return found


def along(weight: Tensor, matrices: Sequence[Matrix]) -> Tensor:
    """Multiply each axis of `weight` by its matrix [T, S]; an axis whose matrix is None is unchanged."""
    for axis, matrix in enumerate(matrices):
        if matrix is not None:
            weight = torch.tensordot(matrix, weight.double(), ([1], [axis])).movedim(0, axis)
    return weight


def with_one_more(space: Space, gain: float) -> Space:
    """Add to a space one value that both networks have, and that the reading layer multiplies by `gain`."""
    if space.into is None:
        return space
    one = torch.ones(1, 1, dtype=torch.float64)
    return Space(
        None if space.out is None else diagonal(space.out, one),
        diagonal(space.into, one * gain),
        space.kind,
        None if space.free is None else diagonal(space.free, one * 0),
    )
