"""What a logger is: it hears of a run's start, its figures, its pictures and sounds, and its end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pggan_framework.registry import contract

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


UNLIMITED_KIMG = 1e9
"""Length of a run that a clock alone ends, in thousand images."""


@dataclass(frozen=True)
class Histogram:
    """How often values lie in each of some bins.

    Args:
        counts: [bins], whole numbers.
        edges: [bins + 1], ascending.
        sum: of the values themselves.
        sum_squares: of their squares.
    """

    counts: NDArray[np.int64]
    edges: NDArray[np.float64]
    sum: float
    sum_squares: float


@dataclass(frozen=True)
class RunInfo:
    """What a logger is told at the start.

    Args:
        directory: the run's folder.
        name: its name, ``007-tones``.
        config: the resolved configuration as nested plain values, without secrets.
        config_text: the same as YAML, as in config.yaml.
        data: the dataset's summary, in words.
        networks: for each network its table: a row (layer, output shape, parameters) a layer.
        total_kimg: how long the run is, in thousand images; `UNLIMITED_KIMG` where a clock alone ends it.
        resumed_nimg: where a resumed run goes on, in images; None for a new run.
        logged_nimg: where its last whole tick ended: figures after it will be given again.
        seconds: how long this start trains at most where a clock ends it.
    """

    directory: Path
    name: str
    config: Mapping[str, Any]
    config_text: str
    data: Mapping[str, str]
    networks: Mapping[str, list[tuple[str, str, int]]]
    total_kimg: float
    resumed_nimg: int | None = None
    logged_nimg: int = 0
    environment: Mapping[str, str] = field(default_factory=dict)
    seconds: float | None = None


@contract("logger")
class Logger:
    """Base of all loggers: every method does nothing until it is overridden. None may stop a run."""

    def start(self, run: RunInfo) -> None:
        """Called once, before the first step."""

    def log(self, stats: Mapping[str, float], nimg: int) -> None:
        """Called each tick with the tick's figures: tick, kimg, depth, alpha, lod, minibatch, times, losses ..."""

    def progress(self, nimg: int) -> None:
        """Called after every step; must cost next to nothing."""

    def image(self, name: str, path: Path, nimg: int) -> None:
        """A picture was written to `path`."""

    def audio(self, name: str, path: Path, nimg: int) -> None:
        """A sound was written to `path`."""

    def histogram(self, name: str, histogram: Histogram, nimg: int) -> None:
        """The spread of some values, a layer's weights."""

    def message(self, text: str) -> None:
        """Something a person should read, one line."""

    def finish(self, status: str) -> None:
        """Called once at the end; status is ``finished``, ``interrupted`` or ``failed``."""
