"""Degenerate images: single-colour images and duplicates."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from pggan_framework.data.walk import named

LOOKED_AT, LOOKED_SECONDS = 24, 1.0
"""Number of images decoded before training to find constant and duplicate images, and the time limit in seconds."""


def look_at(count: int, name: Callable[[int], str], pixels: Callable[[int], NDArray[np.uint8]]) -> dict[str, str]:
    """Check some of `count` images, evenly spaced; returns summary lines about constant and duplicate images.

    Args:
        count: number of images.
        name: function that returns the name of an image, given its index.
        pixels: function that returns an image, uint8 [C, H, W], given its index; an image that raises an error is
            skipped.
    """
    flat: list[str] = []
    seen: dict[int, int] = {}
    equal: dict[str, str] = {}
    looked = 0
    begun = time.monotonic()
    for place in np.unique(np.linspace(0, count - 1, LOOKED_AT).astype(int)).tolist():
        if time.monotonic() - begun > LOOKED_SECONDS:
            break
        try:
            image = pixels(place)
        except Exception:  # noqa: S112 - reported when the image is used
            continue
        looked += 1
        if is_flat(image):
            flat.append(name(place))
            continue
        first = seen.setdefault(crc32(np.ascontiguousarray(image).data), place)
        if first != place and np.array_equal(image, pixels(first)):
            equal[name(place)] = f"as {name(first)}"
    return constant_and_duplicate(flat, equal, f"{looked} looked at")


def is_flat(pixels: NDArray[np.uint8]) -> bool:
    """True if an image [C, H, W] has a single colour."""
    first = pixels[:, :1, :1]
    # Most images already differ in their first row.
    return bool((pixels[:, :1] == first).all() and (pixels == first).all())


def constant_and_duplicate(flat: Sequence[str], equal: Mapping[str, str], of: str) -> dict[str, str]:
    """Summary lines about images of one colour and duplicate images; empty if there are none.

    Args:
        flat: names of images of one colour.
        equal: name of each duplicate, and the image that it equals.
        of: description of the checked images, for example their number.
    """
    lines = {}
    if flat:
        lines["of one colour"] = f"{named(flat)}; of {of}"
    if equal:
        lines["equal to others"] = f"{named(equal)}; of {of}"
    return lines
