"""Recordings as they are on disk: measured, read, converted to the requested channels and sample rate."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from itertools import takewhile
from math import ceil, gcd
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pggan_framework.audio import ffmpeg
from pggan_framework.audio.base import Wave
from pggan_framework.audio.containers import HEAD, find_layout
from pggan_framework.audio.forward import FORWARDS, STEP, Source, Stream, read_forwards

SUFFIXES = frozenset(
    f".{ending}"
    for ending in (
        *("wav", "wave", "rf64", "w64", "flac", "ogg", "oga", "opus", "mp3", "mp2", "mpga"),
        *("aiff", "aif", "aifc", "au", "snd", "caf", "sph", "nist", "voc", "8svx", "svx", "paf", "sf", "ircam"),
        *("m4a", "m4b", "aac", "wma", "webm", "mka", "ape", "wv", "tta", "mpc", "amr", "ac3", "3ga"),
    )
)
"""Names that promise sound; files of other names are not opened."""
Channels = Literal["mix", "left", "both"]
"""What of a file is used: the mean of all channels, the first one, or the first two as two."""
MARGIN = 256
"""Samples at the lower of two rates that are read beyond each end of a stretch to be resampled. The filter of soxr's
HQ reaches over about 100; with 128 a stretch equals that of the whole file to 4e-7 of full scale."""
UNKNOWN = 1 << 62
"""libsndfile gives a length beyond this where the header reports none."""
DENSEST = 5000
"""Samples a byte: silence in flac has 4,700; a header that promises more is not believed."""
COUNT_SECONDS = 60.0
"""Time that may go into finding a length by decoding."""
SLOWEST, FASTEST = 500, 4_000_000
"""Sample rates, Hz, outside which a header is wrong: heart sounds have 1 kHz, bats 1 MHz."""


class UnreadableSound(Exception):
    """A file holds no usable sound; the message is the reason, without the file's name."""


class EndsEarly(UnreadableSound):
    """A file ends, or breaks off, before its header says.

    Args:
        frames: samples a channel that it does hold.
        promised: samples a channel by its header.
        why: the decoder's reason, if it gave one.
    """

    def __init__(self, frames: int, promised: int, why: str = "") -> None:
        super().__init__(f"its header promises {promised} samples, it ends after {frames}{f' ({why})' if why else ''}")
        self.frames = frames


class SoundFile(NamedTuple):
    """What is known of a file without decoding it; its length is counted where the header cannot be taken unchanged.

    Args:
        path: where it is.
        frames: samples a channel that it does hold.
        sample_rate: samples a second.
        channels: how many channels.
        jumps: whether reading can start anywhere in it; in mp3 files it cannot.
        source: what is opened to read it; by default the file.
        remark: in what its header is wrong, in words; empty where it is right.
    """

    path: str
    frames: int
    sample_rate: int
    channels: int
    jumps: bool = True
    source: Source | None = None
    remark: str = ""

    def length_at(self, sample_rate: int) -> int:
        """How many samples it has at another rate."""
        return -(-self.frames * sample_rate // self.sample_rate)

    @property
    def opened(self) -> Source:
        """What is opened to read it."""
        return self.source or Source(self.path)


def read_header(path: str | Path) -> SoundFile:
    """Read what a file says of itself, and find its true length where that is known to be wrong.

    Raises:
        UnreadableSound: if it is not sound, an empty one, one of a rate that no recording has, or in a container that
            needs ffmpeg where there is none.
    """
    import soundfile

    path = os.fspath(path)
    try:
        with open(path, "rb", buffering=0) as file:
            head, size = file.read(HEAD), os.fstat(file.fileno()).st_size
        if size == 0:
            raise UnreadableSound("it is an empty file")
        layout = find_layout(path, head, size)
        source = Source(path, tuple(map(tuple, layout.pieces)) if layout else ())
        try:
            infos = [soundfile.info(source.target(piece)) for piece in range(max(len(source.pieces), 1))]
        except soundfile.SoundFileError:
            if ffmpeg.kind_of(head) is None:
                raise
            return _read_by_ffmpeg(path, head)
    except (soundfile.SoundFileError, OSError) as error:
        raise UnreadableSound(_reason(error)) from error
    info = infos[0]
    alike = list(takewhile(lambda each: (each.samplerate, each.channels) == (info.samplerate, info.channels), infos))
    frames = layout.samples if layout and layout.samples else sum(int(each.frames) for each in alike)
    remark = layout.remark if layout else ""
    if len(alike) < len(infos):
        remark += f"; only the first {len(alike)} used, since the next has another sample rate or other channels"
    if not SLOWEST <= info.samplerate <= FASTEST:
        raise UnreadableSound(f"its header says {info.samplerate} Hz; allowed: {SLOWEST} to {FASTEST}")
    if frames > DENSEST * size:
        remark = "" if frames >= UNKNOWN else f"its header says {frames} samples, which it cannot hold"
        frames = _count(source)
    if frames < 1:
        raise UnreadableSound("it holds no samples")
    jumps = info.format not in FORWARDS and len(infos) == 1
    return SoundFile(path, frames, int(info.samplerate), int(info.channels), jumps, source if layout else None, remark)


def _read_by_ffmpeg(path: str, head: bytes) -> SoundFile:
    """What ffmpeg finds in a file, decoded to its end to count it.

    Raises:
        UnreadableSound: if there is no ffmpeg, or it finds no sound.
    """
    kind = ffmpeg.kind_of(head)
    if ffmpeg.find_program() is None:
        raise UnreadableSound(f"libsndfile does not read it ({kind}); {ffmpeg.HINT}")
    source = Source(path, decoder="ffmpeg")
    try:
        with source.open() as sound:
            rate, channels = int(sound.samplerate), int(sound.channels)
    except OSError as error:
        raise UnreadableSound(_reason(error)) from error
    frames = _count(source)
    if frames < 1:
        raise UnreadableSound("it holds no samples")
    return SoundFile(path, frames, rate, channels, False, source)


def _count(source: Source) -> int:
    """Samples a channel, by decoding all of it.

    Raises:
        UnreadableSound: if it cannot be opened, or that takes too long.
    """
    import soundfile

    begun, frames = time.monotonic(), 0
    try:
        stream = Stream(source)
        while count := len(stream.read(STEP)):
            frames += count
            if time.monotonic() - begun > COUNT_SECONDS:
                raise UnreadableSound(f"its header does not say how long it is: more than {frames} samples")
    except (soundfile.SoundFileError, OSError) as error:
        raise UnreadableSound(_reason(error)) from error
    return frames


def read_wave(
    file: SoundFile, sample_rate: int, start: int = 0, samples: int | None = None, channels: Channels = "mix"
) -> Wave:
    """Read a stretch of a file at `sample_rate`, [samples], or [2, samples] where `channels` is ``both``.

    Only that stretch is read (of an mp3 file all before it too, since its places cannot be found exactly), and where it
    is resampled a margin on both sides, which is cut off again: it equals the same stretch of the whole file resampled,
    to a rounding error of float32. It is the same bits each time.

    Args:
        file: its header.
        sample_rate: samples a second.
        start: first sample.
        samples: how many; zeros follow where the file ends. By default all there are.
        channels: how many channels.

    Raises:
        EndsEarly: if it ends, or breaks off, before its header says, within this stretch.
        UnreadableSound: if it cannot be decoded, or holds NaN or infinity there.
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
    if stretch.shape[1] == samples:
        wave: Wave = np.ascontiguousarray(stretch)
    else:
        wave = np.zeros((stretch.shape[0], samples), dtype=np.float32)
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
        stream = Stream(file.opened)
        while done < file.frames:
            wanted = min(frames, file.frames - done)
            block = stream.read(wanted)
            if len(block) < wanted:
                if len(block):
                    yield _chosen(block, channels)
                raise EndsEarly(done + len(block), file.frames, _reason(stream.fault) if stream.fault else "")
            yield _chosen(block, channels)
            done += wanted
    except (soundfile.SoundFileError, OSError) as error:
        raise UnreadableSound(_reason(error)) from error


def _read(file: SoundFile, first: int, last: int, channels: Channels) -> NDArray[np.float32]:
    """Samples `first` to `last` of a file at its own rate, [last - first, 1 or 2]."""
    import soundfile

    wanted, why = last - first, ""
    try:
        if not file.jumps:
            block = read_forwards(file.opened, first, last)
        else:
            try:
                block, _ = soundfile.read(file.opened.target(), wanted, first, dtype="float32", always_2d=True)
            except soundfile.SoundFileError as error:
                # It is damaged here, or further back: what comes before that is still to be had.
                stream = Stream(file.opened, first)
                block, why = stream.read(wanted), _reason(error)
                if not len(block):
                    raise
    except (soundfile.SoundFileError, OSError, ValueError) as error:
        raise UnreadableSound(_reason(error)) from error
    if len(block) < wanted:
        raise EndsEarly(first + len(block), file.frames, why)
    return _chosen(block, channels)


def _chosen(block: NDArray[np.float32], channels: Channels) -> NDArray[np.float32]:
    """The requested channels of what was read, [frames, n] -> [frames, 1 or 2], checked; `block` is not kept."""
    if channels == "mix":
        # Adding whole columns is twenty times as fast as numpy's mean over rows of two, and the same bits.
        total = block[:, 0].copy()
        for column in range(1, block.shape[1]):
            total += block[:, column]
        total /= np.float32(block.shape[1])
        block = total[:, None]
    elif channels == "left":
        block = block[:, :1].copy()
    else:
        block = block[:, :2].copy() if block.shape[1] > 1 else np.repeat(block, 2, axis=1)
    if not np.all(np.isfinite(block)):
        raise UnreadableSound("it holds values that are not finite numbers")
    return block


def _reason(error: Exception) -> str:
    """The system's or the library's reason without the path, which the caller names."""
    text = getattr(error, "strerror", None) or getattr(error, "error_string", None) or str(error)
    return text.strip().rstrip(".") or type(error).__name__
