"""LossCurves: line charts of the metrics of all ticks in one SVG file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pggan_framework.errors import at_least
from pggan_framework.plugins.pictures import run_folder
from pggan_framework.postprocessors.curves import Chart, svg_file
from pggan_framework.registry import register
from pggan_framework.reporting.panels import depth_marks, panels_of
from pggan_framework.reporting.run import Run
from pggan_framework.storage.atomic import atomic_path
from pggan_framework.training.plugin import Plugin


@register("plugin")
class LossCurves(Plugin):
    """Draws losses, scores, penalties and all other metrics over kimg in ``curves.svg``, read from ``stats.jsonl``.

    The charts are those of ``report.html``: ``G_loss`` and ``D_loss`` share a chart, and so do ``sound.frechet`` and
    its real-vs-real baseline. A file written at the end of a tick does not include that tick yet; the last file
    includes all ticks.

    Args:
        every_ticks: ticks between two files.
        scale: scale of the vertical axes; charts with values of 0 or below are linear.
        figures: metrics to draw; empty for all.
        filename: file name inside the run's folder; its ending becomes ``.svg``.
    """

    main_process_only = True

    def __init__(
        self,
        every_ticks: int = 5,
        scale: Literal["linear", "log"] = "linear",
        figures: list[str] = [],  # noqa: B006  -- copied, never changed
        filename: str = "curves.svg",
    ) -> None:
        at_least("LossCurves", 1, every_ticks=every_ticks)
        self.every_ticks = every_ticks
        self.scale = scale
        self.figures = tuple(figures)
        self.filename = str(Path(filename).with_suffix(".svg"))

    def on_tick(self) -> None:
        """Draw the ticks so far if the interval has passed."""
        if self.trainer.tick % self.every_ticks == 0 and not self.trainer.ending:
            self.draw()

    def on_end(self) -> None:
        """Draw all ticks, also after an error."""
        self.draw()

    def draw(self) -> None:
        """Write the file; a full disk only causes a message."""
        folder = run_folder(self.trainer)
        if not (folder / "config.yaml").is_file():  # training has not begun
            return
        path = folder / self.filename
        ticks = Run(folder).ticks
        charts = self.charts(ticks)
        try:
            if charts:
                with atomic_path(path) as temporary:
                    temporary.write_text(svg_file(charts, depth_marks(ticks)), encoding="utf-8")
        except OSError as error:
            self.trainer.parts.logger.message(f"cannot write {path} ({error}); training continues")

    def charts(self, ticks: list[dict[str, Any]]) -> list[Chart]:
        """Return the charts of `ticks`, the lines of stats.jsonl."""
        kept = ticks if not self.figures else [self._only(tick) for tick in ticks]
        return [
            Chart(chart.title, chart.curves, chart.unit, chart.note, self.scale == "log" and _positive(chart))
            for chart in (panel.chart for panel in panels_of({"": [kept]}))
        ]

    def _only(self, tick: Mapping[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in tick.items() if name in ("kimg", *self.figures)}


def _positive(chart: Chart) -> bool:
    return all(bool((curve.y > 0).all()) for curve in chart.curves)
