"""Charts as images: bar charts and small histograms. Line charts are SVG, in `curves`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pggan_framework.postprocessors.axes import Axis, Floats

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

Colour = tuple[int, int, int]

COLOURS: tuple[Colour, Colour] = ((0, 114, 178), (213, 94, 0))
"""Colours for colour-blind readers (Okabe and Ito 2008)."""
PAPER: Colour = (255, 255, 255)
_INK: Colour = (48, 48, 48)
_GRID: Colour = (225, 225, 225)
_EM = 13
_TOP, _BOTTOM = 2 * _EM, 2 * _EM


@dataclass
class _Pen:
    """Draws on a canvas."""

    canvas: ImageDraw
    font: object = field(init=False)

    def __post_init__(self) -> None:
        from PIL import ImageFont

        self.font = ImageFont.load_default(_EM)

    def width(self, text: str) -> int:
        return ceil(self.canvas.textlength(text, font=self.font))  # type: ignore[arg-type]

    def text(self, x: float, y: float, text: str, anchor: str, colour: Colour = _INK) -> None:
        self.canvas.text((x, y), text, fill=colour, font=self.font, anchor=anchor)  # type: ignore[arg-type]

    def line(self, points: Sequence[tuple[float, float]], colour: Colour, width: int = 1) -> None:
        self.canvas.line(points, fill=colour, width=width)


def bars_chart(title: str, rows: Mapping[str, tuple[float, float]], names: tuple[str, str], width: int = 860) -> Image:
    """Draw a row per name: a pale bar for the second value, a dark one for the first, on a logarithmic axis.

    Args:
        title: heading of the chart.
        rows: two values by name, the second not below the first; non-positive or non-finite values get no bar.
        names: the meanings of the two values.
        width: width of the image in pixels.
    """
    from PIL import Image, ImageDraw

    row = _EM + 5
    image = Image.new("RGB", (width, row * len(rows) + _TOP + _BOTTOM), PAPER)
    pen = _Pen(ImageDraw.Draw(image))
    left = max((pen.width(name) for name in rows), default=0) + _EM
    right, bottom = width - 3 * _EM, image.height - _BOTTOM
    values = np.array(list(rows.values()), np.float64).reshape(-1, 2)
    axis = Axis.around(values[np.isfinite(values) & (values > 0)], log=True)
    # Slightly below the smallest value, so that its bar is visible.
    axis = Axis(axis.low / 2, axis.high, True)

    def x_of(value: float) -> float:
        return left + float(axis.place(np.array([value]))[0]) * (right - left)

    for value in axis.ticks((right - left) / (5 * _EM)):
        pen.line([(x_of(value), _TOP), (x_of(value), bottom)], _GRID)
        pen.text(x_of(value), bottom + 4, f"{value:.3g}", "ma")
    pale = tuple((part + 2 * 255) // 3 for part in COLOURS[0])
    for number, (name, pair) in enumerate(rows.items()):
        top = _TOP + number * row
        pen.text(left - _EM // 2, top + row // 2, name, "rm")
        for value, colour in zip(reversed(pair), (pale, COLOURS[0]), strict=True):
            if np.isfinite(value) and value > 0:
                pen.canvas.rectangle([left, top + 2, x_of(value), top + row - 3], fill=colour)
            elif not np.isfinite(value):
                pen.text(left + 2, top + row // 2, f"{value}", "lm", COLOURS[1])
    pen.line([(left, _TOP), (left, bottom), (right, bottom)], _INK)
    pen.text(_EM // 2, _TOP - _EM // 2, title, "ls")
    pen.text(right, _TOP - _EM // 2, f"dark: {names[0]}, pale: {names[1]}", "rs")
    return image


def histograms_chart(title: str, cells: Mapping[str, tuple[NDArray[np.int64], Floats]], columns: int = 5) -> Image:
    """Draw a small histogram per name, with its range below it.

    Args:
        title: heading of the chart.
        cells: counts [bins] and edges [bins + 1] by name.
        columns: histograms per row.
    """
    from PIL import Image, ImageDraw

    width, height, gap = 200, 90, _EM
    down = -(-len(cells) // columns)
    image = Image.new("RGB", (columns * (width + gap) + gap, down * (height + 4 * gap) + _TOP), PAPER)
    pen = _Pen(ImageDraw.Draw(image))
    pen.text(gap, _TOP - _EM // 2, title, "ls")
    for number, (name, (counts, edges)) in enumerate(cells.items()):
        left = gap + number % columns * (width + gap)
        bottom = _TOP + number // columns * (height + 4 * gap) + 2 * gap + height
        top_count = max(int(counts.max()), 1)
        places = left + (edges - edges[0]) / max(edges[-1] - edges[0], 1e-30) * width
        for count, start, end in zip(counts.tolist(), places[:-1].tolist(), places[1:].tolist(), strict=True):
            if count:
                high = max(count / top_count * height, 1)
                pen.canvas.rectangle([start, bottom - high, max(end - 1, start), bottom], fill=COLOURS[0])
        pen.line([(left, bottom), (left + width, bottom)], _INK)
        while pen.width(name) > width:
            name = "…" + name[2:]
        pen.text(left, bottom - height - 4, name, "ls")
        pen.text(left, bottom + 4, f"{edges[0]:.3g}", "la")
        pen.text(left + width, bottom + 4, f"{edges[-1]:.3g}", "ra")
    return image


def stack(images: Sequence[Image]) -> Image:
    """Stack images vertically."""
    from PIL import Image

    joined = Image.new("RGB", (max(i.width for i in images), sum(i.height for i in images)), PAPER)
    top = 0
    for image in images:
        joined.paste(image, (0, top))
        top += image.height
    return joined
