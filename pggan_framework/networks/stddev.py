"""Minibatch standard deviation: how much the samples of a group differ."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from pggan_framework.networks.functional import EPSILON


def stddev_groups(samples: int, group: int) -> int:
    """How many groups of at most `group` samples `group_stddev` makes of so many samples."""
    return min(-(-samples // group), max(samples // 2, 1))


def flat_stddev(x: Tensor) -> Tensor:
    """[N, C, h, w] -> [N], over samples and positions at once, as some older code has it: the same for all samples."""
    x = x.float() if x.dtype in (torch.bfloat16, torch.float16) else x
    return (x.var(unbiased=False) + EPSILON).sqrt().expand(x.shape[0])


def group_stddev(x: Tensor, group: int | None) -> Tensor:
    """How much samples differ: the standard deviation over groups of samples, averaged (Karras et al. 2018, section 3).

    Args:
        x: [N, C, h, w]; not changed.
        group: size of a group at most. N samples make M = ceil(N / group) groups as equal as can be, sample i in
            group i mod M; one group fewer where a sample would be alone. None: all samples are one group.

    Returns:
        [N], the same for all of a group: its biased standard deviation over samples, mean over C, h, w.
    """
    samples = x.shape[0]
    groups = 1 if group is None else stddev_groups(samples, group)
    # In 16 bits differences from a mean are too coarse.
    x = x.float() if x.dtype in (torch.bfloat16, torch.float16) else x
    rows = -(-samples // groups)
    missing = rows * groups - samples
    # Positions before channels, as they are in memory; the mean is over both.
    x = x.movedim(1, -1)
    if not missing:
        members = x.reshape(rows, groups, -1)
        # Written out: torch.var over the outermost axis is many times slower on a CPU.
        deviation = ((members - members.mean(0)).square().mean(0) + EPSILON).sqrt()
        return deviation.mean(1).repeat(rows)
    # The last row is incomplete: fill it with zeros that a mask keeps out of the sums.
    members = F.pad(x.flatten(1), (0, 0, 0, missing)).view(rows, groups, -1)
    mask = torch.ones(samples, device=x.device, dtype=x.dtype)
    mask = F.pad(mask, (0, missing)).view(rows, groups, 1)
    count = mask.sum(0)
    centred = (members - members.sum(0) / count) * mask
    deviation = (centred.square().sum(0) / count + EPSILON).sqrt()
    return deviation.mean(1).repeat(rows)[:samples]
