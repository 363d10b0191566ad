"""Random variations of a waveform, applied before it is encoded so that its spectrogram stays consistent."""

from __future__ import annotations

from dataclasses import astuple, dataclass

import numpy as np
from numpy.typing import NDArray

from pggan_framework.audio.base import Wave

POINTS = 6
"""Number of frequencies, evenly spaced in octaves, at which an equalizer's gain is drawn."""
LOWEST_HZ = 50.0


@dataclass(frozen=True)
class Variation:
    """The ranges of the random variations; 0 disables a variation.

    No variation amplifies a sound, so the codec's range suffices.

    Args:
        level_db: largest attenuation in dB.
        pitch: largest change of speed in semitones, pitch and tempo together.
        start: largest shift of the start in seconds, earlier or later.
        eq_db: largest attenuation of a frequency by a smooth curve, in dB.
    """

    level_db: float = 0.0
    pitch: float = 0.0
    start: float = 0.0
    eq_db: float = 0.0

    def __bool__(self) -> bool:
        return any(astuple(self))

    def read_rate(self, random: np.random.Generator, sample_rate: int) -> int:
        """The rate at which to read a file that is played at `sample_rate`; a lower rate makes it play faster."""
        return round(sample_rate * 2 ** (random.uniform(-self.pitch, self.pitch) / 12)) if self.pitch else sample_rate

    def shift(self, random: np.random.Generator, sample_rate: int) -> int:
        """Number of samples by which the start moves."""
        return round(random.uniform(-self.start, self.start) * sample_rate) if self.start else 0

    def coloured(self, random: np.random.Generator, wave: Wave, sample_rate: int) -> Wave:
        """Attenuate and equalize a wave [..., T]; all channels get the same gain."""
        gain = 10 ** (-random.uniform(0, self.level_db) / 20)
        if not self.eq_db:
            turned: Wave = wave * np.float32(gain)
            return turned
        # Zero-pad to twice the length, so that the filter's response does not wrap around to the beginning.
        size = 2 * wave.shape[-1]
        curve = equalizer(random.uniform(-self.eq_db, 0, POINTS), size, sample_rate)
        varied: Wave = np.fft.irfft(np.fft.rfft(wave, size) * (gain * curve), size)[..., : wave.shape[-1]].astype(
            np.float32
        )
        return varied


def equalizer(gains_db: NDArray[np.float64], size: int, sample_rate: int) -> NDArray[np.float64]:
    """Gains at the frequencies of ``rfft(..., size)``, cosine-interpolated from `gains_db` at octaves up to Nyquist."""
    hertz = np.maximum(np.fft.rfftfreq(size, 1 / sample_rate), LOWEST_HZ)
    places = np.log2(hertz / LOWEST_HZ) / np.log2(sample_rate / 2 / LOWEST_HZ) * (len(gains_db) - 1)
    before = np.clip(places.astype(int), 0, len(gains_db) - 2)
    part = 0.5 - 0.5 * np.cos(np.pi * np.clip(places - before, 0, 1))
    gains: NDArray[np.float64] = 10 ** ((gains_db[before] * (1 - part) + gains_db[before + 1] * part) / 20)
    return gains
