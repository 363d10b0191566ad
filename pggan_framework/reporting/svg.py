"""Curves as SVG, to stand in a page: sharp at any size, and small."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

import numpy as np

from pggan_framework.postprocessors.chart import COLOURS, Axis, Curves, Floats

WIDTH, HEIGHT = 640, 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 8, 8, 22
MOST_POINTS = 1000
"""Of a curve; a longer one keeps the lowest and the highest of each stretch, so that no spike is lost."""
_APART = 52
"""Between the texts of two marks; one that would stand in another is left out."""
DASHES = ("", "6 3", "2 3")


def svg_chart(panel: Curves, marks: Mapping[float, str]) -> str:
    """One panel as an ``<svg>`` element.

    Args:
        panel: what is drawn.
        marks: x of upright lines, and what stands at each.
    """
    curves = {name: _thinned(x, y) for name, (x, y) in panel.lines.items()}
    across = Axis.around(np.concatenate([x for x, _ in curves.values()]))
    up = Axis.around(np.concatenate([y for _, y in curves.values()]), panel.log)
    parts = [
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(panel.title)} over kimg">'
    ]
    for value in up.ticks(5):
        y = _y(up, value)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y}" y2="{y}"/>')
        parts.append(f'<text x="{_LEFT - 5}" y="{y}" class="up">{value:.4g}</text>')
    for value in across.ticks(7):
        parts.append(f'<text x="{_x(across, value)}" y="{HEIGHT - 6}" class="across">{value:.4g}</text>')
    written = float(-_APART)
    for value, text in sorted(marks.items()):
        if across.low < value < across.high:
            x = _x(across, value)
            parts.append(f'<line class="mark" x1="{x}" x2="{x}" y1="{_TOP}" y2="{HEIGHT - _BOTTOM}"/>')
            if x - written >= _APART:
                written = x
                parts.append(f'<text x="{x + 3}" y="{_TOP + 8}" class="mark">{escape(text)}</text>')
    for number, (name, (xs, ys)) in enumerate(curves.items()):
        points = " ".join(f"{_x(across, float(x))},{_y(up, float(y))}" for x, y in zip(xs, ys, strict=True))
        dash = DASHES[number // len(COLOURS) % len(DASHES)]
        parts.append(
            f'<polyline points="{points}" stroke="{colour_of(number)}"'
            + (f' stroke-dasharray="{dash}"' if dash else "")
            + f"><title>{escape(name)}</title></polyline>"
        )
    return "".join([*parts, "</svg>"])


def colour_of(number: int) -> str:
    """The colour of a panel's curve, ``rgb(0 114 178)``."""
    return "rgb({} {} {})".format(*COLOURS[number % len(COLOURS)])


def _x(axis: Axis, value: float) -> float:
    return round(_LEFT + float(axis.place(np.array(value))) * (WIDTH - _LEFT - _RIGHT), 1)


def _y(axis: Axis, value: float) -> float:
    return round(HEIGHT - _BOTTOM - float(axis.place(np.array(value))) * (HEIGHT - _TOP - _BOTTOM), 1)


def _thinned(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """A curve of at most about MOST_POINTS points, its extremes among them."""
    if len(x) <= MOST_POINTS:
        return x, y
    kept: list[int] = []
    for stretch in np.array_split(np.arange(len(x)), MOST_POINTS // 2):
        kept += sorted({int(stretch[y[stretch].argmin()]), int(stretch[y[stretch].argmax()])})
    return x[kept], y[kept]
