"""The base of loggers: methods for the start of a run, its metrics, images and sounds, and its end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pggan_framework.registry import contract

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


UNLIMITED_KIMG = 1e9
"""total_kimg of a run that only a clock ends."""


@dataclass(frozen=True)
class Histogram:
    """Counts of values in bins.

    Args:
        counts: [bins], integers.
        edges: [bins + 1], ascending.
        sum: of the values themselves.
        sum_squares: of their squares.
    """

    counts: NDArray[np.int64]
    edges: NDArray[np.float64]
    sum: float
    sum_squares: float


Verbosity = Literal["quiet", "normal", "verbose"]
"""Amount of terminal output; files always have everything."""


@dataclass(frozen=True)
class Position:
    """The position of a run between two steps.

    Args:
        depth: index of the deepest block in use.
        size: of the images at this depth, ``16x16``.
        alpha: fade-in weight of that block, 1 after the transition.
        depth_left: how long training stays at this depth, in images, or in seconds if `by_clock`; None if unknown.
        by_clock: whether the schedule counts seconds.
    """

    depth: int
    size: str
    alpha: float
    depth_left: float | None = None
    by_clock: bool = False


@dataclass(frozen=True)
class RunInfo:
    """The information a logger receives at the start.

    Args:
        directory: the run's folder.
        name: its name, ``007-tones``.
        config: the resolved configuration as nested plain values, without secrets.
        config_text: the same as YAML, as in config.yaml.
        data: the dataset's summary, as text.
        networks: for each network its table: one row (layer, output shape, parameters) per layer.
        total_kimg: length of the run in thousand images; `UNLIMITED_KIMG` if only a clock ends it.
        resumed_nimg: position of a resumed run, in images; None for a new run.
        logged_nimg: end of its last complete tick; values after it are logged again.
        environment: versions, machine and device.
        seconds: wall-clock limit of this session, if there is one.
        data_line: the training data as one short line.
        verbosity: amount of terminal output.
        position: returns the position of the run; cheap enough to call twice per second.
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
    data_line: str = ""
    verbosity: Verbosity = "normal"
    position: Callable[[], Position] | None = None


@contract("logger")
class Logger:
    """Base of all loggers: every method does nothing unless overridden. A logger never stops a run."""

    def start(self, run: RunInfo) -> None:
        """Called once, before the first step."""

    def log(self, stats: Mapping[str, float], nimg: int) -> None:
        """Called every tick with its values: tick, kimg, depth, alpha, lod, minibatch, times, losses ..."""

    def progress(self, nimg: int) -> None:
        """Called after every step; must cost almost no time."""

    def image(self, name: str, path: Path, nimg: int) -> None:
        """An image was written to `path`."""

    def audio(self, name: str, path: Path, nimg: int) -> None:
        """A sound was written to `path`."""

    def histogram(self, name: str, histogram: Histogram, nimg: int) -> None:
        """A distribution of values, such as a layer's weights."""

    def message(self, text: str) -> None:
        """A one-line message for the user."""

    def finish(self, status: str) -> None:
        """Called once at the end; status is ``finished``, ``interrupted`` or ``failed``."""
