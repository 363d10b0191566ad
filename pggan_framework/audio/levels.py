"""The level of a file over time, measured block by block in one pass over files of any length."""

from __future__ import annotations

from dataclasses import dataclass
from math import log10

import numpy as np
from numpy.typing import NDArray

from pggan_framework.audio.offset import LEAST_BLOCKS, agreed_offset
from pggan_framework.audio.reading import Channels, EndsEarly, SoundFile, read_blocks

MOMENTS = 50
"""Number of moments per second, 20 ms each. Ten hours of sound need 22 MB."""
MOMENTS_A_BLOCK = 5
"""Number of moments per mean when an offset is measured (0.1 s)."""
BLOCK = 500
"""Number of moments whose samples are in memory at a time (10 s)."""


@dataclass(frozen=True)
class Levels:
    """Levels of a file at its own sample rate.

    Args:
        moment: number of samples per moment.
        frames: number of samples of the file; the last moment may be shorter.
        channels: number of channels that are measured.
        peaks: largest absolute sample of each moment over all channels; full scale is 1.
        energies: sum of the squares of each moment's samples.
    """

    moment: int
    frames: int
    channels: int
    peaks: NDArray[np.float32]
    energies: NDArray[np.float64]

    @property
    def everything(self) -> tuple[int, int]:
        """The range of all moments: the first moment, and the moment after the last."""
        return 0, len(self.peaks)

    def sounding(self, below_db: float) -> tuple[int, int]:
        """The range of moments from the first to the last whose peak is at most `below_db` dB below the file's peak.

        The range of a silent file covers all moments.
        """
        loud = np.flatnonzero(self.peaks >= self.peaks.max() * 10 ** (-below_db / 20))
        return int(loud[0]), int(loud[-1]) + 1

    def samples(self, moments: tuple[int, int]) -> tuple[int, int]:
        """Convert a range of moments to samples: the first sample, and the sample after the last."""
        return moments[0] * self.moment, min(moments[1] * self.moment, self.frames)

    def peak_db(self, moments: tuple[int, int]) -> float | None:
        """Peak of these moments in dB of full scale; None for silence."""
        peak = float(self.peaks[slice(*moments)].max())
        return 20 * log10(peak) if peak else None

    def rms_db(self, moments: tuple[int, int]) -> float | None:
        """Root mean square of these moments in dB of full scale; None for silence. A full-scale sine has -3 dB."""
        first, last = self.samples(moments)
        power = float(self.energies[slice(*moments)].sum()) / ((last - first) * self.channels)
        return 10 * log10(power) if power else None


def measure_levels(file: SoundFile, channels: Channels, remove_offset: bool = False) -> Levels:
    """Read a file once and measure its levels up to its true end, whatever its header says.

    Args:
        file: header of the file.
        channels: channels to use.
        remove_offset: whether to subtract a constant offset before measuring, since an offset makes every part loud.

    Raises:
        UnreadableSound: if no part of the file can be decoded, or it contains NaN or infinity.
    """
    moment = max(file.sample_rate // MOMENTS, 1)
    found: list[NDArray[np.float64]] = []
    frames = 0
    try:
        for block in read_blocks(file, moment * BLOCK, channels):
            whole = len(block) // moment * moment
            columns = [_moments(block[:whole], moment)] if whole else []
            columns += [_moments(block[whole:], len(block) - whole)] if whole < len(block) else []
            found += columns
            frames += len(block)
    except EndsEarly:
        if not found:
            raise
    low, high, total, energies = np.concatenate(found, axis=2)
    counts = np.full(low.shape[1], moment, np.float64)
    counts[-1] = frames - moment * (len(counts) - 1)
    offset = _offset(total, energies, counts) if remove_offset else np.zeros((len(low), 1))
    peaks = np.maximum(high - offset, offset - low).max(axis=0)
    energies = energies - 2 * offset * total + offset * offset * counts
    return Levels(moment, frames, len(low), peaks.astype(np.float32), np.maximum(energies, 0).sum(axis=0))


def _moments(block: NDArray[np.float32], moment: int) -> NDArray[np.float64]:
    """Minimum, maximum, sum and sum of squares of each moment, [4, channels, moments]."""
    found = []
    for channel in range(block.shape[1]):
        parts = block[:, channel].reshape(-1, moment)
        energy = np.einsum("ij,ij->i", parts, parts, dtype=np.float64)
        found.append([parts.min(axis=1), parts.max(axis=1), parts.sum(axis=1, dtype=np.float64), energy])
    moments: NDArray[np.float64] = np.array(found, np.float64).swapaxes(0, 1)
    return moments


def _offset(
    total: NDArray[np.float64], energies: NDArray[np.float64], counts: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The constant offset of each channel, [channels, 1], from the sums of moments, [channels, moments]."""
    blocks = total.shape[1] // MOMENTS_A_BLOCK
    if blocks < LEAST_BLOCKS:
        return np.zeros((len(total), 1))

    def summed(values: NDArray[np.float64]) -> NDArray[np.float64]:
        parts = values[..., : blocks * MOMENTS_A_BLOCK].reshape(*values.shape[:-1], blocks, MOMENTS_A_BLOCK)
        return np.asarray(parts.sum(axis=-1))

    means = summed(total) / summed(counts)
    return agreed_offset(means, np.maximum(summed(energies) / summed(counts) - means * means, 0)).astype(np.float64)
