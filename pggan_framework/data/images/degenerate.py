"""Images that teach nothing: of one colour, or equal to another one."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from pggan_framework.data.walk import named

LOOKED_AT, LOOKED_SECONDS = 24, 1.0
"""Images that are decoded before a training to find those that teach nothing, and the time after which that stops."""


def look_at(count: int, name: Callable[[int], str], pixels: Callable[[int], NDArray[np.uint8]]) -> dict[str, str]:
    """Look at a few of `count` images, evenly spread; lines of a summary about those that teach nothing.

    Args:
        count: how many images there are.
        name: what an image is called.
        pixels: gives an image, uint8 [C, H, W]; one that raises an error is passed over.
    """
    flat: list[str] = []
    seen: dict[bytes, str] = {}
    equal: dict[str, str] = {}
    looked = 0
    begun = time.monotonic()
    for place in np.unique(np.linspace(0, count - 1, LOOKED_AT).astype(int)).tolist():
        if time.monotonic() - begun > LOOKED_SECONDS:
            break
        try:
            image = pixels(place)
        except Exception:  # noqa: S112 - it is named when it is used
            continue
        looked += 1
        if is_flat(image):
            flat.append(name(place))
        elif (first := seen.setdefault(digest(image), name(place))) != name(place):
            equal[name(place)] = f"as {first}"
    return teaching_nothing(flat, equal, f"{looked} looked at")


def is_flat(pixels: NDArray[np.uint8]) -> bool:
    """Whether an image [C, H, W] is of one colour."""
    first = pixels[:, :1, :1]
    # Most images differ in their first row already.
    return bool((pixels[:, :1] == first).all() and (pixels == first).all())


def digest(pixels: NDArray[np.uint8]) -> bytes:
    """What only equal images share."""
    return hashlib.blake2b(np.ascontiguousarray(pixels).data, digest_size=16).digest()


def teaching_nothing(flat: Sequence[str], equal: Mapping[str, str], of: str) -> dict[str, str]:
    """Lines of a summary about images of one colour and images equal to others; none where there are none.

    Args:
        flat: names of images of one colour.
        equal: names of images that equal another one, with which.
        of: of how many, in words.
    """
    lines = {}
    if flat:
        lines["of one colour"] = f"{named(flat)}; of {of}"
    if equal:
        lines["equal to others"] = f"{named(equal)}; of {of}"
    return lines
