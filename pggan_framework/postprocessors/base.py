"""The base of postprocessors, which save generated arrays as image and sound files."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pggan_framework.registry import contract
from pggan_framework.schedules.growth import Growth

if TYPE_CHECKING:
    from pggan_framework.audio.base import Codec


@dataclass(frozen=True)
class Artifact:
    """A written file: `name` is constant over ticks; loggers receive the kinds ``image`` and ``audio``."""

    kind: str
    name: str
    path: Path


@contract("postprocessor")
class Postprocessor:
    """Base class of postprocessors."""

    directory: Path
    growth: Growth
    codec: Codec | None
    number: str = ""
    """Number in the file names of a tick, set before each `save` of a run; if empty, thousands of images, rounded
    down."""

    def numbered(self, kimg: int) -> str:
        """Return the number for file names: ``000120``, or ``000120.384`` if other samples have the same thousand."""
        return self.number or f"{kimg:06d}"

    def setup(self, directory: Path, growth: Growth, codec: Codec | None) -> None:
        """Called once with the existing folder of the run, the shapes of the data and, for sound, its codec.

        Raises:
            UserError: if this postprocessor does not support the data.
        """
        self.directory, self.growth, self.codec = directory, growth, codec

    @abstractmethod
    def save(self, samples: NDArray[np.float32], kind: str, kimg: int) -> list[Artifact]:
        """Write `samples` [N, C, h, w] in [-1, 1]; they can have the size of any depth.

        Args:
            samples: images to write.
            kind: ``fakes``, numbered by `kimg` (``fakes_000120.png``), or ``reals``, written once.
            kimg: thousand real images shown so far.
        """
