"""What is found out about a source's images before they are used: their headers, and how white integer greys are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pggan_framework.data.images.files import Header, grey_levels
from pggan_framework.data.sources.base import PictureSource

SURVEYED = 1024
"""Headers that are read at a time where only the first images are used."""
DEPTHS = (8, 10, 12, 14, 16, 20, 24, 32)
"""Bits of a grey level that sensors and formats have."""
DEEP_LOOKED_AT = 256
"""Grey images of an unknown range that are decoded to find it."""


def survey_headers(source: PictureSource, most: int | None, jobs: int) -> tuple[dict[int, Header], dict[int, str]]:
    """The headers of the first `most` images that can be read, and why those among them cannot that cannot."""
    headers: dict[int, Header] = {}
    unreadable: dict[int, str] = {}
    step = len(source) if most is None else max(most, SURVEYED)
    for start in range(0, len(source), step):
        indices = range(start, min(start + step, len(source)))
        for index, found in zip(indices, source.headers(indices, jobs), strict=True):
            if len(headers) == most:
                return headers, unreadable
            if isinstance(found, str):
                unreadable[index] = found
            else:
                headers[index] = found
    return headers, unreadable


def guess_white(source: PictureSource, deep: Sequence[int]) -> tuple[int, dict[str, str]]:
    """The level of white of grey images that do not state theirs, and what to say of the guess."""
    if not deep:
        return 65535, {}
    highest = 0
    chosen = np.unique(np.linspace(0, len(deep) - 1, DEEP_LOOKED_AT).astype(int)).tolist()
    for place in chosen:
        try:
            with source.read(deep[place]) as image:
                image.load()
                highest = max(highest, int(grey_levels(image).max()))
        except Exception:  # noqa: S112 - it is named when it is used
            continue
    bits = next(bits for bits in DEPTHS if highest < 1 << bits)
    return (1 << bits) - 1, {
        "guessed": f"{bits} bit, white is {(1 << bits) - 1:,}: {len(deep):,} grey images do not state their range, and"
        f" {highest:,} is the highest level in {len(chosen):,} of them"
    }
