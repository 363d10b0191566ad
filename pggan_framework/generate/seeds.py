"""Parse seeds: numbers and ranges."""

from __future__ import annotations

import re

from pggan_framework.errors import UserError

MOST_SEEDS = 1_000_000
BEYOND = 2**32
"""Upper bound of seeds, exclusive."""


def parse_seeds(text: str) -> list[int]:
    """Parse seeds such as ``0-35,77``, in the given order and with repetitions.

    Raises:
        UserError: if the text is not a list of numbers and ascending ranges, or has too many or too large seeds.
    """
    pairs = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,10})(?:-(\d{1,10}))?\s*", part)
        if not match or int(match[2] or match[1]) < int(match[1]):
            raise UserError(f"--seeds '{text}' is given; allowed: numbers and ascending ranges, as in 0-35,77")
        pairs.append((int(match[1]), int(match[2] or match[1])))
    return _listed(pairs)


def seeds_from(first: int, count: int) -> list[int]:
    """Return `count` seeds starting at `first`.

    Raises:
        UserError: if there are too many seeds, or a seed is too large.
    """
    return _listed([(first, first + count - 1)])


def _listed(pairs: list[tuple[int, int]]) -> list[int]:
    if sum(last - first + 1 for first, last in pairs) > MOST_SEEDS or max(last for _, last in pairs) >= BEYOND:
        raise UserError(f"too many or too large seeds; allowed: {MOST_SEEDS} of them, below {BEYOND}")
    return [seed for first, last in pairs for seed in range(first, last + 1)]
