"""Recordings as they lie on disk: found, measured, read, mixed to one channel and resampled."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, gcd
from pathlib import Path

import numpy as np

from pggan_framework.audio.base import Wave

SUFFIXES = frozenset(
    f".{ending}"
    for ending in (
        *("wav", "wave", "rf64", "w64", "flac", "ogg", "oga", "opus", "mp3"),
        *("aiff", "aif", "aifc", "au", "snd", "caf"),
    )
)
"""Names that promise sound; files of other names are not opened."""


class UnreadableSound(Exception):
    """A file holds no usable sound; the message is the reason, without the file's name."""


@dataclass(frozen=True)
class SoundFile:
    """What a file's header says.

    Args:
        path: where it is.
        frames: samples a channel.
        sample_rate: samples a second.
        channels: how many channels.
    """

    path: Path
    frames: int
    sample_rate: int
    channels: int

    def length_at(self, sample_rate: int) -> int:
        """How many samples it has at another rate."""
        return ceil(self.frames * sample_rate / self.sample_rate)


def find_files(directory: Path) -> tuple[list[Path], list[Path]]:
    """All files below `directory` in the order of their names: those that may be sounds, and the others.

    Hidden files and folders count as neither.
    """
    files = sorted(path for path in directory.rglob("*") if path.is_file())
    files = [path for path in files if not any(part.startswith(".") for part in path.relative_to(directory).parts)]
    sounds = [path for path in files if path.suffix.lower() in SUFFIXES]
    return sounds, [path for path in files if path.suffix.lower() not in SUFFIXES]


def read_header(path: Path) -> SoundFile:
    """Read what a file says of itself.

    Raises:
        UnreadableSound: if it is no sound, or an empty one.
    """
    import soundfile

    try:
        info = soundfile.info(str(path))
    except (soundfile.SoundFileError, OSError) as error:
        raise UnreadableSound(_reason(error)) from error
    if info.frames < 1:
        raise UnreadableSound("it holds no samples")
    return SoundFile(path, int(info.frames), int(info.samplerate), int(info.channels))


def read_wave(file: SoundFile, sample_rate: int, start: int = 0, samples: int | None = None) -> Wave:
    """Read a stretch of a file: the mean of its channels, at `sample_rate`.

    Only that stretch is read. It is the same bits each time.

    Args:
        file: its header.
        sample_rate: samples a second of the result, and what `start` and `samples` count in.
        start: first sample.
        samples: how many; zeros follow where the file ends. By default all there are.

    Raises:
        UnreadableSound: if it cannot be decoded, is shorter than its header says, or holds NaN or infinity.
    """
    import soundfile
    import soxr

    if samples is None:
        samples = file.length_at(sample_rate) - start
    first = start * file.sample_rate // sample_rate
    wanted = min(ceil(samples * file.sample_rate / sample_rate), file.frames - first)
    try:
        block, _ = soundfile.read(str(file.path), wanted, first, dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, OSError, ValueError) as error:
        raise UnreadableSound(_reason(error)) from error
    if len(block) < wanted:
        raise UnreadableSound(f"its header promises {file.frames} samples, it ends after {first + len(block)}")
    wave = block.mean(axis=1, dtype=np.float32)
    if not np.all(np.isfinite(wave)):
        raise UnreadableSound("it holds values that are no finite numbers")
    if file.sample_rate != sample_rate:
        common = gcd(file.sample_rate, sample_rate)
        wave = soxr.resample(wave, file.sample_rate // common, sample_rate // common, quality="HQ")
    result: Wave = np.zeros(samples, dtype=np.float32)
    result[: len(wave)] = wave[:samples]
    return result


def _reason(error: Exception) -> str:
    """The library's reason without the path, which the caller names."""
    return str(error).rsplit(": ", 1)[-1].strip().rstrip(".") or type(error).__name__
