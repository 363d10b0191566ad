"""The shapes of a growing network: a seed block, and the axes that double at each depth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log2
from typing import Any, TypeVar

from pggan_framework.errors import UserError

Value = TypeVar("Value")
LARGEST = 1 << 15
"""Limit of sides in pixels, and of channels, above which a file counts as damaged."""


def by_depth(table: Mapping[int, Value], default: Value, depth: int) -> Value:
    """Return the value of the largest key <= `depth`, or `default` if there is none."""
    keys = [key for key in table if key <= depth]
    return table[max(keys)] if keys else default


@dataclass(frozen=True)
class Growth:
    """The image shapes at all depths.

    Args:
        channels: C, the same at every depth.
        seed: [h, w] of the block at depth 0.
        doubles: for each depth from 1 on, True if the height and True if the width doubles.
    """

    channels: int
    seed: tuple[int, int]
    doubles: tuple[tuple[bool, bool], ...]

    @property
    def max_depth(self) -> int:
        """Index of the deepest block; 0 is the seed block."""
        return len(self.doubles)

    @property
    def shape(self) -> tuple[int, int, int]:
        """[C, H, W] at full depth."""
        return self.shape_at(self.max_depth)

    def shape_at(self, depth: int) -> tuple[int, int, int]:
        """[C, h, w] at `depth`."""
        if not 0 <= depth <= len(self.doubles):
            raise ValueError(f"depth {depth} is outside 0 to {self.max_depth}")
        height, width = self.seed
        for down, across in self.doubles[:depth]:
            height, width = height << down, width << across
        return self.channels, height, width

    def factor(self, depth: int) -> tuple[int, int]:
        """Return the factors of height and width from the previous depth to `depth`: 1 or 2 each; `depth` >= 1."""
        down, across = self.doubles[depth - 1]
        return 1 << down, 1 << across

    @classmethod
    def from_state(cls, state: Mapping[str, Any], where: str) -> Growth:
        """Read the growth from an untrusted file, with the keys ``channels``, ``seed`` and ``doubles``.

        Args:
            state: mapping with these keys.
            where: name of the file for messages.

        Raises:
            UserError: if a key is missing or has the wrong type, or the shapes are too large.
        """
        try:
            channels, (height, width) = int(state["channels"]), (int(side) for side in state["seed"])
            doubles = tuple((bool(down), bool(across)) for down, across in state["doubles"])
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise UserError(f"{where} is damaged: its growth cannot be read ({error})") from error
        few = min(channels, height, width) > 0 and channels <= LARGEST and len(doubles) <= LARGEST.bit_length()
        growth = cls(channels, (height, width), doubles)
        if not few or max(growth.shape) > LARGEST:
            raise UserError(f"{where} is damaged: its growth reaches sides of more than {LARGEST} pixels or channels")
        return growth

    @classmethod
    def of(cls, shape: Sequence[int], seed: Sequence[int] | None = None, depth_offset: int = 2) -> Growth:
        """Return the growth that ends in `shape` [C, H, W].

        Args:
            shape: channels, height and width at full depth.
            seed: [h, w] at depth 0. By default both sides are halved together until the shorter one is
                ``2 ** depth_offset`` (4).
            depth_offset: log2 of the seed block's shorter side if `seed` is not given.

        If the two axes double a different number of times, both double from the start and the one with fewer doublings
        stops first.

        Raises:
            UserError: if a side is not its seed times a power of two.
        """
        channels, height, width = (int(n) for n in shape)
        if seed is None:
            short = min(height, width)
            steps = int(log2(short)) - depth_offset if short > 0 else -1
            divisor = 1 << max(steps, 0)
            if steps < 0 or short != 1 << (steps + depth_offset) or height % divisor or width % divisor:
                raise UserError(
                    f"an image of {height}x{width} cannot be halved down to {1 << depth_offset} on its shorter side;"
                    f" allowed: a shorter side of {1 << depth_offset} times a power of two and a longer one that halves"
                    " as often, a resize policy, or a custom seed_shape"
                )
            seed = (height // divisor, width // divisor)
        seed_height, seed_width = int(seed[0]), int(seed[1])
        counts = []
        for name, side, start in (("height", height, seed_height), ("width", width, seed_width)):
            ratio = side // start if start > 0 and side % start == 0 else 0
            if ratio == 0 or ratio & (ratio - 1):
                raise UserError(f"{name} {side} is not the seed block's {start} times a power of two")
            counts.append(ratio.bit_length() - 1)
        doubles = tuple((depth < counts[0], depth < counts[1]) for depth in range(max(counts)))
        return cls(channels, (seed_height, seed_width), doubles)
