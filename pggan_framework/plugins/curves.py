"""LossCurves: the figures of all ticks so far as curves in one picture."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch

from pggan_framework.errors import UserError
from pggan_framework.plugins.pictures import show
from pggan_framework.postprocessors.chart import Curves, Floats, curves_chart
from pggan_framework.registry import register
from pggan_framework.reporting.panels import NOT_DRAWN, group_of
from pggan_framework.training.plugin import Plugin

_MISSING = float("nan")


@register("plugin")
class LossCurves(Plugin):
    """Draws losses, scores, penalties, metrics and all other figures over kimg into ``curves.png``.

    A dotted line marks where each depth begins. Figures that belong together share a panel: ``G_loss`` and ``D_loss``,
    ``sound.frechet`` and its floor. Those of plugins listed behind this one are a tick late, but for the last picture.

    Args:
        every_ticks: ticks between two pictures.
        scale: of the upright axes; a panel with values that are not above 0 is linear on either.
        figures: the only figures to draw; empty for all.
        filename: the picture, inside the run's folder.
    """

    main_process_only = True

    def __init__(
        self,
        every_ticks: int = 5,
        scale: Literal["linear", "log"] = "linear",
        figures: list[str] = [],  # noqa: B006  -- copied, never changed
        filename: str = "curves.png",
    ) -> None:
        if every_ticks < 1:
            raise UserError(f"LossCurves.every_ticks {every_ticks} is not allowed; allowed: 1 and up")
        self.every_ticks = every_ticks
        self.scale = scale
        self.figures = tuple(figures)
        self.filename = filename
        self._kimg: list[float] = []
        self._columns: dict[str, list[float]] = {}
        self._open: dict[str, float] | None = None
        self._depths: dict[float, int] = {}

    def on_depth_change(self) -> None:
        """Remember where a depth begins."""
        self._depths[self.trainer.kimg] = self.trainer.depth

    def on_tick(self) -> None:
        """Take the tick's figures, and draw them if it is time."""
        self._close()
        # Plugins behind this one add to the same dict; it is read when they have.
        self._open = self.trainer.stats
        if self.trainer.tick % self.every_ticks == 0:
            self.draw()

    def on_end(self) -> None:
        """Draw what there is, whatever has ended the run."""
        if self._open is not None:
            self.draw()

    def draw(self) -> None:
        """Write the picture."""
        panels = self.panels()
        if panels:
            marks = {kimg: f"depth {depth}" for kimg, depth in self._depths.items()}
            show(self.trainer, curves_chart(panels, marks, "kimg"), self.filename)

    def panels(self) -> list[Curves]:
        """What is drawn: a panel for figures that belong together."""
        grouped: dict[str, dict[str, tuple[Floats, Floats]]] = {"loss": {}, "scores": {}}  # these first
        x = np.array(self._ticks(), np.float64)
        for name in self._names():
            if name in self.figures or not (self.figures or name in NOT_DRAWN):
                y = np.array(self._filled(name), np.float64)
                if np.isfinite(y).any():
                    known = ~np.isnan(y)
                    grouped.setdefault(group_of(name), {})[name] = x[known], y[known]
        return [Curves(title, lines, self._is_log(lines)) for title, lines in grouped.items() if lines]

    def _is_log(self, lines: dict[str, tuple[Floats, Floats]]) -> bool:
        return self.scale == "log" and all(bool(np.all(y[np.isfinite(y)] > 0)) for _, y in lines.values())

    def _ticks(self) -> list[float]:
        """Where each tick ended, in kimg."""
        return self._kimg if self._open is None else [*self._kimg, self._open["kimg"]]

    def _names(self) -> list[str]:
        return list({**self._columns, **(self._open or {})})

    def _filled(self, name: str) -> list[float]:
        """A figure at every tick so far; NaN where there was none."""
        column = self._columns.get(name, [])
        column = column + [_MISSING] * (len(self._kimg) - len(column))
        return column if self._open is None else [*column, float(self._open.get(name, _MISSING))]

    def _close(self) -> None:
        """Move the last tick's figures, which nobody adds to any more, to those of earlier ticks."""
        if self._open is None:
            return
        for name in {**self._columns, **self._open}:
            column = self._columns.setdefault(name, [])
            column += [_MISSING] * (len(self._kimg) - len(column))
            column.append(float(self._open.get(name, _MISSING)))
        self._kimg.append(self._open["kimg"])
        self._open = None

    def state_dict(self) -> dict[str, Any]:
        """All figures so far, and where depths began."""
        return {
            "kimg": torch.tensor(self._ticks(), dtype=torch.float64),
            "figures": {name: torch.tensor(self._filled(name), dtype=torch.float64) for name in self._names()},
            "depths": dict(self._depths),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on with the figures of an earlier part."""
        self._open = None
        self._kimg = state["kimg"].tolist() if state else []
        self._columns = {name: column.tolist() for name, column in state.get("figures", {}).items()}
        self._depths = dict(state.get("depths", {}))
