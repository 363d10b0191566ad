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


Verbosity = Literal["quiet", "normal", "verbose"]
"""How much a run prints to the terminal; files always have everything."""


@dataclass(frozen=True)
class Position:
    """Where a run is between two steps.

    Args:
        depth: index of the deepest block in use.
        size: of the images there, ``16x16``.
        alpha: how far that block has faded in, 1 when it has.
        depth_left: how long training stays at this depth, in images, or in seconds where `by_clock`; None where it
            does not say.
        by_clock: whether the schedule counts seconds.
    """

    depth: int
    size: str
    alpha: float
    depth_left: float | None = None
    by_clock: bool = False


@dataclass(frozen=True)
class RunInfo:
    """What a logger receives at the start.

    Args:
        directory: the run's folder.
        name: its name, ``007-tones``.
        config: the resolved configuration as nested plain values, without secrets.
        config_text: the same as YAML, as in config.yaml.
        data: the dataset's summary, in words.
        networks: for each network its table: a row (layer, output shape, parameters) a layer.
        total_kimg: how long the run is, in thousand images; `UNLIMITED_KIMG` where a clock alone ends it.
        resumed_nimg: where a resumed run continues, in images; None for a new run.
        logged_nimg: where its last complete tick ended; values after it are logged again.
        environment: versions, machine and device.
        seconds: how long this start trains at most where a clock ends it.
        data_line: the training data in one short line.
        verbosity: how much is printed.
        position: returns where the run is; cheap enough for twice a second.
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
    """Base of all loggers: every method does nothing until it is overridden. None may stop a run."""

    def start(self, run: RunInfo) -> None:
        """Called once, before the first step."""

    def log(self, stats: Mapping[str, float], nimg: int) -> None:
        """Called each tick with its values: tick, kimg, depth, alpha, lod, minibatch, times, losses ..."""

    def progress(self, nimg: int) -> None:
        """Called after every step; must cost next to nothing."""

    def image(self, name: str, path: Path, nimg: int) -> None:
        """An image was written to `path`."""

    def audio(self, name: str, path: Path, nimg: int) -> None:
        """A sound was written to `path`."""

    def histogram(self, name: str, histogram: Histogram, nimg: int) -> None:
        """The spread of some values, a layer's weights."""

    def message(self, text: str) -> None:
        """Something a person should read, one line."""

    def finish(self, status: str) -> None:
        """Called once at the end; status is ``finished``, ``interrupted`` or ``failed``."""
