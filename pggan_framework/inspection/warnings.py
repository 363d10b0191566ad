"""Warnings about data that are difficult to train on, each with a value and a remedy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pggan_framework.audio.base import Wave
from pggan_framework.data.base import DepthDataset

FEW = 50
"""Number of clips or images below which a network memorizes the data rather than learning from them."""
MOSTLY = 0.5
"""Fraction of padding, or of silence, above which there is a warning."""
ALIKE = 0.5
"""Fraction of near duplicates above which there is a warning."""
PADDING = 1e-4
"""Absolute sample value, -80 dB of full scale, below which samples at the end of a clip are padding."""
QUIET_DB = 60.0
"""A segment this far below the loudest segment of its clip is silent."""
STRETCH_SECONDS = 0.02
NEAR = 0.02
"""Two examples are near duplicates if their distance is below this fraction of the median distance."""
SIDE = 32
"""Largest side in pixels at which examples are compared."""


@dataclass(frozen=True)
class DataFacts:
    """Statistics that `data_warnings` checks.

    Args:
        count: number of clips or images.
        sound: True for clips.
        padding: mean fraction of a clip that is silence at its end.
        silence: mean fraction of a clip, without that padding, that is silent.
        alike: fraction of the examples that nearly equal another example.
        frames: number of frames of a clip's spectrogram, for the advice; None if unknown.
        dataset: name of the dataset, for the advice.
    """

    count: int
    sound: bool
    padding: float = 0.0
    silence: float = 0.0
    alike: float = 0.0
    frames: int | None = None
    dataset: str = "SoundImageDataset"


def data_warnings(facts: DataFacts) -> list[str]:
    """Return a line per problem: the problem, its value, and the remedy as a command; [] if there are none."""
    found = []
    what = "clips" if facts.sound else "images"
    if facts.count < FEW:
        more = "recordings, or use shorter clips" if facts.sound else "images, or try --augmentations ADA"
        found.append(
            f"there are only {facts.count} {what}: a network memorizes so few instead of generalizing;"
            f" add more {more}; at least {FEW} are needed, 500 are better"
        )
    if facts.padding > MOSTLY:
        frames = "N, with a smaller N" if facts.frames is None else fitting_frames(facts.frames, facts.padding)
        found.append(
            f"the clips are {facts.padding:.0%} padding on average: their sounds are shorter; use shorter clips:"
            f" --{facts.dataset}.frames {frames}"
        )
    if facts.silence > MOSTLY:
        found.append(
            f"the clips are {facts.silence:.0%} silence on average: cut quiet beginnings and ends off with"
            f" --{facts.dataset}.trim_db 60, or remove silent recordings"
        )
    if facts.alike > ALIKE:
        found.append(
            f"{facts.alike:.0%} of the {what} nearly equal another one: samples will be similar too; remove duplicates,"
            " and add different ones"
        )
    return found


def fitting_frames(frames: int, padding: float) -> int:
    """Return the smallest power of two, from 16 to below `frames`, into which the mean sound of these clips fits."""
    used = max(int(frames * (1 - padding)), 1)
    return max(min(1 << (used - 1).bit_length(), frames // 2), 16)


def padding_and_silence(wave: Wave, sample_rate: int) -> tuple[float, float]:
    """Return the fraction of a clip [T] or [channels, T] that is padding at its end, and the silent part of the rest.

    A completely silent clip has a padding of 0 and a silence of 1.
    """
    size = np.abs(np.atleast_2d(wave)).max(axis=0)
    loud = np.flatnonzero(size >= PADDING)
    if not len(loud):
        return 0.0, 1.0
    used = size[: int(loud[-1]) + 1]
    length = max(round(STRETCH_SECONDS * sample_rate), 1)
    peaks = np.maximum.reduceat(used, np.arange(0, len(used), length))
    return 1 - len(used) / len(size), float(np.mean(peaks < peaks.max() * 10 ** (-QUIET_DB / 20)))


def alike_fraction(dataset: DepthDataset, chosen: Sequence[int]) -> float:
    """Return the fraction of `chosen` examples nearly equal to another one, compared at up to 32 pixels per side."""
    if len(chosen) < 2:
        return 0.0
    growth = dataset.growth
    depth = max(d for d in range(growth.max_depth + 1) if d == 0 or max(growth.shape_at(d)[1:]) <= SIDE)
    flat = dataset.images(list(chosen), depth).reshape(len(chosen), -1).astype(np.float64)
    flat -= flat.mean(axis=0)
    norms = (flat**2).sum(axis=1)
    squares = norms[:, None] + norms[None] - 2 * flat @ flat.T
    between = np.sqrt(np.maximum(squares, 0))
    typical = float(np.median(between[np.triu_indices(len(chosen), 1)]))
    np.fill_diagonal(between, np.inf)
    return float(np.mean(between.min(axis=1) <= NEAR * typical))
