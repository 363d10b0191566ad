"""Colour maps for spectrograms: the colours of levels 0 to 255, by kind of channel."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
"""uint8 values."""

GREYS = 16
"""Number of grey levels in a palette, for text and lines."""

# CIE lightness rises evenly from 2 to 96, so that equal steps in level look equal, also in greyscale print. The hue
# changes from blue over magenta and orange to pale yellow. Linear interpolation deviates from even steps by at most
# 0.9.
_NODES = (
    (6, 7, 15),
    (24, 22, 59),
    (47, 31, 96),
    (82, 36, 126),
    (126, 39, 137),
    (169, 45, 132),
    (208, 56, 121),
    (231, 86, 109),
    (249, 116, 100),
    (254, 152, 98),
    (255, 186, 107),
    (252, 218, 131),
    (247, 246, 207),
)

_CIRCLE_CENTRE, _CIRCLE_RADIUS, _CIRCLE_TILT, _CIRCLE_HUE = 0.7, 0.18, np.radians(70), np.radians(40)
"""The largest circle in Oklab, found by search, within the sRGB gamut whose lightness distinguishes 0 from pi."""


def sequential() -> Bytes:
    """Return the colour map of magnitudes, dark to bright: [256, 3]."""
    nodes = np.array(_NODES, np.float64)
    place = np.linspace(0, len(nodes) - 1, 256)
    columns = [np.interp(place, np.arange(len(nodes)), nodes[:, channel]) for channel in range(3)]
    table: Bytes = np.rint(np.stack(columns, axis=-1)).astype(np.uint8)
    return table


def cyclic() -> Bytes:
    """Return the colour map of angles from -pi to pi, with equal colours at both ends: [256, 3].

    The colours are pale at pi, green below 0, slate at 0 and violet above 0. They form a tilted circle in Oklab: equal
    angles have equal perceptual distances, and 0 is the darkest point, as in the other maps.
    """
    angle = np.linspace(0, 2 * np.pi, 256)
    up, out = _CIRCLE_RADIUS * np.sin(_CIRCLE_TILT), _CIRCLE_RADIUS * np.cos(_CIRCLE_TILT)
    lightness = _CIRCLE_CENTRE + up * np.cos(angle)
    along, across = out * np.cos(angle), _CIRCLE_RADIUS * np.sin(angle)
    a = along * np.cos(_CIRCLE_HUE) - across * np.sin(_CIRCLE_HUE)
    b = along * np.sin(_CIRCLE_HUE) + across * np.cos(_CIRCLE_HUE)
    return _srgb(lightness, a, b)


def diverging() -> Bytes:
    """Return the colour map of signed values, [256, 3]: blue below 0, orange above, and dark at 0, like silence."""
    value = np.linspace(-1, 1, 256)
    size = np.abs(value)
    hue = np.where(value < 0, np.radians(245), np.radians(55))
    colour = 0.52 * size * (1 - size)
    return _srgb(0.12 + 0.83 * size, colour * np.cos(hue), colour * np.sin(hue))


_MAPS = {"magnitude": sequential, "phase step": cyclic, "real": diverging, "imaginary": diverging}


def palette(kinds: Sequence[str]) -> tuple[Bytes, dict[str, Bytes]]:
    """Return the 256 colours of a grid with channels of these kinds; see `Codec.channel_kinds`.

    A palette PNG takes a third of the size and of the encoding time of an RGB PNG.

    Returns:
        the palette [256, 3], its first `GREYS` from black to white; and for each kind the index of each level, [256].
    """
    maps = {kind: _MAPS.get(kind, sequential) for kind in kinds}
    different = list(dict.fromkeys(maps.values()))
    share = (256 - GREYS) // len(different)
    colours = np.zeros((256, 3), np.uint8)
    colours[:GREYS] = np.rint(np.linspace(0, 255, GREYS))[:, None]
    indices = {}
    for number, table in enumerate(different):
        first = GREYS + number * share
        colours[first : first + share] = table()[np.rint(np.linspace(0, 255, share)).astype(int)]
        indices[table] = (first + np.rint(np.linspace(0, share - 1, 256))).astype(np.uint8)
    return colours, {kind: indices[table] for kind, table in maps.items()}


def _srgb(lightness: NDArray[np.float64], a: NDArray[np.float64], b: NDArray[np.float64]) -> Bytes:
    """Convert Oklab (Ottosson, "A perceptual color space for image processing", 2020) to sRGB bytes [..., 3]."""
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    linear = np.stack(
        [
            4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
            -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
            -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
        ],
        axis=-1,
    ).clip(0, 1)
    curved = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    table: Bytes = np.rint(curved * 255).astype(np.uint8)
    return table
