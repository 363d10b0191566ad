"""Which figures of a run are drawn, and which of them belong into one panel."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import isfinite
from typing import Any

import numpy as np

from pggan_framework.postprocessors.chart import Curves, Floats

NOT_DRAWN = frozenset(
    {"tick", "nimg", "kimg", "time", "sec.tick", "ms.data", "ms.saving", "depth", "alpha", "lod", "minibatch"}
)
"""What says where a run is rather than how it does."""
_SCORES = ("D_real", "D_fake")


def group_of(name: str) -> str:
    """The panel of a figure: ``loss`` of ``G_loss`` and ``D_loss``, ``sound.frechet`` of its floor."""
    if name in _SCORES:
        return "scores"
    return ".".join(name.removeprefix("G_").removeprefix("D_").split(".")[:2])


def panels_of(runs: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[Curves]:
    """The figures of one or more runs over kimg, losses and scores first.

    Args:
        runs: by name, the figures of each tick; kimg is among them. With more than one run the name stands before a
            figure's.
    """
    panels: dict[str, dict[str, tuple[Floats, Floats]]] = {"loss": {}, "scores": {}}
    for run, ticks in runs.items():
        for name in _names(ticks):
            x, y = _column(ticks, name)
            if len(y):
                panels.setdefault(group_of(name), {})[name if len(runs) == 1 else f"{run} {name}"] = x, y
    return [Curves(title, lines) for title, lines in panels.items() if lines]


def _names(ticks: Iterable[Mapping[str, Any]]) -> list[str]:
    return [name for name in {name: None for tick in ticks for name in tick} if name not in NOT_DRAWN]


def _column(ticks: Iterable[Mapping[str, Any]], name: str) -> tuple[Floats, Floats]:
    points = [(tick["kimg"], tick.get(name)) for tick in ticks]
    known = [(x, y) for x, y in points if isinstance(y, (int, float)) and isfinite(y)]
    x, y = np.array(known, np.float64).reshape(-1, 2).T
    return x, y
