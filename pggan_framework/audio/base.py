"""The base class of codecs: from a waveform to an image that a network can learn, and back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from pggan_framework.registry import contract

Wave = NDArray[np.float32]
"""float32 samples, full scale 1: [T], or [channels, T]."""
PhaseStart = Literal["auto", "random", "pghi"]
"""Phases that decoding starts from; see `Codec.decode`."""


FEW = 8
"""Fewest waves among which outliers can be identified."""
RARE = 0.01
"""Fraction of the waves, at least one, that may be outliers."""
FAR_DB = 30.0
"""How far above all others a wave's peak may be; what is beyond is clipped. Levels that differ by less are kept."""


def fitted_peak(peaks: Sequence[float]) -> float:
    """The largest of the waves' peaks, but at most `FAR_DB` above the loudest wave that is not an outlier."""
    ordered = sorted(peaks)
    if len(ordered) < FEW:
        return ordered[-1]
    usual = ordered[-1 - max(int(RARE * len(ordered)), 1)]
    # Where nearly all is silence, the few that are not are what is to be learned.
    return min(ordered[-1], usual * 10 ** (FAR_DB / 20)) if usual > 0 else ordered[-1]


@contract("codec")
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
    """T: how many samples one image stands for."""
    channels: int
    """How many channels a wave has; a wave of one channel is [T]."""
    parameters: dict[str, Any]
    """The constructor's arguments, resolved: plain numbers and strings."""
    statistics: dict[str, float]
    """What `fit` found; empty before."""
    rows_parameter: ClassVar[str | None] = None
    """The constructor's parameter for the number of rows; None where that is n_fft / 2."""

    @property
    @abstractmethod
    def shape(self) -> tuple[int, int, int]:
        """[C, bins, frames] of an encoded wave."""

    @abstractmethod
    def measure(self, wave: Wave) -> dict[str, float]:
        """What `fit_measures` needs to know of one wave; the codec need not be fitted."""

    def fit_measures(self, measures: Iterable[Mapping[str, float]]) -> Codec:
        """Fit the statistics to what `measure` gave for each wave; returns itself.

        For all codecs here that is one number, ``peak``: the largest of all, and 1 for silence alone. A few waves that
        are far louder than all others do not decide for them; see `fitted_peak`.

        Raises:
            ValueError: if there is no wave.
        """
        peaks = [measured["peak"] for measured in measures]
        if not peaks:
            raise ValueError("a codec cannot be fitted to no waves")
        self.statistics = {"peak": fitted_peak(peaks) or 1.0}
        return self

    def fit(self, waves: Iterable[Wave]) -> Codec:
        """Fit the statistics in one pass over `waves`; returns itself.

        Raises:
            ValueError: if there is no wave.
        """
        return self.fit_measures(self.measure(wave) for wave in waves)

    @abstractmethod
    def encode(self, wave: Wave) -> NDArray[np.float32]:
        """[T] or [channels, T] -> [C, bins, frames] in [-1, 1]; row 0 is the lowest frequency.

        A wave of another length than `samples` gives another number of frames; its last one is filled with zeros.
        """

    @abstractmethod
    def decode(
        self,
        array: NDArray[np.float32],
        seed: int = 0,
        griffin_lim_iter: int = 32,
        device: str = "cpu",
        phase_start: PhaseStart = "auto",
        refine_iter: int = 0,
    ) -> Wave:
        """[C, bins, frames] -> wave; also a batch [N, C, bins, frames] -> [N, ...]. The same seed, the same samples.

        Args:
            array: values in [-1, 1]; values outside are clipped.
            seed: of the first phases, where the array holds none.
            griffin_lim_iter: steps in search of the phases, where the array holds none.
            device: where that search runs.
            phase_start: the phases it starts from: ``auto``, those the array holds or else ``pghi``; ``pghi``
                (phase-gradient heap integration, from the magnitudes) or ``random``, even where the array holds phases
                as well as magnitudes. Codecs without magnitudes do not read it.
            refine_iter: Griffin-Lim steps from the phases that the array holds next to magnitudes; they make phases of
                a generated array fit its magnitudes.
        """

    def channel_kinds(self) -> tuple[str, ...]:
        """The content of each of the C channels of an image, in terms the drawing code knows.

        ``magnitude``, from silence to the loudest; ``phase step``, over pi and so cyclic; ``real`` and ``imaginary``,
        around 0; or ``value``, any other. The channels of a wave follow each other, each with all its kinds.
        """
        return ("value",) * self.shape[0]

    def row_hz(self) -> NDArray[np.float64] | None:
        """Centre frequencies of the rows in Hz, [bins], ascending, below Nyquist; None if rows are not frequencies."""
        return None

    def time_range(self) -> tuple[float, float]:
        """Seconds at the left and at the right edge of an image, 0 where the wave starts."""
        return 0.0, self.samples / self.sample_rate

    def clipped_share(self, wave: Wave) -> float:
        """Fraction, 0 to 1, of the values that `encode` clips because they exceed the fitted range."""
        return 0.0

    def statistic(self, name: str) -> float:
        """One of the fitted `statistics`.

        Raises:
            ValueError: if the codec has not been fitted.
        """
        if name not in self.statistics:
            raise ValueError(f"codec {self.name} has not been fitted: call fit with the waves first")
        return self.statistics[name]

    def state_dict(self) -> dict[str, Any]:
        """Name, parameters and statistics as plain values. `audio.codec_from_state` reads it."""
        return {"name": self.name, "parameters": dict(self.parameters), "statistics": dict(self.statistics)}
