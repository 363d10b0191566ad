"""Which image is where in the endless stream of real images: a pure function of the seed and the position."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray


@lru_cache(maxsize=2)
def permutation(seed: int, epoch: int, length: int) -> NDArray[np.int64]:
    """The order of the images in an epoch, read-only; two are kept, since a batch can span two."""
    order = np.random.default_rng([seed % 2**64, epoch]).permutation(length)
    order.setflags(write=False)
    return order


def indices(seed: int, start: int, count: int, length: int) -> NDArray[np.int64]:
    """The images at positions `start` to ``start + count`` of the stream.

    Position p is in epoch ``p // length``; each epoch is a permutation of all images, so that it shows every
    image once. Nothing but (seed, p) matters: neither batch sizes nor how often a run was resumed.

    Args:
        seed: the run's.
        start: images shown so far, over all processes.
        count: size of the batch, over all processes.
        length: how many images there are.

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
    """The images that one machine shows, of a set that is on several.

    Args:
        ranges: their numbers in the set.
        processes: the machine's, by their numbers.
        world: how many processes there are on all machines.
    """

    ranges: tuple[range, ...]
    processes: range
    world: int

    def __len__(self) -> int:
        return sum(map(len, self.ranges))

    def indices(self, seed: int, start: int, positions: Sequence[int] | NDArray[np.int64]) -> NDArray[np.int64]:
        """The images that are at `positions` among those that this machine is due from position `start` on.

        Each machine reads a separate stream: permutations of its images, one after the other. Once all machines have
        shown `start` images, it is at position ``start * processes // world``. If batches divide evenly among the
        ranks, it reads the stream without gaps; otherwise it repeats or skips some images.

        Args:
            seed: the run's.
            start: images shown so far, over all processes.
            positions: which of the images that the machine shows next are requested, from 0.

        Returns:
            int64 [N], numbers in the set.
        """
        wanted = np.asarray(positions, np.int64)
        if not len(wanted):
            return wanted
        # Two machines with as many images are not to go through them in the same order.
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
