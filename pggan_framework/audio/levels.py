"""How loud a file is from moment to moment: found in one pass, block by block, however long it is."""

from __future__ import annotations

from dataclasses import dataclass
from math import log10

import numpy as np
from numpy.typing import NDArray

from pggan_framework.audio.reading import Channels, SoundFile, read_blocks

MOMENTS = 50
"""Moments a second: 20 ms each. Ten hours keep 22 MB of them."""
BLOCK = 500
"""Moments that are in memory as samples at a time: 10 s."""


@dataclass(frozen=True)
class Levels:
    """Levels of a file at its own rate.

    Args:
        moment: samples of a moment.
        frames: samples of the file; the last moment may be shorter.
        channels: channels measured.
        peaks: largest absolute sample of each moment, all channels together, full scale 1.
        energies: sum of the squares of each moment's samples.
    """

    moment: int
    frames: int
    channels: int
    peaks: NDArray[np.float32]
    energies: NDArray[np.float64]

    @property
    def everything(self) -> tuple[int, int]:
        """First moment and the one after the last."""
        return 0, len(self.peaks)

    def sounding(self, below_db: float) -> tuple[int, int]:
        """From the first to after the last moment whose peak is at most `below_db` dB under the file's own.

        A silent file sounds everywhere.
        """
        loud = np.flatnonzero(self.peaks >= self.peaks.max() * 10 ** (-below_db / 20))
        return int(loud[0]), int(loud[-1]) + 1

    def samples(self, moments: tuple[int, int]) -> tuple[int, int]:
        """Moments as samples: the first, and the one after the last."""
        return moments[0] * self.moment, min(moments[1] * self.moment, self.frames)

    def peak_db(self, moments: tuple[int, int]) -> float | None:
        """Peak of these moments, dB of full scale; None for silence."""
        peak = float(self.peaks[slice(*moments)].max())
        return 20 * log10(peak) if peak else None

    def rms_db(self, moments: tuple[int, int]) -> float | None:
        """Root of the mean square of these moments, dB of full scale; None for silence. A full-scale sine has -3."""
        first, last = self.samples(moments)
        power = float(self.energies[slice(*moments)].sum()) / ((last - first) * self.channels)
        return 10 * log10(power) if power else None


def measure_levels(file: SoundFile, channels: Channels) -> Levels:
    """Read a file once and note its levels.

    Raises:
        UnreadableSound: if any part of it cannot be decoded or holds NaN or infinity.
    """
    moment = max(file.sample_rate // MOMENTS, 1)
    peaks, energies = [], []
    number = 1
    for block in read_blocks(file, moment * BLOCK, channels):
        number = block.shape[1]
        missing = -len(block) % moment
        parts = np.pad(block, [(0, missing), (0, 0)]).reshape(-1, moment * number)
        peaks.append(np.abs(parts).max(axis=1))
        energies.append(np.einsum("ij,ij->i", parts, parts, dtype=np.float64))
    return Levels(moment, file.frames, number, np.concatenate(peaks), np.concatenate(energies))
