"""Survey of a source's images before use: headers, and the white level of integer grey images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pggan_framework.data.images.files import Header, grey_levels
from pggan_framework.data.sources.base import PictureSource

SURVEYED = 1024
"""Number of headers that are read at a time if only the first images are used."""
DEPTHS = (8, 10, 12, 14, 16, 20, 24, 32)
"""Bit depths that sensors and file formats use for grey levels."""
DEEP_LOOKED_AT = 256
"""Number of grey images of unknown range that are decoded to estimate it."""


def survey_headers(source: PictureSource, most: int | None, jobs: int) -> tuple[dict[int, Header], dict[int, str]]:
    """The headers of the first `most` readable images, and the reasons for unreadable images among them."""
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
    """The white level of grey images that do not specify one, and a description of the guess."""
    if not deep:
        return 65535, {}
    highest = 0
    chosen = np.unique(np.linspace(0, len(deep) - 1, DEEP_LOOKED_AT).astype(int)).tolist()
    for place in chosen:
        try:
            with source.read(deep[place]) as image:
                image.load()
                highest = max(highest, int(grey_levels(image).max()))
        except Exception:  # noqa: S112 - reported when the image is used
            continue
    bits = next(bits for bits in DEPTHS if highest < 1 << bits)
    return (1 << bits) - 1, {
        "guessed": f"{bits} bit, white is {(1 << bits) - 1:,}: {len(deep):,} grey images do not state their range, and"
        f" {highest:,} is the highest level in {len(chosen):,} of them"
    }
