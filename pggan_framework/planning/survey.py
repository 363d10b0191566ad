"""Survey of a folder: the properties of its files that a plan depends on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pggan_framework.audio.reading import SUFFIXES as SOUNDS
from pggan_framework.audio.reading import SoundFile, UnreadableSound, read_header, read_wave
from pggan_framework.data.images.files import SUFFIXES as IMAGES
from pggan_framework.data.images.files import header_size
from pggan_framework.data.walk import walk
from pggan_framework.errors import UserError, nearest, plural

LISTENED = 24
"""Number of recordings whose spectrum is measured."""
LISTENED_SECONDS = 4.0
AUDIBLE_DB = 60.0
"""A band that is this many dB below the loudest band counts as empty."""
THREADS = 8


@dataclass(frozen=True)
class SoundSurvey:
    """The survey of a folder of recordings.

    Args:
        seconds: duration of each readable file in seconds.
        rate: median sample rate in Hz.
        bandwidth: highest frequency with audible energy in Hz.
        channels: largest number of channels of any file.
        folders: number of files in each first-level folder; empty if files are at the top.
        unreadable: number of files without a usable header.
        images: number of image files, which are ignored.
    """

    seconds: Sequence[float]
    rate: int
    bandwidth: float
    channels: int = 1
    folders: Mapping[str, int] = field(default_factory=dict)
    unreadable: int = 0
    images: int = 0


@dataclass(frozen=True)
class ImageSurvey:
    """The survey of a folder of images.

    Args:
        sides: shorter side of each readable image in pixels.
        folders: number of files in each first-level folder; empty if files are at the top.
        unreadable: number of files without a usable header.
        sounds: number of sound files, which are ignored.
    """

    sides: Sequence[int]
    folders: Mapping[str, int] = field(default_factory=dict)
    unreadable: int = 0
    sounds: int = 0


def survey(folder: Path) -> SoundSurvey | ImageSurvey:
    """Survey the files below `folder`: the headers of all files and the spectra of a few recordings.

    If a folder contains both kinds, the more frequent kind counts.

    Raises:
        UserError: if `folder` is not a folder, or contains no readable recording or image.
    """
    sounds, images = _files(folder)
    if len(sounds) >= len(images):
        return _survey_sounds(folder, sounds, len(images))
    with ThreadPoolExecutor(THREADS) as pool:
        sides = [side for side in pool.map(_side, images) if side]
    if not sides:
        raise UserError(f"no image in {folder} can be read ({plural(len(images), 'file')})")
    return ImageSurvey(sides, _folders(folder, images), len(images) - len(sides), len(sounds))


def folder_kind(folder: Path) -> str:
    """Return the name of the dataset class for a folder, by the more frequent kind of file: recordings or images.

    Raises:
        UserError: if `folder` is not a folder or contains neither kind.
    """
    sounds, images = _files(folder)
    return "SoundImageDataset" if len(sounds) >= len(images) else "DefaultImageFolderDataset"


_FLAGS = {
    ".yaml": "--config",
    ".yml": "--config",
    ".h5": "--load_dataset",
    ".hdf5": "--load_dataset",
    ".pt": "--resume_network",
}
"""The flag of ``pggan train`` for a file, by suffix."""


def _files(folder: Path) -> tuple[list[Path], list[Path]]:
    if not folder.is_dir():
        siblings = [str(path) for path in folder.parent.iterdir()] if folder.parent.is_dir() else []
        what = "is a file" if folder.exists() else f"does not exist{nearest(str(folder), siblings)}"
        flag = _FLAGS.get(folder.suffix.lower())
        use = f"; for this file, use {flag} {folder}" if folder.is_file() and flag else ""
        raise UserError(f"{folder} {what}; allowed: a folder of recordings or of images{use}")
    tree = walk(folder)
    sounds, others = tree.paths(SOUNDS)
    images = tree.paths(IMAGES)[0]
    if not sounds and not images:
        endings = Counter(path.suffix.lower() or "none" for path in others)
        found = f"{plural(len(others), 'file')} ending in {', '.join(sorted(endings)[:5])}" if others else "it is empty"
        scores = sum(path.suffix.lower() in (".mid", ".midi") for path in others)
        if scores:
            found += f"; {scores} are MIDI files, which 'pggan generate MODEL --play FILE' plays"
        raise UserError(
            f"{folder} contains neither recordings nor images: {found}; allowed: {', '.join(sorted(SOUNDS)[:4])} ..."
            " or png, jpg, gif ..."
        )
    return sounds, images


def _survey_sounds(folder: Path, paths: Sequence[Path], images: int) -> SoundSurvey:
    with ThreadPoolExecutor(THREADS) as pool:
        headers = [header for header in pool.map(_header, paths) if header]
    if not headers:
        count = plural(len(paths), "file")
        raise UserError(f"no recording in {folder} can be read ({count}); see: pggan inspect {folder}")
    chosen = headers[:: max(len(headers) // LISTENED, 1)][:LISTENED]
    bands = [band for band in map(_bandwidth, chosen) if band is not None]
    rate = int(np.median([header.sample_rate for header in headers]))
    return SoundSurvey(
        seconds=[header.frames / header.sample_rate for header in headers],
        rate=rate,
        bandwidth=float(np.percentile(bands, 75)) if bands else rate / 2,
        channels=max(header.channels for header in headers),
        folders=_folders(folder, [Path(header.path) for header in headers]),
        unreadable=len(paths) - len(headers),
        images=images,
    )


def _header(path: Path) -> SoundFile | None:
    try:
        return read_header(path)
    except UnreadableSound:
        return None


def _side(path: Path) -> int | None:
    try:
        return min(header_size(path))
    except (OSError, ValueError, SyntaxError):
        return None


def _folders(folder: Path, paths: Sequence[Path]) -> dict[str, int]:
    parts = [path.relative_to(folder).parts for path in paths]
    return dict(Counter(part[0] for part in parts)) if all(len(part) > 1 for part in parts) else {}


def _bandwidth(header: SoundFile) -> float | None:
    """Return the highest frequency in Hz of a file within `AUDIBLE_DB` of its loudest band; None for silence."""
    try:
        samples = min(header.frames, round(LISTENED_SECONDS * header.sample_rate))
        wave = read_wave(header, header.sample_rate, 0, samples)
    except UnreadableSound:
        return None
    return bandwidth(wave, header.sample_rate)


def bandwidth(wave: NDArray[np.float32], sample_rate: int) -> float | None:
    """Return the highest frequency in Hz of a wave [T] within `AUDIBLE_DB` of its loudest band of about 100 Hz."""
    power = np.abs(np.fft.rfft(wave * np.hanning(len(wave)))) ** 2
    bands = max(sample_rate // 200, 1)
    levels = np.array([part.mean() if len(part) else 0.0 for part in np.array_split(power, bands)])
    if not levels.max() > 0:
        return None
    audible = np.flatnonzero(levels >= levels.max() * 10 ** (-AUDIBLE_DB / 10))
    return float((audible[-1] + 1) * sample_rate / 2 / bands)
