"""Wider layers that compute the same function: units are copied, and the next layer distinguishes the copies."""

from __future__ import annotations

import torch

from pggan_framework.errors import UserError
from pggan_framework.models.growing.spaces import SAME, Space


def widened(source: int, target: int, squares: bool) -> Space:
    """Widen `source` to `target` feature maps by copying (Net2Net, Chen et al. 2016, arXiv 1511.05641).

    A unit and its copies together contribute the same as the old unit. The layers that read them also get random
    weights whose sum over the copies is 0, so the gradients of the copies differ from the first step on.

    Args:
        source: number of feature maps of the source.
        target: number of feature maps of the target.
        squares: whether copies preserve the mean square, for pixel norm, or the sum, for minibatch stddev.

    Raises:
        UserError: if the target has fewer feature maps.
    """
    if source == target:
        return SAME
    if target < source:
        raise UserError(
            f"a layer of {source} feature maps cannot become one of {target}: a narrower layer computes something else"
            f" and would have to be retrained; allowed: {source} and more (fmap_base, fmap_max)"
        )
    of = torch.cat([torch.arange(source), torch.arange(target - source) % source])
    copies = torch.bincount(of, minlength=source).double()[of]
    places = torch.zeros(target, source, dtype=torch.float64)
    places[torch.arange(target), of] = 1.0
    share = (copies / target * source).rsqrt() if squares else 1 / copies
    out = places * share[:, None]
    into = places * (1 / (copies * share))[:, None]
    free = torch.eye(target, dtype=torch.float64) - out @ torch.linalg.inv(out.T @ out) @ out.T
    return Space(out, into, "widened", free)
