"""Line charts over kimg as SVG: the run report embeds them, `LossCurves` writes them to a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from pggan_framework.postprocessors.axes import Axis, Floats

WIDTH, HEIGHT = 480, 220
LEFT, RIGHT, TOP, BOTTOM = 60, 12, 12, 26
"""Margins of the plot within a chart of WIDTH x HEIGHT."""
MOST_POINTS = 400
"""Largest number of points of a curve; longer curves keep the minimum and maximum of each segment, so that spikes
remain."""
COLOURS, DASHES = 6, 3
"""Numbers of colours and dashes in STYLE; their product is the number of distinct curves."""
_LINE, _LETTER = 15, 6.6
"""Height of a line of text and approximate width of a letter, in a file."""
_APART = 56
"""Smallest distance between the labels of two marks; overlapping labels are omitted."""

STYLE = """
.chart { --faint: #595959; --line: #dcdcdc; }
.s0 { --c: #0072b2; } .s1 { --c: #c44e00; } .s2 { --c: #007d5c; } .s3 { --c: #a3417f; } .s4 { --c: #8a6a00; }
.s5 { --c: #444; }
@media (prefers-color-scheme: dark) {
  .chart { --faint: #a8a8a8; --line: #404040; }
  .s0 { --c: #56b4f0; } .s1 { --c: #ff8f52; } .s2 { --c: #35cba0; } .s3 { --c: #e793c9; } .s4 { --c: #e3bd4a; }
  .s5 { --c: #d0d0d0; }
}
.chart text { font: 12px system-ui, sans-serif; fill: var(--faint); }
.chart text.up { text-anchor: end; dominant-baseline: middle; } .chart text.across { text-anchor: middle; }
.chart line { stroke: var(--line); } .chart line.mark { stroke: var(--faint); stroke-dasharray: 2 4; }
.curve { fill: none; stroke: var(--c); stroke-width: 1.8; stroke-linejoin: round;
  stroke-linecap: round; }
.dot { stroke-width: 6; }
.band { fill: var(--c); opacity: .2; stroke: none; }
.d1 { stroke-dasharray: 8 4; } .d2 { stroke-dasharray: 2 3; } .baseline { stroke-width: 1.4; stroke-dasharray: 1 4; }
@media (max-width: 520px) { .chart text { font-size: 18px; } }
"""
"""CSS of the charts, light and dark; every colour has a contrast ratio of at least 4.5 to the background."""


@dataclass(frozen=True)
class Curve:
    """One curve of a chart.

    Args:
        name: name in the legend.
        x: [n], ascending, in kimg.
        y: [n], finite.
        style: index of the colour and dash; equal indices look equal in every chart.
        baseline: True for a real-vs-real baseline, drawn thin and dotted.
        band: [n] minimum and maximum around y, e.g. over several seeds; None for a plain curve.
    """

    name: str
    x: Floats
    y: Floats
    style: int = 0
    baseline: bool = False
    band: tuple[Floats, Floats] | None = None

    @property
    def classes(self) -> str:
        """CSS classes of the curve's colour and dash, ``s0 d1``."""
        return f"s{self.style % COLOURS} baseline" if self.baseline else look_of(self.style)


@dataclass(frozen=True)
class Chart:
    """Curves with shared axes.

    Args:
        title: quantity that the chart shows.
        curves: the curves, at least one.
        unit: unit of y, ``dB``.
        note: the better direction, ``lower is better``; empty if there is none.
        log: True for a logarithmic vertical axis; every y is then above 0.
    """

    title: str
    curves: Sequence[Curve]
    unit: str = ""
    note: str = ""
    log: bool = False


def look_of(style: int) -> str:
    """CSS classes of a curve's colour and dash."""
    return f"s{style % COLOURS} d{style // COLOURS % DASHES}"


def svg(chart: Chart, marks: Mapping[float, str] | None = None) -> str:
    """Render a chart as an ``<svg>`` element, styled by STYLE.

    The values are stored in ``data-x`` and ``data-y`` of each curve, for the hover text and the zoom of the page.

    Args:
        chart: chart to draw.
        marks: kimg of vertical lines, and the label of each.
    """
    curves = [_thinned(curve) for curve in chart.curves]
    across = Axis.around(np.concatenate([curve.x for curve in curves]))
    values = [array for curve in curves for array in (curve.y, *(curve.band or ()))]
    up = Axis.around(np.concatenate(values), chart.log)
    last = ", ".join(f"{curve.name} {curve.y[-1]:.4g}" for curve in curves if not curve.baseline)
    label = escape(f"{chart.title} over kimg; last values: {last}", quote=True)
    log = ' data-log=""' if chart.log else ""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img"'
        f' aria-label="{label}"{log}>'
    ]
    for value in up.ticks(5):
        y = _y(up, value)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>')
        parts.append(f'<text x="{LEFT - 5}" y="{y}" class="up">{value:.4g}</text>')
    for value in across.ticks(5):
        parts.append(f'<text x="{_x(across, value)}" y="{HEIGHT - 8}" class="across">{value:.4g}</text>')
    written = float(-_APART)
    for value, text in sorted((marks or {}).items()):
        if across.low <= value < across.high:
            x = _x(across, value)
            parts.append(f'<line class="mark" data-x="{value:g}" x1="{x}" x2="{x}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>')
            if x - written >= _APART:
                written = x
                parts.append(f'<text class="mark" data-x="{value:g}" x="{x + 3}" y="{TOP + 9}">{escape(text)}</text>')
    for curve in curves:
        if curve.band is not None:
            low, high = curve.band
            points = _points(across, up, np.append(curve.x, curve.x[::-1]), np.append(high, low[::-1]))
            parts.append(
                f'<polygon class="band {curve.classes}" points="{points}" data-x="{_plain(curve.x)}"'
                f' data-low="{_plain(low)}" data-high="{_plain(high)}"/>'
            )
    for curve in curves:
        # A single point is drawn as a line of length zero, which round line caps show as a dot.
        twice = [0, 0] if len(curve.x) == 1 else slice(None)
        points = _points(across, up, curve.x[twice], curve.y[twice])
        parts.append(
            f'<polyline class="curve {curve.classes}{" dot" * (len(curve.x) == 1)}" points="{points}"'
            f' data-x="{_plain(curve.x)}" data-y="{_plain(curve.y)}"><title>{escape(curve.name)}</title></polyline>'
        )
    return "".join([*parts, "</svg>"])


def svg_file(charts: Sequence[Chart], marks: Mapping[float, str] | None = None, x_name: str = "kimg") -> str:
    """Render vertically stacked charts, each with its title and legend, as the text of an SVG file.

    Args:
        charts: charts to draw, from top to bottom.
        marks: x of vertical lines through all charts, and the label of each.
        x_name: name and unit of the horizontal axes.
    """
    parts, top = [], 0.0
    for chart in charts:
        unit = f", {chart.unit}" if chart.unit else ""
        top += _LINE
        parts.append(f'<text x="6" y="{top}">{escape(chart.title + unit)} over {escape(x_name)}</text>')
        end = float(WIDTH)
        for curve in chart.curves:
            width = _LETTER * len(curve.name) + 14
            if end + width > WIDTH:
                top, end = top + _LINE, float(LEFT)
            parts.append(f'<text class="key {curve.classes}" x="{end}" y="{top}">{escape(curve.name)}</text>')
            end += width
        parts.append(f'<svg y="{top + 4}" width="{WIDTH}" height="{HEIGHT}">{svg(chart, marks)}</svg>')
        top += HEIGHT + 10
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="chart" viewBox="0 0 {WIDTH} {top}"'
        f' width="{2 * WIDTH}" height="{2 * top}"><style>{STYLE}'
        ".paper { fill: #fff; } .chart text.key { fill: var(--c); }"
        " @media (prefers-color-scheme: dark) { .paper { fill: #181818; } }</style>"
        '<rect class="paper" width="100%" height="100%"/>'
    )
    return "".join([head, *parts, "</svg>\n"])


def _x(axis: Axis, value: float) -> float:
    return round(LEFT + float(axis.place(np.array(value))) * (WIDTH - LEFT - RIGHT), 1)


def _y(axis: Axis, value: float) -> float:
    return round(HEIGHT - BOTTOM - float(axis.place(np.array(value))) * (HEIGHT - TOP - BOTTOM), 1)


def _points(across: Axis, up: Axis, x: Floats, y: Floats) -> str:
    return " ".join(f"{_x(across, float(a))},{_y(up, float(b))}" for a, b in zip(x, y, strict=True))


def _plain(values: Floats) -> str:
    return " ".join(f"{value:.5g}" for value in values)


def _thinned(curve: Curve) -> Curve:
    """Reduce a curve to about MOST_POINTS points at most, including its extremes."""
    if len(curve.x) <= MOST_POINTS:
        return curve
    kept: list[int] = []
    for stretch in np.array_split(np.arange(len(curve.x)), MOST_POINTS // 2):
        kept += sorted({int(stretch[curve.y[stretch].argmin()]), int(stretch[curve.y[stretch].argmax()])})
    band = None if curve.band is None else (curve.band[0][kept], curve.band[1][kept])
    return Curve(curve.name, curve.x[kept], curve.y[kept], curve.style, curve.baseline, band)
