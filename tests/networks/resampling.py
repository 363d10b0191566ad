"""Resizing by the filter [1, 3, 3, 1], index by index; pixels beyond an edge are those at it."""

from __future__ import annotations

import torch
from torch import Tensor


def _enlarged(x: Tensor, axis: int) -> Tensor:
    n = x.shape[axis]
    take = [x.select(axis, min(max(i, 0), n - 1)) for i in range(-1, n + 1)]
    rows = []
    for i in range(1, n + 1):
        rows += [(take[i - 1] + 3 * take[i]) / 4, (3 * take[i] + take[i + 1]) / 4]
    return torch.stack(rows, axis)


def _shrunk(x: Tensor, axis: int) -> Tensor:
    n = x.shape[axis]

    def at(i: int) -> Tensor:
        return x.select(axis, min(max(i, 0), n - 1))

    rows = [(at(i - 1) + 3 * at(i) + 3 * at(i + 1) + at(i + 2)) / 8 for i in range(0, n, 2)]
    return torch.stack(rows, axis)


def enlarged(x: Tensor, factor: tuple[int, int]) -> Tensor:
    """[N, C, h, w] -> [N, C, h', w']."""
    for axis, step in zip((2, 3), factor, strict=True):
        x = _enlarged(x, axis) if step == 2 else x
    return x


def shrunk(x: Tensor, factor: tuple[int, int]) -> Tensor:
    """[N, C, h, w] -> [N, C, h', w']."""
    for axis, step in zip((2, 3), factor, strict=True):
        x = _shrunk(x, axis) if step == 2 else x
    return x


def repeated(x: Tensor, factor: tuple[int, int]) -> Tensor:
    """Nearest."""
    return x.repeat_interleave(factor[0], 2).repeat_interleave(factor[1], 3)


def boxed(x: Tensor, factor: tuple[int, int]) -> Tensor:
    """Means over boxes."""
    n, c, h, w = x.shape
    return x.reshape(n, c, h // factor[0], factor[0], w // factor[1], factor[1]).mean((3, 5))
