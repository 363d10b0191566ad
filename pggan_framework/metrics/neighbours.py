"""Nearest neighbours between two sets of features, block by block."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

_BLOCK, _CHUNK = 512, 8192
"""Rows compared at a time, and the largest number of others in a block."""


def squared_distances(
    features: NDArray[np.floating], others: NDArray[np.floating]
) -> Iterator[tuple[slice, NDArray[np.float64]]]:
    """Yield squared distances of rows of `features` [N, F] to all of `others` [M, F], in blocks of (rows, [n, M]).

    They are computed as sums of squares minus twice a product, with an error of about 1e-15 of the squares.
    """
    far = np.asarray(others, np.float64)
    norms = np.einsum("ij,ij->i", far, far)
    for start in range(0, len(features), _BLOCK):
        rows = slice(start, min(start + _BLOCK, len(features)))
        near = np.asarray(features[rows], np.float64)
        squares = np.einsum("ij,ij->i", near, near)[:, None] + norms - 2 * (near @ far.T)
        yield rows, np.maximum(squares, 0)


def radii(features: NDArray[np.floating], k: int) -> NDArray[np.float64]:
    """Return the squared distance of each row [N, F] to its k-th nearest other row, [N]; k < N."""
    found = np.empty(len(features))
    for rows, squares in squared_distances(features, features):
        squares[
            np.arange(rows.stop - rows.start), np.arange(rows.start, rows.stop)
        ] = -1  # a row is not its own neighbour
        found[rows] = np.partition(squares, k, axis=1)[:, k]
    return found


def nearest(
    features: NDArray[np.floating],
    others: NDArray[np.floating],
    k: int = 1,
    own: NDArray[np.int64] | None = None,
    groups: NDArray[np.int64] | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Find the k nearest of `others` [M, F] for each of `features` [N, F], the nearest first.

    Args:
        features: features to search for, [N, F].
        others: features to search in, [M, F].
        k: number of neighbours, at most M, or with `own` the number of `others` outside of any row's group.
        own: group [N] of each row of `features`; rows of `others` of the same group are not its neighbours.
        groups: group [M] of each row of `others` (default: its index, so that only the row itself is excluded).

    Returns:
        The indices [N, k] of the neighbours, and the distances [N, k]; the distance of equal rows is exactly 0.
    """
    best: tuple[NDArray[np.float64], NDArray[np.int64]]
    best = np.empty((len(features), 0)), np.empty((len(features), 0), np.int64)
    groups = np.arange(len(others)) if groups is None else groups
    for start in range(0, len(others), _CHUNK):
        part = others[start : start + _CHUNK]
        taken = min(k, len(part))
        found = np.empty((len(features), taken)), np.empty((len(features), taken), np.int64)
        for rows, squares in squared_distances(features, part):
            if own is not None:
                squares[own[rows, None] == groups[start : start + len(part)]] = np.inf
            places = np.argpartition(squares, taken - 1, axis=1)[:, :taken]
            found[0][rows], found[1][rows] = np.take_along_axis(squares, places, axis=1), places + start
        squared, which = (np.concatenate(pair, axis=1) for pair in zip(best, found, strict=True))
        order = np.argsort(squared, axis=1, kind="stable")[:, :k]
        best = np.take_along_axis(squared, order, axis=1), np.take_along_axis(which, order, axis=1)
    near = np.asarray(features, np.float64)
    columns = [np.linalg.norm(near - np.asarray(others[places], np.float64), axis=1) for places in best[1].T]
    exact = np.stack(columns, axis=1)
    order = np.argsort(exact, axis=1, kind="stable")
    return np.take_along_axis(best[1], order, axis=1), np.take_along_axis(exact, order, axis=1)
