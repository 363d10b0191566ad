"""Minibatch standard deviation: a measure of the differences between the samples of a group."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import Function

from pggan_framework.networks.functional import EPSILON, HALF


def stddev_groups(samples: int, group: int) -> int:
    """The number of groups of at most `group` samples that `group_stddev` forms."""
    return min(-(-samples // group), max(samples // 2, 1))


def flat_stddev(x: Tensor, parts: int = 1) -> Tensor:
    """[N, C, h, w] -> [N], equal for all samples: the deviation over samples and positions, as in some older code.

    Args:
        x: [N, C, h, w].
        parts: number of equal batches in `x`.
    """
    x = x.float() if x.dtype in HALF else x
    return torch.cat([(part.var(unbiased=False) + EPSILON).sqrt().expand(len(part)) for part in x.chunk(parts)])


def group_stddev(x: Tensor, group: int | None, parts: int = 1) -> Tensor:
    """Compute the standard deviation over groups of samples, averaged (Karras et al. 2018, section 3).

    Args:
        x: feature maps [N, C, h, w]; not changed.
        group: largest group size. N samples form M = ceil(N / group) groups of sizes as equal as possible, with sample
            i in
            group i mod M; there is one group fewer if a sample would be alone. None: all samples form one group.
        parts: number of equal batches of N samples in `x`; no group contains samples of two batches.

    Returns:
        [N], equal within a group: the biased standard deviation over the group's samples, averaged over C, h and w.
    """
    samples = x.shape[0] // parts
    groups = 1 if group is None else stddev_groups(samples, group)
    # 16 bits are too coarse for differences from a mean.
    x = x.float() if x.dtype in HALF else x
    rows = -(-samples // groups)
    missing = rows * groups - samples
    if not missing:
        # Positions before channels, as in memory; the mean is over both.
        found: Tensor = _GroupStddev.apply(x.movedim(1, -1).reshape(parts, rows, groups, -1))
        return found.expand(parts, rows, groups).reshape(-1)
    # The last row is incomplete: pad it with zeros, which a mask excludes from the sums.
    x = x.movedim(1, -1).reshape(parts, samples, -1)
    members = F.pad(x, (0, 0, 0, missing)).view(parts, rows, groups, -1)
    mask = torch.ones(samples, device=x.device, dtype=x.dtype)
    mask = F.pad(mask, (0, missing)).view(rows, groups, 1)
    count = mask.sum(0)
    centred = (members - members.sum(1, keepdim=True) / count) * mask
    deviation = (centred.square().sum(1, keepdim=True) / count + EPSILON).sqrt()
    return deviation.mean(3).expand(parts, rows, groups).reshape(parts, -1)[:, :samples].flatten()


class _GroupStddev(Function):
    """For members m [P, R, M, F]: s = sqrt(mean_R c^2 + e), with c = m - mean_R m, averaged over F: [P, 1, M].

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

    With d = c / s, a gradient u of the output gives the gradient mean_RF(u d) of g, and the gradient
    g / (s R F) (u - mean_R u - d mean_R(u d)) of m.
    """

    @staticmethod
    def forward(ctx: Any, gradient: Tensor, members: Tensor, direction: Tensor, deviation: Tensor) -> Tensor:
        ctx.save_for_backward(gradient, members)
        ctx.known = direction, deviation
        # The values of a group's members [P, R, M, F] all share the group's gradient [P, 1, M].
        return direction * (gradient.unsqueeze(3) / (members.shape[1] * members.shape[3]))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        gradient, members = ctx.saved_tensors
        (u,) = gradients
        direction, deviation = ctx.known
        if torch.is_grad_enabled():  # double backward needs these as functions of the members
            centred = members - members.mean(1, keepdim=True)
            deviation = (centred.square().mean(1, keepdim=True) + EPSILON).sqrt()
            direction = centred / deviation
        along = (u * direction).mean(1, keepdim=True)
        to_members = torch.addcmul(u - u.mean(1, keepdim=True), direction, along, value=-1)
        factor = gradient.unsqueeze(3) / deviation / (members.shape[1] * members.shape[3])
        return along.mean(3), to_members * factor, None, None
