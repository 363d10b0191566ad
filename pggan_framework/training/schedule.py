"""How training proceeds, as pure functions of nimg, the number of real images shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import exp
from typing import TypeVar

Value = TypeVar("Value")


def by_depth(table: Mapping[int, Value], default: Value, depth: int) -> Value:
    """The value of the largest key <= `depth`, or `default` if there is none."""
    keys = [key for key in table if key <= depth]
    return table[max(keys)] if keys else default


def lr_rampup(nimg: float, rampup_kimg: float) -> float:
    """Factor of the learning rate: ``exp(-5 (1 - n/R)^2)`` over the first `rampup_kimg`, then 1, as Karras et al."""
    length = rampup_kimg * 1000
    return exp(-5 * (1 - nimg / length) ** 2) if nimg < length else 1.0


def lod(depth: int, alpha: float, max_lod: int, depth_offset: int = 0) -> float:
    """The original tool's level of detail, for logs: 0 is the full picture, each halving adds 1."""
    return max_lod - depth_offset - depth - alpha + 1


@dataclass(frozen=True)
class GrowthSchedule:
    """Grow one depth after another: fade the new block in, then train with it (Karras et al. 2018, section 2).

    Depth d fades in over F[d] images and is then stable for T[d]; depth 0 has no fade, the last depth no end. With the
    same T and F for all this is the paper's schedule.

    Args:
        max_depth: the deepest block.
        stable: T, images a depth is trained for once it is fully there; 0 is allowed.
        transition: F, images over which a new depth fades in; 0 is allowed.
        stable_overrides: T from a depth on.
        transition_overrides: F from a depth on.

    Raises:
        ValueError: if a length is negative.
    """

    max_depth: int
    stable: float
    transition: float
    stable_overrides: Mapping[int, float] = field(default_factory=dict)
    transition_overrides: Mapping[int, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        lengths = (self.stable, self.transition, *self.stable_overrides.values(), *self.transition_overrides.values())
        if self.max_depth < 0 or min(lengths) < 0:
            raise ValueError(f"a depth or a length in images is negative: {self.max_depth}, {lengths}")

    def start(self, depth: int) -> float:
        """The nimg at which `depth` begins (to fade in, from depth 1 on)."""
        if not 0 <= depth <= self.max_depth:
            raise ValueError(f"depth {depth} is outside 0 to {self.max_depth}")
        return sum(self._fade(d) + by_depth(self.stable_overrides, self.stable, d) for d in range(depth))

    def faded_in(self, depth: int) -> float:
        """The nimg from which `depth` has alpha 1."""
        return self.start(depth) + self._fade(depth)

    def at(self, nimg: float) -> tuple[int, float]:
        """Depth and alpha once `nimg` real images have been shown."""
        depth = max(d for d in range(self.max_depth + 1) if d == 0 or nimg >= self.start(d))
        fade = self._fade(depth)
        gone = nimg - self.start(depth)
        return depth, (gone / fade if gone < fade else 1.0)

    def _fade(self, depth: int) -> float:
        return 0 if depth == 0 else by_depth(self.transition_overrides, self.transition, depth)
