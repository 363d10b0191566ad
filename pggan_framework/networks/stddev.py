"""Minibatch standard deviation: how much the samples of a group differ."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import Function

from pggan_framework.networks.functional import EPSILON, HALF


def stddev_groups(samples: int, group: int) -> int:
    """How many groups of at most `group` samples `group_stddev` makes of so many samples."""
    return min(-(-samples // group), max(samples // 2, 1))


def flat_stddev(x: Tensor, parts: int = 1) -> Tensor:
    """[N, C, h, w] -> [N], over samples and positions at once, as some older code has it: the same for all samples.

    Args:
        x: [N, C, h, w].
        parts: how many equal batches `x` is.
    """
    x = x.float() if x.dtype in HALF else x
    return torch.cat([(part.var(unbiased=False) + EPSILON).sqrt().expand(len(part)) for part in x.chunk(parts)])


def group_stddev(x: Tensor, group: int | None, parts: int = 1) -> Tensor:
    """How much samples differ: the standard deviation over groups of samples, averaged (Karras et al. 2018, section 3).

    Args:
        x: [N, C, h, w]; not changed.
        group: size of a group at most. N samples make M = ceil(N / group) groups as equal as can be, sample i in
            group i mod M; one group fewer where a sample would be alone. None: all samples are one group.
        parts: how many equal batches of N samples `x` is; no group has samples of two.

    Returns:
        [N], the same for all of a group: its biased standard deviation over samples, mean over C, h, w.
    """
    samples = x.shape[0] // parts
    groups = 1 if group is None else stddev_groups(samples, group)
    # In 16 bits differences from a mean are too coarse.
    x = x.float() if x.dtype in HALF else x
    rows = -(-samples // groups)
    missing = rows * groups - samples
    if not missing:
        # Positions before channels, as in memory; the mean is over both.
        found: Tensor = _GroupStddev.apply(x.movedim(1, -1).reshape(parts, rows, groups, -1))
        return found.expand(parts, rows, groups).reshape(-1)
    # The last row is incomplete: fill it with zeros that a mask keeps out of the sums.
    x = x.movedim(1, -1).reshape(parts, samples, -1)
    members = F.pad(x, (0, 0, 0, missing)).view(parts, rows, groups, -1)
    mask = torch.ones(samples, device=x.device, dtype=x.dtype)
    mask = F.pad(mask, (0, missing)).view(rows, groups, 1)
    count = mask.sum(0)
    centred = (members - members.sum(1, keepdim=True) / count) * mask
    deviation = (centred.square().sum(1, keepdim=True) / count + EPSILON).sqrt()
    return deviation.mean(3).expand(parts, rows, groups).reshape(parts, -1)[:, :samples].flatten()


class _GroupStddev(Function):
    """Of members m [P, R, M, F]: s = sqrt(mean_R c^2 + e), with c = m - mean_R m, averaged over F: [P, 1, M].

    Its gradient is c / (s R F).
    """

    @staticmethod
    def forward(ctx: Any, members: Tensor) -> Tensor:
        centred = members - members.mean(1, keepdim=True)
        # Written out: torch.var over an outer axis is many times slower on a CPU.
        deviation = centred.square().mean(1, keepdim=True).add_(EPSILON).sqrt_()
        ctx.save_for_backward(members)
        ctx.known = centred / deviation, deviation
        return deviation.mean(3)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        return _GroupStddevGradient.apply(gradients[0], *ctx.saved_tensors, *ctx.known)


class _GroupStddevGradient(Function):
    """g c / (s R F) for g [P, 1, M].

    With d = c / s, the gradient u of its output gives mean_RF(u d) for g, and for m
    g / (s R F) (u - mean_R u - d mean_R(u d)).
    """

    @staticmethod
    def forward(ctx: Any, gradient: Tensor, members: Tensor, direction: Tensor, deviation: Tensor) -> Tensor:
        ctx.save_for_backward(gradient, members)
        ctx.known = direction, deviation
        # Each number of a group's members [P, R, M, F] has the same part of its gradient [P, 1, M].
        return direction * (gradient.unsqueeze(3) / (members.shape[1] * members.shape[3]))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        gradient, members = ctx.saved_tensors
        (u,) = gradients
        direction, deviation = ctx.known
        if torch.is_grad_enabled():  # what is differentiated again needs these as functions of the members
            centred = members - members.mean(1, keepdim=True)
            deviation = (centred.square().mean(1, keepdim=True) + EPSILON).sqrt()
            direction = centred / deviation
        along = (u * direction).mean(1, keepdim=True)
        to_members = torch.addcmul(u - u.mean(1, keepdim=True), direction, along, value=-1)
        factor = gradient.unsqueeze(3) / deviation / (members.shape[1] * members.shape[3])
        return along.mean(3), to_members * factor, None, None
