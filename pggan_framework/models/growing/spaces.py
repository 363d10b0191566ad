"""Spaces of values between layers, and how those of a source network become those of a target network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

Kind = Literal["kept", "mapped", "widened"]
Matrix = Tensor | None
"""[T, S] in float64; None for the identity, which changes no bit."""


@dataclass(frozen=True)
class Space:
    """How S values of the source stand for T values of the target.

    Args:
        out: [T, S]; a target's value as a sum of the source's values: rows of the layer that writes the space.
        into: [T, S]; columns of the layer that reads it. ``into.T @ out`` is the identity where nothing is lost.
        kind: what the table says of the layers on both sides.
        free: [T, T]; projects a row of weights onto what reads nothing at the start; where the symmetry of copies is
            broken.
        offset: [T]; added to what is written.
        held: [S]; what the source's values are where the target has 0.
    """

    out: Matrix = None
    into: Matrix = None
    kind: Kind = "kept"
    free: Matrix = None
    offset: Matrix = None
    held: Matrix = None


SAME = Space()
"""Nothing changes."""


def diagonal(*blocks: Tensor) -> Tensor:
    """A matrix with these on its diagonal."""
    found: Tensor = torch.block_diag(*blocks)  # type: ignore[no-untyped-call]
    return found


def along(weight: Tensor, matrices: Sequence[Matrix]) -> Tensor:
    """`weight` with each axis multiplied by its matrix [T, S]; no axis is touched where it is None."""
    for axis, matrix in enumerate(matrices):
        if matrix is not None:
            weight = torch.tensordot(matrix, weight.double(), ([1], [axis])).movedim(0, axis)
    return weight


def with_one_more(space: Space, gain: float) -> Space:
    """The space with one more value, which both networks have; it is read times `gain`."""
    if space.into is None:
        return space
    one = torch.ones(1, 1, dtype=torch.float64)
    return Space(
        None if space.out is None else diagonal(space.out, one),
        diagonal(space.into, one * gain),
        space.kind,
        None if space.free is None else diagonal(space.free, one * 0),
    )
