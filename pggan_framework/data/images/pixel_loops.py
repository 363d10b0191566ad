"""Loops over pixels, compiled by Numba, which librosa brings with it; where it fails there are slower ways."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pggan_framework.data.base import Pixels
from pggan_framework.schedules.growth import Growth

Bytes = NDArray[np.uint8]
LARGEST_BOX = 1 << 24
"""Pixels in a box whose sum of uint8 is sure to be below 2**32."""


class Loops(NamedTuple):
    """The compiled loops.

    Args:
        unfilter: undoes the filters of a PNG's lines in RGB: their bytes -> uint8 [3, H, W], which it fills.
        shrink: sums [C, H, W] over boxes so far, with what each axis is halved by (1 or 2), -> sums [C, h, w] and
            their means, rounded to nearest, half to even, where a box has ``2 ** shift`` pixels; it fills both.
    """

    unfilter: Callable[[Bytes, Bytes], None]
    shrink: Callable[[NDArray[Any], int, int, NDArray[np.uint32], Bytes, int], None]


@cache
def loops() -> Loops | None:
    """The loops, compiled, or from the cache of an earlier process; None where Numba is not there.

    Compiling takes two seconds. A process forked afterwards has them too.
    """
    try:
        made = Loops(_compiled(_unfilter), _compiled(_shrink))
        # They are compiled for the types that they are called with; what is unpacked is read-only.
        pixels: Bytes = np.zeros((3, 2, 2), np.uint8)
        sums: NDArray[np.uint32] = np.zeros((3, 1, 1), np.uint32)
        means: Bytes = np.zeros((3, 1, 1), np.uint8)
        made.unfilter(np.frombuffer(bytes(14), np.uint8), pixels)
        made.shrink(pixels, 2, 2, sums, means, 2)
        made.shrink(pixels.astype(np.uint32), 2, 2, sums, means, 4)
    except (ImportError, OSError, RuntimeError):
        return None
    return made


class Shrinker:
    """A picture's box means at every depth, as `data.base.box_means` gives them, bit for bit.

    Args:
        loops: the compiled ones.
        growth: the shapes; no box may have more than `LARGEST_BOX` pixels.
    """

    def __init__(self, loops: Loops, growth: Growth) -> None:
        self._loops = loops
        self._steps: list[tuple[int, int, NDArray[np.uint32], int]] = []
        shift = 0
        for depth in range(growth.max_depth, 0, -1):
            down, across = growth.factor(depth)
            shift += down * across // 2
            self._steps.append((down, across, np.empty(growth.shape_at(depth - 1), np.uint32), shift))

    def __call__(self, picture: Pixels, levels: list[Pixels], index: int) -> None:
        """Write the means of `picture`, uint8 [C, H, W], to ``levels[depth][index]`` of all depths but the last."""
        sums: NDArray[Any] = picture
        for place, (down, across, smaller, shift) in enumerate(self._steps, 2):
            self._loops.shrink(sums, down, across, smaller, levels[-place][index], shift)
            sums = smaller


def fits(growth: Growth) -> bool:
    """Whether a `Shrinker` can do it."""
    return growth.shape[1] * growth.shape[2] // (growth.seed[0] * growth.seed[1]) <= LARGEST_BOX


def _compiled(loop: Callable[..., None]) -> Any:
    import numba

    try:
        return numba.njit(cache=True)(loop)
    except RuntimeError:  # there is no folder that the result could be kept in
        return numba.njit(loop)


def _unfilter(lines: Bytes, out: Bytes) -> None:
    # PNG (Third Edition), section 9: each line begins with the number of its filter. Loops run over slices from 0 on,
    # and choices are made by masks, for the compiler to make neither checks nor branches of them.
    _, height, width = out.shape
    length = 3 * width
    # Both begin with a pixel of zeros, which is what is left of the first one.
    before = np.zeros(length + 3, np.uint8)
    line = np.zeros(length + 3, np.uint8)
    for y in range(height):
        start = y * (length + 1)
        kind = lines[start]
        given, above, left, made = lines[start + 1 : start + 1 + length], before[3:], line[:length], line[3:]
        if kind == 0:
            for i in range(length):
                made[i] = given[i]
        elif kind == 1:
            for i in range(length):
                made[i] = given[i] + left[i]
        elif kind == 2:
            for i in range(length):
                made[i] = given[i] + above[i]
        elif kind == 3:
            for i in range(length):
                made[i] = given[i] + np.uint8((np.int32(above[i]) + np.int32(left[i])) >> 1)
        else:
            # Paeth: of the pixels to the left (a), above (b) and above the left one (c) the nearest to a + b - c.
            a0 = a1 = a2 = c0 = c1 = c2 = np.int32(0)
            for x in range(width):
                b0 = np.int32(above[3 * x])
                to_a, to_b, to_c = abs(b0 - c0), abs(a0 - c0), abs(a0 + b0 - c0 - c0)
                nearer = -np.int32(to_b < to_a)
                guess, to_guess = a0 ^ ((a0 ^ b0) & nearer), to_a ^ ((to_a ^ to_b) & nearer)
                guess ^= (guess ^ c0) & -np.int32(to_c < to_guess)
                a0, c0 = (guess + given[3 * x]) & 255, b0
                made[3 * x] = a0
                b1 = np.int32(above[3 * x + 1])
                to_a, to_b, to_c = abs(b1 - c1), abs(a1 - c1), abs(a1 + b1 - c1 - c1)
                nearer = -np.int32(to_b < to_a)
                guess, to_guess = a1 ^ ((a1 ^ b1) & nearer), to_a ^ ((to_a ^ to_b) & nearer)
                guess ^= (guess ^ c1) & -np.int32(to_c < to_guess)
                a1, c1 = (guess + given[3 * x + 1]) & 255, b1
                made[3 * x + 1] = a1
                b2 = np.int32(above[3 * x + 2])
                to_a, to_b, to_c = abs(b2 - c2), abs(a2 - c2), abs(a2 + b2 - c2 - c2)
                nearer = -np.int32(to_b < to_a)
                guess, to_guess = a2 ^ ((a2 ^ b2) & nearer), to_a ^ ((to_a ^ to_b) & nearer)
                guess ^= (guess ^ c2) & -np.int32(to_c < to_guess)
                a2, c2 = (guess + given[3 * x + 2]) & 255, b2
                made[3 * x + 2] = a2
        pixels = made.reshape(width, 3)
        for c in range(3):
            for x in range(width):
                out[c, y, x] = pixels[x, c]
        before, line = line, before


def _shrink(sums: NDArray[Any], down: int, across: int, smaller: NDArray[np.uint32], means: Bytes, shift: int) -> None:
    channels, height, width = smaller.shape
    one, bits = np.uint32(1), np.uint32(shift)
    half = np.uint32((1 << (shift - 1)) - 1)
    for c in range(channels):
        for y in range(height):
            if down == 2 and across == 2:
                for x in range(width):
                    total = (
                        np.uint32(sums[c, 2 * y, 2 * x])
                        + np.uint32(sums[c, 2 * y, 2 * x + 1])
                        + np.uint32(sums[c, 2 * y + 1, 2 * x])
                        + np.uint32(sums[c, 2 * y + 1, 2 * x + 1])
                    )
                    smaller[c, y, x] = total
                    # A half more, less what would round a half away from an even number.
                    means[c, y, x] = (total + half + ((total >> bits) & one)) >> bits
            else:
                for x in range(width):
                    total = np.uint32(0)
                    for i in range(down):
                        for j in range(across):
                            total += np.uint32(sums[c, down * y + i, across * x + j])
                    smaller[c, y, x] = total
                    means[c, y, x] = (total + half + ((total >> bits) & one)) >> bits
