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
        sum: sum of the values.
        sum_squares: sum of their squares.
    """

    counts: NDArray[np.int64]
    edges: NDArray[np.float64]
    sum: float
    sum_squares: float


Verbosity = Literal["quiet", "normal", "verbose"]
"""Amount of terminal output; files always contain everything."""


@dataclass(frozen=True)
class Position:
    """The position of a run between two steps.

    Args:
        depth: index of the deepest block in use.
        size: image size at this depth, ``16x16``.
        alpha: fade-in weight of that block, 1 after the transition.
        depth_left: remaining training at this depth, in images, or in seconds if `by_clock`; None if unknown.
        by_clock: True if the schedule counts seconds.
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
        directory: folder of the run.
        name: name of the run, such as ``007-tones``.
        config: the resolved configuration as nested plain values, without secrets.
        config_text: resolved configuration as YAML, as in config.yaml.
        data: summary of the dataset as text.
        networks: a table per network, with one row (layer, output shape, parameters) per layer.
        total_kimg: length of the run in thousand images; `UNLIMITED_KIMG` if only a clock ends it.
        resumed_nimg: position of a resumed run, in images; None for a new run.
        logged_nimg: end of the last complete tick, in images; values after it are logged again.
        environment: versions, machine and device.
        seconds: wall-clock limit of this session; None for no limit.
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
    """Base class of all loggers; the default methods do nothing. A logger never stops a run."""

    def start(self, run: RunInfo) -> None:
        """Called once, before the first step."""

    def log(self, stats: Mapping[str, float], nimg: int) -> None:
        """Called every tick with its values: tick, kimg, depth, alpha, lod, minibatch, times, losses ..."""

    def progress(self, nimg: int) -> None:
        """Called after every step; must cost almost no time."""

    def image(self, name: str, path: Path, nimg: int) -> None:
        """Called after an image was written to `path`."""

    def audio(self, name: str, path: Path, nimg: int) -> None:
        """Called after a sound was written to `path`."""

    def histogram(self, name: str, histogram: Histogram, nimg: int) -> None:
        """Called with a distribution of values, such as a layer's weights."""

    def message(self, text: str) -> None:
        """Called with a one-line message for the user."""

    def finish(self, status: str) -> None:
        """Called once at the end; status is ``finished``, ``interrupted`` or ``failed``."""
