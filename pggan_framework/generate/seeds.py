"""Parse seeds: numbers and ranges."""

from __future__ import annotations

import re

from pggan_framework.errors import UserError

MOST_SEEDS = 1_000_000
BEYOND = 2**32
"""Seeds are below this."""


def parse_seeds(text: str) -> list[int]:
    """``0-35,77`` as numbers, in the given order, with repetitions.

    Raises:
        UserError: if it is not a list of numbers and rising ranges, or has too many or too large ones.
    """
    pairs = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,10})(?:-(\d{1,10}))?\s*", part)
        if not match or int(match[2] or match[1]) < int(match[1]):
            raise UserError(f"--seeds '{text}' is given; allowed: numbers and rising ranges, as in 0-35,77")
        pairs.append((int(match[1]), int(match[2] or match[1])))
    return _listed(pairs)


def seeds_from(first: int, count: int) -> list[int]:
    """`count` seeds from `first` on.

    Raises:
        UserError: if they are too many or too large.
    """
    return _listed([(first, first + count - 1)])


def _listed(pairs: list[tuple[int, int]]) -> list[int]:
    if sum(last - first + 1 for first, last in pairs) > MOST_SEEDS or max(last for _, last in pairs) >= BEYOND:
        raise UserError(f"too many seeds, or too large ones; allowed: {MOST_SEEDS} of them, below {BEYOND}")
    return [seed for first, last in pairs for seed in range(first, last + 1)]
