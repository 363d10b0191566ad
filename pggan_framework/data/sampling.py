"""Which picture stands where in the endless stream of real pictures: a pure function of the seed and the position."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray


@lru_cache(maxsize=2)
def permutation(seed: int, epoch: int, length: int) -> NDArray[np.int64]:
    """The order of the pictures in an epoch, read-only; two are kept, since a batch can span two."""
    order = np.random.default_rng([seed % 2**64, epoch]).permutation(length)
    order.setflags(write=False)
    return order


def indices(seed: int, start: int, count: int, length: int) -> NDArray[np.int64]:
    """The pictures at positions `start` to ``start + count`` of the stream.

    Position p lies in epoch ``p // length``; each epoch is a permutation of all pictures, so that it shows every
    picture once. Nothing but (seed, p) matters: neither batch sizes nor how often a run was resumed.

    Args:
        seed: the run's.
        start: images shown so far, over all processes.
        count: size of the batch, over all processes.
        length: how many pictures there are.

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
