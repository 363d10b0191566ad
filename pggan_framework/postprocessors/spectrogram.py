"""Grids of spectrograms: axes in Hz and seconds, a colour map per kind of channel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pggan_framework.audio.base import Codec
from pggan_framework.postprocessors.axes import frequency_ticks, time_ticks
from pggan_framework.postprocessors.colours import GREYS, palette
from pggan_framework.postprocessors.picture import GAP, GAP_VALUE, arrange, enlarge, record_tiles, to_uint8

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

_PAPER, _INK = 255, 48
_TICK = 4
"""Length of a tick mark in pixels."""
_WORDS = {"phase step": "frequency"}


@dataclass(frozen=True)
class _Layout:
    """Layout of a grid in pixels: `grid` (rows, columns) of tiles, each with `channels` panels side by side."""

    grid: tuple[int, int]
    channels: int
    panel: tuple[int, int]
    between_tiles: int
    between_panels: int
    left: int = 0
    top: int = 0
    right: int = 0
    bottom: int = 0

    @property
    def tile_width(self) -> int:
        return self.channels * (self.panel[1] + self.between_panels) - self.between_panels

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the grid."""
        rows, columns = self.grid
        height = rows * (self.panel[0] + self.between_tiles) - self.between_tiles
        width = columns * (self.tile_width + self.between_tiles) - self.between_tiles
        return self.top + height + self.bottom, self.left + width + self.right

    def corner(self, tile: int, channel: int) -> tuple[int, int]:
        """Return (top, left) of a panel."""
        row, column = divmod(tile, self.grid[1])
        return (
            self.top + row * (self.panel[0] + self.between_tiles),
            self.left
            + column * (self.tile_width + self.between_tiles)
            + channel * (self.panel[1] + self.between_panels),
        )


def spectrogram_sheet(
    samples: NDArray[np.floating[Any]],
    codec: Codec,
    size: tuple[int, int] | None = None,
    resolution: int = 512,
    axes: bool = True,
    columns: int | None = None,
) -> Image:
    """Draw `samples` [N, C, h, w] in [-1, 1], spectrograms of `codec`, on one grid in reading order.

    Low frequencies are at the bottom. The channels of a sample are side by side: magnitudes from dark to bright, phase
    steps in a cyclic colour map, real and imaginary parts in two colours around a dark 0. The image has a palette of
    256 colours (mode ``P``).

    Args:
        samples: spectrograms, at any depth's size.
        codec: the codec; its `row_hz` is not None.
        size: (height, width) at full depth, to which smaller samples are enlarged (default: the size of the samples).
        resolution: target for the grid's shorter side in pixels; images are never reduced.
        axes: draw Hz at the left, seconds below and the channels' names above.
        columns: samples per row (default: about as many as rows).
    """
    from PIL import Image, ImageDraw

    count, channels, height, width = samples.shape
    full_height, full_width = size or (height, width)
    down, across = max(full_height // height, 1), max(full_width // width, 1)
    grid, factor = arrange(count, down * height, across * width * channels, resolution, columns)
    panel = down * height * factor, across * width * factor
    layout = _Layout(grid, channels, panel, GAP, GAP)
    ruler = None
    if axes:
        ruler = _Ruler(codec, panel, across * width, min(layout.size))
        layout = ruler.layout(layout)
    kinds = codec.channel_kinds()
    paper = Image.new("L", layout.size[::-1], _PAPER if axes else GAP_VALUE)
    if ruler is not None:
        ruler.draw(ImageDraw.Draw(paper), layout, count, panel_names(kinds, codec.channels))
    canvas = np.asarray(paper) // (256 // GREYS)
    colours, indices = palette(kinds)
    levels = enlarge(to_uint8(samples)[:, :, ::-1], (down * factor, across * factor))
    for tile in range(count):
        for channel in range(channels):
            top, left = layout.corner(tile, channel)
            canvas[top : top + panel[0], left : left + panel[1]] = indices[kinds[channel]][levels[tile, channel]]
    image = Image.fromarray(canvas)
    image.putpalette(colours.tobytes())
    corners = [layout.corner(tile, 0) for tile in range(count)]
    begin, end = codec.time_range()
    seconds = across * width * (end - begin) / codec.shape[2]
    record_tiles(
        image,
        [(x, y, layout.tile_width, panel[0]) for y, x in corners],
        f"{seconds:.3g} s, 0 to {codec.sample_rate / 2000:g} kHz",
    )
    return image


def panel_names(kinds: tuple[str, ...], wave_channels: int) -> list[str]:
    """Return the headings of a sample's panels: ``frequency``; ``left``; ``R real``; empty for a single panel."""
    each = len(kinds) // wave_channels
    if wave_channels == 1:
        sides = [""]
    elif wave_channels == 2:
        sides = ["left", "right"] if each == 1 else ["L", "R"]
    else:
        sides = [str(number + 1) for number in range(wave_channels)]
    words = [_WORDS.get(kind, kind) if each > 1 else "" for kind in kinds]
    return [f"{sides[index // each]} {word}".strip() for index, word in enumerate(words)]


class _Ruler:
    """Draws the numbers, tick marks and names around the panels of a grid."""

    def __init__(self, codec: Codec, panel: tuple[int, int], frames: int, short_side: int) -> None:
        from PIL import ImageFont

        self.em = int(np.clip(short_side / 40, 11, 20))
        self.font = ImageFont.load_default(self.em)
        row_hz = codec.row_hz()
        assert row_hz is not None
        self.hz = frequency_ticks(row_hz, codec.sample_rate / 2, panel[0] / (2 * self.em))
        left, right = codec.time_range()
        seconds = frames * (right - left) / codec.shape[2]
        self.seconds = time_ticks(seconds, panel[1] / (3 * self.em), -left)
        self.hz_width = max(self._width(f"{value:g}") for value, _ in self.hz)

    def _width(self, text: str) -> int:
        return int(np.ceil(self.font.getlength(text)))

    def layout(self, plain: _Layout) -> _Layout:
        """Return the layout `plain` with margins for the axes."""
        return _Layout(
            plain.grid,
            plain.channels,
            plain.panel,
            between_tiles=self.em,
            between_panels=self.em // 2,
            left=max(self.hz_width, self._width("Hz")) + _TICK + self.em,
            top=self.em * 2,
            right=self.em,
            bottom=_TICK + self.em * 2,
        )

    def draw(self, pen: ImageDraw, layout: _Layout, count: int, names: list[str]) -> None:
        """Draw tick marks at every tile, numbers at the outer tiles, and names above the first row if all fit."""
        columns = layout.grid[1]
        height, width = layout.panel
        named = all(self._width(name) <= width for name in names)
        for tile in range(count):
            row, column = divmod(tile, columns)
            for channel, name in enumerate(names):
                top, left = layout.corner(tile, channel)
                self._times(pen, top + height, left, width, numbers=tile + columns >= count)
                if row == 0 and named:
                    pen.text((left + width // 2, top - self.em // 2), name, _INK, self.font, "ms")
            top, left = layout.corner(tile, 0)
            self._frequencies(pen, top, left, height, numbers=column == 0)
        top, left = layout.corner(0, 0)
        pen.text((left - _TICK - self.em // 4, top - self.em // 2), "Hz", _INK, self.font, "rs")

    def _times(self, pen: ImageDraw, bottom: int, left: int, width: int, numbers: bool) -> None:
        for value, place in self.seconds:
            x = left + round(place * (width - 1))
            pen.line([(x, bottom), (x, bottom + _TICK - 1)], _INK)
            if numbers:
                # Keep numbers within the panel's width, so that the last number of a panel does not touch the 0 of the
                # next.
                text = f"{value:g} s" if value == self.seconds[-1][0] else f"{value:g}"
                half = (self._width(text) + 1) // 2
                middle = min(max(x, left + half), left + max(width - half, half))
                pen.text((middle, bottom + _TICK + self.em // 4), text, _INK, self.font, "ma")

    def _frequencies(self, pen: ImageDraw, top: int, left: int, height: int, numbers: bool) -> None:
        for value, place in self.hz:
            y = top + round((1 - place) * (height - 1))
            pen.line([(left - _TICK, y), (left - 1, y)], _INK)
            if numbers:
                middle = min(max(y, top + self.em // 2), top + height - self.em // 2)
                pen.text((left - _TICK - self.em // 4, middle), f"{value:g}", _INK, self.font, "rm")
