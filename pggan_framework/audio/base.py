"""What a codec is: a waveform into a picture a network can learn, and back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Wave = NDArray[np.float32]
"""float32 samples, full scale 1: [T], or [channels, T]."""


class Codec(ABC):
    """Turns waves into arrays [C, bins, frames] in [-1, 1] and back; owned by the dataset.

    A codec holds its parameters and the statistics it was fitted to. `state_dict` has both as plain values, so that a
    prepared file, a checkpoint and a sample can carry it, and whoever decodes needs no flag.
    """

    name: str
    """The registered name: ``abslog``, ``raw`` ..."""
    sample_rate: int
    """Samples a second."""
    samples: int
    """T: how many samples one picture stands for."""

    @property
    @abstractmethod
    def shape(self) -> tuple[int, int, int]:
        """[C, bins, frames] of an encoded wave."""

    @abstractmethod
    def fit(self, waves: Iterable[Wave]) -> Codec:
        """Fit the statistics in one pass over `waves`; returns itself."""

    @abstractmethod
    def encode(self, wave: Wave) -> NDArray[np.float32]:
        """[T] or [channels, T] -> [C, bins, frames] in [-1, 1]; row 0 is the lowest frequency."""

    @abstractmethod
    def decode(self, array: NDArray[np.float32], seed: int = 0) -> Wave:
        """[C, bins, frames] -> wave; also a batch [N, C, bins, frames] -> [N, ...]. The same seed, the same samples."""

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """Name, parameters and statistics: plain numbers, strings and lists. `audio.codec_from_state` reads it."""
