"""Recordings as they lie on disk: found, measured, read, brought to the channels and the sample rate wanted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil, gcd
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pggan_framework.audio.base import Wave
from pggan_framework.audio.forward import open_forwards, read_forwards

SUFFIXES = frozenset(
    f".{ending}"
    for ending in (
        *("wav", "wave", "rf64", "w64", "flac", "ogg", "oga", "opus", "mp3"),
        *("aiff", "aif", "aifc", "au", "snd", "caf"),
    )
)
"""Names that promise sound; files of other names are not opened."""
Channels = Literal["mix", "left", "both"]
"""What of a file is used: the mean of all channels, the first one, or the first two as two."""
MARGIN = 256
"""Samples at the lower of two rates that are read beyond each end of a stretch to be resampled. The filter of soxr's
HQ reaches over about 100; with 128 a stretch equals that of the whole file to 4e-7 of full scale."""
UNKNOWN = 1 << 62
"""libsndfile gives a length beyond this where the header tells none."""

FORWARDS = ("MP3", "MPEG")
"""Formats of libsndfile in which it does not find a place exactly."""


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
        jumps: whether reading can start anywhere in it; in mp3 files it cannot.
    """

    path: Path
    frames: int
    sample_rate: int
    channels: int
    jumps: bool = True

    def length_at(self, sample_rate: int) -> int:
        """How many samples it has at another rate."""
        return -(-self.frames * sample_rate // self.sample_rate)


def find_files(directory: Path) -> tuple[list[Path], list[Path]]:
    """All files below `directory` in the order of their names: those that may be sounds, and the others.

    Hidden files and folders count as neither; a link that leads nowhere counts as a file.
    """
    files = sorted(path for path in directory.rglob("*") if path.is_file() or _is_broken_link(path))
    files = [path for path in files if not any(part.startswith(".") for part in path.relative_to(directory).parts)]
    sounds = [path for path in files if path.suffix.lower() in SUFFIXES]
    return sounds, [path for path in files if path.suffix.lower() not in SUFFIXES]


def read_header(path: Path) -> SoundFile:
    """Read what a file says of itself.

    Raises:
        UnreadableSound: if it is no sound, an empty one, or does not say how long it is.
    """
    import soundfile

    try:
        with path.open("rb"):  # for the system's own reason; libsndfile only knows "System error"
            info = soundfile.info(str(path))
    except (soundfile.SoundFileError, OSError) as error:
        raise UnreadableSound(_reason(error)) from error
    if info.frames < 1:
        raise UnreadableSound("it holds no samples")
    if info.frames >= UNKNOWN:
        raise UnreadableSound("its header does not say how long it is; write the file anew")
    return SoundFile(path, int(info.frames), int(info.samplerate), int(info.channels), info.format not in FORWARDS)


def read_wave(
    file: SoundFile, sample_rate: int, start: int = 0, samples: int | None = None, channels: Channels = "mix"
) -> Wave:
    """Read a stretch of a file at `sample_rate`, [samples], or [2, samples] where `channels` is ``both``.

    Only that stretch is read (of an mp3 file all before it too, since its places cannot be found exactly), and where it
    is resampled a margin on both sides, which is cut off again: it equals the same stretch of the whole file resampled,
    to a rounding error of float32. It is the same bits each time.

    Args:
        file: its header.
        sample_rate: samples a second of the result, and what `start` and `samples` count in.
        start: first sample.
        samples: how many; zeros follow where the file ends. By default all there are.
        channels: ``mix``, the mean of all channels; ``left``, the first; ``both``, the first two, the same twice where
            there is one.

    Raises:
        UnreadableSound: if it cannot be decoded, is shorter than its header says, or holds NaN or infinity there.
    """
    import soxr

    if samples is None:
        samples = file.length_at(sample_rate) - start
    common = gcd(file.sample_rate, sample_rate)
    before, after = file.sample_rate // common, sample_rate // common
    margin = 0 if before == after else ceil(MARGIN * max(1, before / after))
    # Every `before`-th sample of the file falls on a sample of the result: from such a one on, both have one grid.
    first = max(start * before // after - margin, 0) // before * before
    last = min(-(-(start + samples) * before // after) + margin, file.frames)
    block = _read(file, first, last, channels) if last > first else np.zeros((0, 1 + (channels == "both")), np.float32)
    if before != after and len(block):
        block = soxr.resample(block, before, after, quality="HQ")
    skipped = start - first // before * after
    stretch = block[skipped : skipped + samples].T
    wave: Wave = np.zeros((stretch.shape[0], samples), dtype=np.float32)
    wave[:, : stretch.shape[1]] = stretch
    return wave if channels == "both" else wave[0]


def read_blocks(file: SoundFile, frames: int, channels: Channels) -> Iterator[NDArray[np.float32]]:
    """A file from beginning to end at its own rate, [frames, 1 or 2] at a time; the last block may be shorter.

    Raises:
        UnreadableSound: as `read_wave`.
    """
    import soundfile

    done = 0
    try:
        with open_forwards(file.path) as sound:
            while done < file.frames:
                wanted = min(frames, file.frames - done)
                block = sound.read(wanted, dtype="float32", always_2d=True)
                yield _chosen(file, block, done, wanted, channels)
                done += wanted
    except (soundfile.SoundFileError, OSError) as error:
        raise UnreadableSound(_reason(error)) from error


def _read(file: SoundFile, first: int, last: int, channels: Channels) -> NDArray[np.float32]:
    """Samples `first` to `last` of a file at its own rate, [last - first, 1 or 2]."""
    import soundfile

    try:
        if file.jumps:
            block, _ = soundfile.read(str(file.path), last - first, first, dtype="float32", always_2d=True)
        else:
            block = read_forwards(file.path, first, last)
    except (soundfile.SoundFileError, OSError, ValueError) as error:
        raise UnreadableSound(_reason(error)) from error
    return _chosen(file, block, first, last - first, channels)


def _chosen(
    file: SoundFile, block: NDArray[np.float32], first: int, wanted: int, channels: Channels
) -> NDArray[np.float32]:
    """The channels wanted of what was read from sample `first` on, [wanted, n] -> [wanted, 1 or 2], checked."""
    if len(block) < wanted:
        raise UnreadableSound(f"its header promises {file.frames} samples, it ends after {first + len(block)}")
    if channels == "mix":
        # Adding whole columns is twenty times as fast as numpy's mean over rows of two, and the same bits.
        total = block[:, 0].copy()
        for column in range(1, block.shape[1]):
            total += block[:, column]
        block = (total / np.float32(block.shape[1]))[:, None]
    elif channels == "left":
        block = block[:, :1]
    else:
        block = block[:, :2] if block.shape[1] > 1 else np.repeat(block, 2, axis=1)
    if not np.all(np.isfinite(block)):
        raise UnreadableSound("it holds values that are no finite numbers")
    return np.ascontiguousarray(block)


def _is_broken_link(path: Path) -> bool:
    return path.is_symlink() and not path.exists()


def _reason(error: Exception) -> str:
    """The system's or the library's reason without the path, which the caller names."""
    text = getattr(error, "strerror", None) or str(error).rsplit(": ", 1)[-1]
    return text.strip().rstrip(".") or type(error).__name__
