"""Charts as pictures: curves over an axis, bars in rows, small histograms. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil, floor, log10
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pggan_framework.postprocessors.axes import nice_step

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

Floats = NDArray[np.float64]
Colour = tuple[int, int, int]

COLOURS: tuple[Colour, ...] = (
    (0, 114, 178), (213, 94, 0), (0, 158, 115), (204, 121, 167), (86, 180, 233), (230, 159, 0), (90, 90, 90),
)  # fmt: skip
"""Told apart by colour-blind eyes too (Okabe and Ito 2008, without their yellow, which is faint on white)."""
PAPER: Colour = (255, 255, 255)
_INK: Colour = (48, 48, 48)
_GRID: Colour = (225, 225, 225)
_EM = 13
_LEFT, _RIGHT, _TOP, _BOTTOM = 5 * _EM, _EM, 2 * _EM, 2 * _EM


@dataclass(frozen=True)
class Curves:
    """One panel of curves.

    Args:
        title: what stands above it.
        lines: by name, the points (x, y) of a curve, each [n]; a y that is not finite leaves a gap.
        log: whether the upright axis is logarithmic; then every y is above 0.
    """

    title: str
    lines: Mapping[str, tuple[Floats, Floats]]
    log: bool = False


@dataclass(frozen=True)
class Axis:
    """A range of values as a range of places from 0 to 1.

    Args:
        low: the value at 0.
        high: the value at 1, above `low`.
        log: whether equal steps are equal factors; then `low` is above 0.
    """

    low: float
    high: float
    log: bool = False

    @classmethod
    def around(cls, values: Floats, log: bool = False) -> Axis:
        """The axis on which the finite `values` all lie; one of equal values, or of none, is made wider."""
        finite = values[np.isfinite(values)]
        low, high = (float(finite.min()), float(finite.max())) if len(finite) else (1.0, 1.0)
        if log:
            return cls(low, high, True) if high > low * 1.001 else cls(low / 2, high * 2, True)
        room = abs(low) / 2 or 0.5
        return cls(low, high) if high - low > 1e-9 * max(abs(low), abs(high)) else cls(low - room, high + room)

    def place(self, values: Floats) -> Floats:
        """Where values stand, 0 to 1."""
        if not self.log:
            places: Floats = (values - self.low) / (self.high - self.low)
            return places
        logarithms: Floats = (np.log(values) - np.log(self.low)) / (np.log(self.high) - np.log(self.low))
        return logarithms

    def ticks(self, count: float) -> list[float]:
        """At most about `count` round values; on a logarithmic axis powers of ten where it spans any two."""
        if self.log:
            powers = range(ceil(log10(self.low) - 1e-9), floor(log10(self.high) + 1e-9) + 1)
            if len(powers) > 1:
                return [10.0**power for power in powers[:: ceil(len(powers) / max(count, 1))]]
        step = nice_step(self.high - self.low, count)
        first, last = ceil(self.low / step - 1e-9), floor(self.high / step + 1e-9)
        return [index * step for index in range(first, last + 1)]


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


def curves_chart(
    panels: Sequence[Curves], marks: Mapping[float, str], x_name: str, size: tuple[int, int] = (860, 220)
) -> Image:
    """Panels one below the other over one common axis.

    Args:
        panels: what is drawn.
        marks: x of upright lines through all panels, and what stands at each.
        x_name: name and unit of the common axis.
        size: (width, height) of a panel, in pixels, its numbers included.
    """
    from PIL import Image, ImageDraw

    width, height = size
    image = Image.new("RGB", (width, height * max(len(panels), 1) + _EM), PAPER)
    pen = _Pen(ImageDraw.Draw(image))
    everything = [x for panel in panels for x, _ in panel.lines.values()]
    across = Axis.around(np.concatenate(everything) if everything else np.array([0.0, 1.0]))
    for number, panel in enumerate(panels):
        box = (_LEFT, number * height + _TOP, width - _RIGHT, (number + 1) * height - _BOTTOM)
        _draw_panel(pen, panel, across, {x: text for x, text in marks.items() if across.low <= x <= across.high}, box)
    pen.text((_LEFT + width - _RIGHT) / 2, image.height - _EM // 4, x_name, "ms")
    return image


def _draw_panel(pen: _Pen, panel: Curves, across: Axis, marks: Mapping[float, str], box: tuple[int, ...]) -> None:
    left, top, right, bottom = box
    up = Axis.around(np.concatenate([y for _, y in panel.lines.values()]), panel.log)

    def x_of(values: Floats) -> Floats:
        return left + across.place(values) * (right - left)

    def y_of(values: Floats) -> Floats:
        return bottom - up.place(values) * (bottom - top)

    for value in up.ticks((bottom - top) / (2.5 * _EM)):
        y = round(float(y_of(np.array([value]))[0]))
        pen.line([(left, y), (right, y)], _GRID)
        pen.text(left - _EM // 2, y, f"{value:.4g}", "rm")
    for value in across.ticks((right - left) / (6 * _EM)):
        x = round(float(x_of(np.array([value]))[0]))
        pen.line([(x, bottom), (x, bottom + 4)], _INK)
        pen.text(x, bottom + 6, f"{value:.6g}", "ma")
    for value, text in marks.items():
        x = round(float(x_of(np.array([value]))[0]))
        for y in range(top, bottom, 6):
            pen.line([(x, y), (x, y + 2)], _INK)
        # On the other side where it would not end within the picture.
        inside = x + 3 + pen.width(text) <= right + _RIGHT
        pen.text(x + 3 if inside else x - 3, top + 1, text, "la" if inside else "ra")
    pen.line([(left, top), (left, bottom), (right, bottom)], _INK)
    pen.text(left, top - _EM // 2, panel.title, "ls")
    end = right
    for number, (name, (x_values, y_values)) in reversed(list(enumerate(panel.lines.items()))):
        colour = COLOURS[number % len(COLOURS)]
        for run in _finite_runs(y_values):
            points = list(zip(x_of(x_values[run]).tolist(), y_of(y_values[run]).tolist(), strict=True))
            if len(points) > 1:
                pen.line(points, colour, 2)
            else:
                ((x, y),) = points
                pen.canvas.ellipse([x - 2, y - 2, x + 2, y + 2], fill=colour)
        pen.text(end, top - _EM // 2, name, "rs", colour)
        end -= pen.width(name) + _EM


def _finite_runs(values: Floats) -> list[slice]:
    """The stretches of `values` without a gap."""
    finite = np.concatenate([[False], np.isfinite(values), [False]])
    edges = np.flatnonzero(finite[1:] != finite[:-1]).tolist()
    return [slice(start, end) for start, end in zip(edges[::2], edges[1::2], strict=True)]


def bars_chart(title: str, rows: Mapping[str, tuple[float, float]], names: tuple[str, str], width: int = 860) -> Image:
    """A row for each name: a pale bar to the second value, a dark one to the first, on a logarithmic axis.

    Args:
        title: what stands above.
        rows: by name two values, the second not below the first; what is not above 0 and finite has no bar.
        names: what the two values are.
        width: of the picture, in pixels.
    """
    from PIL import Image, ImageDraw

    row = _EM + 5
    image = Image.new("RGB", (width, row * len(rows) + _TOP + _BOTTOM), PAPER)
    pen = _Pen(ImageDraw.Draw(image))
    left = max((pen.width(name) for name in rows), default=0) + _EM
    right, bottom = width - 3 * _EM, image.height - _BOTTOM
    values = np.array(list(rows.values()), np.float64).reshape(-1, 2)
    axis = Axis.around(values[np.isfinite(values) & (values > 0)], log=True)
    # A little below the least, so that its bar can be seen.
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
    """A small histogram for each name, its own range below it.

    Args:
        title: what stands above.
        cells: by name counts [bins] and edges [bins + 1].
        columns: how many stand side by side.
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
    """Pictures one below the other."""
    from PIL import Image

    joined = Image.new("RGB", (max(i.width for i in images), sum(i.height for i in images)), PAPER)
    top = 0
    for image in images:
        joined.paste(image, (0, top))
        top += image.height
    return joined
