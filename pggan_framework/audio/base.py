"""The base class of codecs, which convert a waveform to an image for the networks, and back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from pggan_framework.audio.onset import start_level, usual_start
from pggan_framework.registry import contract

Wave = NDArray[np.float32]
"""float32 samples, full scale 1: [T], or [channels, T]."""
PhaseStart = Literal["auto", "random", "pghi"]
"""The initial phases for decoding; see `Codec.decode`."""


FEW = 8
"""The smallest number of waves in which outliers can be identified."""
RARE = 0.01
"""Fraction of the waves, at least one, that may be outliers."""
FAR_DB = 30.0
"""Number of dB by which a wave's peak may exceed all others; higher peaks are clipped."""


def fitted_peak(peaks: Sequence[float]) -> float:
    """The largest of the waves' peaks, at most `FAR_DB` above the loudest wave that is not an outlier."""
    ordered = sorted(peaks)
    if len(ordered) < FEW:
        return ordered[-1]
    usual = ordered[-1 - max(int(RARE * len(ordered)), 1)]
    # If nearly all waves are silent, the few others are the training data.
    return min(ordered[-1], usual * 10 ** (FAR_DB / 20)) if usual > 0 else ordered[-1]


@contract("codec")
class Codec(ABC):
    """Converts waves to arrays [C, bins, frames] in [-1, 1] and back; belongs to a dataset.

    `state_dict` returns the parameters and the fitted statistics of a codec as plain values. Prepared files,
    checkpoints and samples contain them, so decoding needs no flags.
    """

    name: str
    """The registered name, such as ``abslog`` or ``raw``."""
    sample_rate: int
    """Samples per second."""
    samples: int
    """The number of samples, T, that one image represents."""
    channels: int
    """The number of channels of a wave; a wave with one channel has shape [T]."""
    parameters: dict[str, Any]
    """The resolved arguments of the constructor, as plain numbers and strings."""
    statistics: dict[str, float]
    """The statistics found by `fit`; empty before fitting."""
    start_db: float | None = None
    """Level at which recordings with a quiet start begin; None if few recordings start quietly. See `audio.onset`."""
    rows_parameter: ClassVar[str | None] = None
    """The constructor's parameter for the number of rows; None if there are always n_fft / 2 rows."""

    @property
    @abstractmethod
    def shape(self) -> tuple[int, int, int]:
        """[C, bins, frames] of an encoded wave."""

    @abstractmethod
    def measure(self, wave: Wave) -> dict[str, float]:
        """Measure the statistics that encoding needs from one wave; the codec need not be fitted."""

    def survey(self, wave: Wave) -> dict[str, float]:
        """Measure one wave for `fit_measures`: the result of `measure`, plus ``start`` if the wave starts quietly."""
        start = start_level(wave, self.sample_rate)
        return self.measure(wave) | ({} if start is None else {"start": start})

    def fit_measures(self, measures: Iterable[Mapping[str, float]]) -> Codec:
        """Fit the statistics to the `survey` results of all waves; returns the codec itself.

        All codecs here have one statistic, ``peak``: the largest peak of all waves, or 1 if all are silent. A few waves
        that are far louder than all others do not determine it; see `fitted_peak`.

        Raises:
            ValueError: if there is no wave.
        """
        peaks, starts = list[float](), list[float]()
        for measured in measures:
            peaks.append(measured["peak"])
            starts += [measured["start"]] if "start" in measured else []
        if not peaks:
            raise ValueError("a codec cannot be fitted to no waves")
        self.statistics = {"peak": fitted_peak(peaks) or 1.0}
        self.start_db = usual_start(starts, len(peaks))
        return self

    def fit(self, waves: Iterable[Wave]) -> Codec:
        """Fit the statistics in one pass over `waves`; returns the codec itself.

        Raises:
            ValueError: if there is no wave.
        """
        return self.fit_measures(self.survey(wave) for wave in waves)

    @abstractmethod
    def encode(self, wave: Wave) -> NDArray[np.float32]:
        """[T] or [channels, T] -> [C, bins, frames] in [-1, 1]; row 0 is the lowest frequency.

        A wave whose length is not `samples` gives a different number of frames; the last frame is zero-padded.
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
        """[C, bins, frames] -> wave; a batch [N, C, bins, frames] -> [N, ...]. The same seed gives the same result.

        Args:
            array: values in [-1, 1]; values outside are clipped.
            seed: random seed of the initial phases, for arrays without phases.
            griffin_lim_iter: Griffin-Lim iterations that reconstruct the phases, for arrays without phases.
            device: device that runs the reconstruction.
            phase_start: initial phases: ``auto`` uses the array's phases if it has any, else ``pghi``; ``pghi``
                (phase-gradient heap integration) and ``random`` use only the magnitudes, even if the array also has
                phases. Codecs without magnitudes ignore this argument.
            refine_iter: Griffin-Lim iterations that start from the array's phases, for arrays that also have
                magnitudes; they make the phases of a generated array consistent with its magnitudes.
        """

    def channel_kinds(self) -> tuple[str, ...]:
        """The kind of content of each of the C channels of an image, by the names that the drawing code uses.

        ``magnitude`` ranges from silence to the loudest value; ``phase step`` is divided by pi and therefore cyclic;
        ``real`` and ``imaginary`` are centred on 0; ``value`` is anything else. For a wave of several channels, all
        kinds of the first channel come before those of the next.
        """
        return ("value",) * self.shape[0]

    def row_hz(self) -> NDArray[np.float64] | None:
        """Centre frequencies of the rows in Hz, [bins], ascending, below Nyquist; None if rows are not frequencies."""
        return None

    def time_range(self) -> tuple[float, float]:
        """Seconds at the left and right edges of an image; the wave starts at 0."""
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

    def encoding(self) -> dict[str, Any]:
        """The parameters of the encoding as plain values: name, parameters and statistics."""
        return {"name": self.name, "parameters": dict(self.parameters), "statistics": dict(self.statistics)}

    def state_dict(self) -> dict[str, Any]:
        """`encoding`, and ``start_db`` if it is known; `audio.codec_from_state` reads it."""
        return self.encoding() | ({} if self.start_db is None else {"start_db": self.start_db})
