"""The order of images in the endless stream of reals: a pure function of seed and position."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray


@lru_cache(maxsize=2)
def permutation(seed: int, epoch: int, length: int) -> NDArray[np.int64]:
    """The order of images in an epoch, read-only; two orders are cached, since a batch can span two epochs."""
    order = np.random.default_rng([seed % 2**64, epoch]).permutation(length)
    order.setflags(write=False)
    return order


def indices(seed: int, start: int, count: int, length: int) -> NDArray[np.int64]:
    """The images at positions `start` to ``start + count`` of the stream.

    Position p is in epoch ``p // length``; each epoch is a permutation of all images and shows every image once. The
    result depends only on (seed, p), not on batch sizes or on how often the run was resumed.

    Args:
        seed: random seed of the run.
        start: images shown so far, over all processes.
        count: batch size, over all processes.
        length: number of images.

    Returns:
        int64 [count].
    """
    begin, end = start, start + count
    parts = [np.empty(0, np.int64)]
    while begin < end:
        epoch, offset = divmod(begin, length)
        taken = min(end - begin, length - offset)
        parts.append(permutation(seed, epoch, length)[offset : offset + taken])
        begin += taken
    return np.concatenate(parts)


@dataclass(frozen=True)
class Own:
    """The images of one machine, for a set that is distributed over several machines.

    Args:
        ranges: indices of the images in the set.
        processes: ranks of the machine.
        world: number of ranks on all machines.
    """

    ranges: tuple[range, ...]
    processes: range
    world: int

    def __len__(self) -> int:
        return sum(map(len, self.ranges))

    def indices(self, seed: int, start: int, positions: Sequence[int] | NDArray[np.int64]) -> NDArray[np.int64]:
        """The images at `positions` of this machine's stream, counted from its position after `start` images.

        Each machine reads a separate stream: one permutation of its images after another. When all machines together
        have shown `start` images, the machine is at position ``start * processes // world`` of its stream. If batches
        divide evenly among the ranks, the machine reads its stream without gaps; otherwise it repeats or skips some
        images.

        Args:
            seed: random seed of the run.
            start: images shown so far, over all processes.
            positions: requested positions among the next images of this machine, from 0.

        Returns:
            int64 [N], indices in the set.
        """
        wanted = np.asarray(positions, np.int64)
        if not len(wanted):
            return wanted
        # Two machines with the same number of images must not use the same order.
        own_seed = int(np.random.SeedSequence([seed % 2**64, self.ranges[0].start]).generate_state(1, np.uint64)[0])
        first = start * len(self.processes) // self.world
        found = indices(own_seed, first, int(wanted.max()) + 1, len(self))[wanted]
        before = 0
        numbers = np.empty_like(found)
        for each in self.ranges:
            inside = (found >= before) & (found < before + len(each))
            numbers[inside] = found[inside] - before + each.start
            before += len(each)
        return numbers
