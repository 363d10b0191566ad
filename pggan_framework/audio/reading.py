"""Recordings on disk: read their properties and samples, and convert to the requested channels and sample rate."""

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
"""Extensions of sound files; other files are not opened."""
Channels = Literal["mix", "left", "both"]
"""The used channels of a file: the mean of all, the first, or the first two separately."""
MARGIN = 256
"""Number of samples, at the lower of the two rates, that are read beyond each end of a resampled segment. The filter of
soxr's HQ mode spans about 100 samples; with 128, a segment equals the same segment of the complete resampled file to
4e-7 of full scale.
"""
UNKNOWN = 1 << 62
"""libsndfile returns a length above this value if the header contains none."""
DENSEST = 5000
"""Largest plausible number of samples per byte; silence in flac has 4,700. Headers with more are not trusted."""
COUNT_SECONDS = 60.0
"""Time limit in seconds for finding a length by decoding."""
LARGEST = 1e30
"""Absolute sample value that marks a file as damaged: the sums of a spectrogram would not be finite."""
SLOWEST, FASTEST = 500, 4_000_000
"""Range of plausible sample rates in Hz; heart sounds are recorded at 1 kHz, bats at 1 MHz."""


class UnreadableSound(Exception):
    """Raised if a file contains no usable sound; the message is the reason, without the file's name."""


class EndsEarly(UnreadableSound):
    """Raised if a file ends, or becomes unreadable, before the length in its header.

    Args:
        frames: number of readable samples per channel.
        promised: number of samples per channel according to the header.
        why: reason that the decoder gave, if any.
    """

    def __init__(self, frames: int, promised: int, why: str = "") -> None:
        super().__init__(f"its header promises {promised} samples, it ends after {frames}{f' ({why})' if why else ''}")
        self.frames = frames


class SoundFile(NamedTuple):
    """The properties of a file known without decoding it; its length is counted if the header is wrong.

    Args:
        path: path of the file.
        frames: number of readable samples per channel.
        sample_rate: samples per second.
        channels: number of channels.
        jumps: True if reading can start anywhere; False for mp3 files.
        source: source to open for reading (default: the file).
        remark: description of the error in the header; empty if the header is correct.
    """

    path: str
    frames: int
    sample_rate: int
    channels: int
    jumps: bool = True
    source: Source | None = None
    remark: str = ""

    def length_at(self, sample_rate: int) -> int:
        """The number of samples at another rate."""
        return -(-self.frames * sample_rate // self.sample_rate)

    @property
    def opened(self) -> Source:
        """The path or stream to read from."""
        return self.source or Source(self.path)


def read_header(path: str | Path) -> SoundFile:
    """Read a file's header, and find the true length if the header is known to be wrong.

    Raises:
        UnreadableSound: if the file is not sound, is empty, has an implausible sample rate, or is in a container that
            needs ffmpeg and ffmpeg is missing.
    """
    import soundfile

    path = os.fspath(path)
    try:
        with open(path, "rb", buffering=0) as file:
            head, size = file.read(HEAD), os.fstat(file.fileno()).st_size
            if size == 0:
                raise UnreadableSound("it is an empty file")
            layout = find_layout(file, head, size)
        source = Source(path, tuple(map(tuple, layout.pieces)) if layout else ())
        try:
            infos = [_stated(source, piece) for piece in range(max(len(source.pieces), 1))]
        except soundfile.SoundFileError:
            if ffmpeg.kind_of(head) is None:
                raise
            return _read_by_ffmpeg(path, head)
    except (soundfile.SoundFileError, OSError) as error:
        raise UnreadableSound(_reason(error)) from error
    info = infos[0]
    alike = list(takewhile(lambda each: (each.rate, each.channels) == (info.rate, info.channels), infos))
    frames = layout.samples if layout and layout.samples else sum(each.frames for each in alike)
    remark = layout.remark if layout else ""
    if len(alike) < len(infos):
        remark += f"; only the first {len(alike)} used, since the next has another sample rate or other channels"
    if not SLOWEST <= info.rate <= FASTEST:
        raise UnreadableSound(f"its header says {info.rate} Hz; allowed: {SLOWEST} to {FASTEST}")
    if frames > DENSEST * size:
        remark = "" if frames >= UNKNOWN else f"its header says {frames} samples, which it cannot hold"
        frames = _count(source)
    if frames < 1:
        raise UnreadableSound("it holds no samples")
    jumps = info.jumps and len(infos) == 1
    return SoundFile(path, frames, info.rate, info.channels, jumps, source if layout else None, remark)


class _Stated(NamedTuple):
    """The contents of a header according to libsndfile."""

    frames: int
    rate: int
    channels: int
    jumps: bool
    """True if libsndfile seeks exactly; False for mp3 and for some speech encodings such as GSM."""


def _stated(source: Source, piece: int) -> _Stated:
    """The header of one piece of a source."""
    import soundfile

    # soundfile.info would also fetch libsndfile's log, which takes up to 50 % longer.
    with soundfile.SoundFile(source.target(piece)) as sound:
        jumps = sound.format not in FORWARDS and sound.seekable()
        return _Stated(sound.frames, sound.samplerate, sound.channels, jumps)


def _read_by_ffmpeg(path: str, head: bytes) -> SoundFile:
    """The properties of a file that ffmpeg decodes; its samples are counted by decoding.

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
    """Count the samples per channel by decoding everything.

    Raises:
        UnreadableSound: if the source cannot be opened, or counting takes too long.
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
    """Read a segment of a file at `sample_rate`, [samples], or [2, samples] if `channels` is ``both``.

    Reads only that segment; in an mp3 file, everything before it is read too, since exact seeking is impossible.
    Resampling reads a margin on both sides and cuts it off again. The result equals the same segment of the complete
    resampled file, up to float32 rounding. Repeated reads return the same bits.

    Args:
        file: header of the file.
        sample_rate: samples per second of the result.
        start: first sample, at `sample_rate`.
        samples: number of samples, zero-padded at the end of the file (default: all remaining samples).
        channels: channels to use.

    Raises:
        EndsEarly: if the file ends, or becomes unreadable, within this segment and before the length in its header.
        UnreadableSound: if the segment cannot be decoded, or contains NaN or infinity.
    """
    import soxr

    if samples is None:
        samples = file.length_at(sample_rate) - start
    common = gcd(file.sample_rate, sample_rate)
    before, after = file.sample_rate // common, sample_rate // common
    margin = 0 if before == after else ceil(MARGIN * max(1, before / after))
    # Every `before`-th sample of the file coincides with a sample of the result; starting there aligns both grids.
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
    """Yield a complete file at its own rate, [frames, 1 or 2] at a time; the last block may be shorter.

    Raises:
        UnreadableSound: like `read_wave`.
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
    """Read samples `first` to `last` of a file at its own rate, [last - first, 1 or 2]."""
    import soundfile

    wanted, why = last - first, ""
    try:
        if not file.jumps:
            block = read_forwards(file.opened, first, last)
        else:
            try:
                block, _ = soundfile.read(file.opened.target(), wanted, first, dtype="float32", always_2d=True)
            except soundfile.SoundFileError as error:
                # The damage is here or further on; the samples before it are still readable.
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
    """Select the requested channels, [frames, n] -> [frames, 1 or 2], and check the values; returns new memory."""
    if channels == "mix":
        # Adding columns is twenty times faster than numpy's mean over rows of two values, and gives the same bits.
        total = block[:, 0].copy()
        for column in range(1, block.shape[1]):
            total += block[:, column]
        total /= np.float32(block.shape[1])
        block = total[:, None]
    elif channels == "left":
        block = block[:, :1].copy()
    else:
        block = block[:, :2].copy() if block.shape[1] > 1 else np.repeat(block, 2, axis=1)
    peak = max(block.max(), -block.min()) if len(block) else 0.0
    if not peak < LARGEST:  # also true for NaN
        finite = np.isfinite(peak)
        raise UnreadableSound(
            f"it holds the value {peak:.3g}, which no sound has"
            if finite
            else "it holds values that are not finite numbers"
        )
    return block


def _reason(error: Exception) -> str:
    """The reason that the system or library gives, without the path, which the caller adds."""
    text = getattr(error, "strerror", None) or getattr(error, "error_string", None) or str(error)
    return text.strip().rstrip(".") or type(error).__name__
