"""Random changes of a wave before it is encoded: its spectrogram is that of a real sound, as the codec has it."""

from __future__ import annotations

from dataclasses import astuple, dataclass

import numpy as np
from numpy.typing import NDArray

from pggan_framework.audio.base import Wave

POINTS = 6
"""Frequencies, evenly spread over the octaves, at which an equaliser's gain is drawn."""
LOWEST_HZ = 50.0


@dataclass(frozen=True)
class Variation:
    """How far waves are varied; 0 leaves them alone. Nothing becomes louder, so that it fits the codec's range.

    Args:
        level_db: how much quieter a wave is made at most.
        pitch: how many semitones it is played faster or slower at most, pitch and time together.
        start: how many seconds earlier or later it begins at most.
        eq_db: how much frequencies are turned down at most, by a smooth curve.
    """

    level_db: float = 0.0
    pitch: float = 0.0
    start: float = 0.0
    eq_db: float = 0.0

    def __bool__(self) -> bool:
        return any(astuple(self))

    def read_rate(self, random: np.random.Generator, sample_rate: int) -> int:
        """The rate at which to read a file that is then played at `sample_rate`: lower, and it plays faster."""
        return round(sample_rate * 2 ** (random.uniform(-self.pitch, self.pitch) / 12)) if self.pitch else sample_rate

    def shift(self, random: np.random.Generator, sample_rate: int) -> int:
        """By how many samples the beginning moves."""
        return round(random.uniform(-self.start, self.start) * sample_rate) if self.start else 0

    def coloured(self, random: np.random.Generator, wave: Wave, sample_rate: int) -> Wave:
        """A wave [..., T], turned down and equalised, all channels alike."""
        gain = 10 ** (-random.uniform(0, self.level_db) / 20)
        if not self.eq_db:
            turned: Wave = wave * np.float32(gain)
            return turned
        # Zeros as long as the wave behind it: the filter's response does not come round to its beginning.
        size = 2 * wave.shape[-1]
        curve = equalizer(random.uniform(-self.eq_db, 0, POINTS), size, sample_rate)
        varied: Wave = np.fft.irfft(np.fft.rfft(wave, size) * (gain * curve), size)[..., : wave.shape[-1]].astype(
            np.float32
        )
        return varied


def equalizer(gains_db: NDArray[np.float64], size: int, sample_rate: int) -> NDArray[np.float64]:
    """Gains of the frequencies of ``rfft(..., size)``: `gains_db` at octaves up to Nyquist, cosines between them."""
    hertz = np.maximum(np.fft.rfftfreq(size, 1 / sample_rate), LOWEST_HZ)
    places = np.log2(hertz / LOWEST_HZ) / np.log2(sample_rate / 2 / LOWEST_HZ) * (len(gains_db) - 1)
    before = np.clip(places.astype(int), 0, len(gains_db) - 2)
    part = 0.5 - 0.5 * np.cos(np.pi * np.clip(places - before, 0, 1))
    gains: NDArray[np.float64] = 10 ** ((gains_db[before] * (1 - part) + gains_db[before + 1] * part) / 20)
    return gains
