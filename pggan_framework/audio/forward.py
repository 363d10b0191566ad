"""Read exact segments of files that do not support exact seeking, by reading only forwards.

In an mp3 file of variable bit rate, libsndfile seeks by the coarse table in the header and can miss by seconds.
soundfile's ``read`` also seeks after every block, to the expected start of the next block.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pggan_framework.audio.ffmpeg import FfmpegSound
from pggan_framework.audio.splice import Segment, Splice
from pggan_framework.storage.names import libsndfile_path

if TYPE_CHECKING:
    import soundfile

STEP = 1 << 18
"""Number of samples per channel that are skipped at a time."""
FINE = 64
"""Number of samples per channel that are read at a time near the end of a truncated file, before single samples."""
FORWARDS = ("MP3", "MPEG")
"""Formats in which libsndfile does not seek exactly."""
GRACE_SECONDS = 60.0
"""Seconds that reading a file may take in addition to its duration."""


class Source(NamedTuple):
    """Describes how to open a file for reading.

    Args:
        path: path of the file.
        pieces: consecutive complete streams in the file, as parts of it; empty to read the file unchanged.
        decoder: library or program that reads the file.
    """

    path: str
    pieces: tuple[tuple[Segment, ...], ...] = ()
    decoder: Literal["libsndfile", "ffmpeg"] = "libsndfile"

    def open(self, piece: int = 0) -> Any:
        """Open one piece as a file whose ``read`` never seeks and reads block by block.

        Raises:
            soundfile.SoundFileError, OSError: if the piece cannot be read.
        """
        if self.decoder == "ffmpeg":
            return FfmpegSound(self.path)
        return _forwards()(self.target(piece))

    def target(self, piece: int = 0) -> str | bytes | Splice:
        """The input of libsndfile: the file, or the parts of it that form one piece."""
        return Splice(self.path, self.pieces[piece]) if self.pieces else libsndfile_path(self.path)


@cache
def _forwards() -> type[soundfile.SoundFile]:
    import soundfile

    class Forwards(soundfile.SoundFile):  # type: ignore[misc]
        def seekable(self) -> bool:
            return False

    return Forwards


class Stream:
    """Reads a file from its beginning, or from a sample in it, to its true end or the first damage.

    Args:
        source: file to read.
        first: first sample to read; only for files of one piece that libsndfile reads.

    Raises:
        soundfile.SoundFileError, OSError: if the file cannot be opened, or ends before `first`.
    """

    def __init__(self, source: Source, first: int = 0) -> None:
        self._source, self._piece, self._at = source, 0, first
        self._sound = source.open()
        if first:
            self._sound.seek(first)
        self._begun = time.monotonic()
        self.fault: Exception | None = None
        """The error that ended the stream early, if any."""

    @property
    def channels(self) -> int:
        """The number of channels."""
        return int(self._sound.channels)

    def read(self, frames: int) -> NDArray[np.float32]:
        """Read the next samples, [n, channels]; fewer than `frames` only at the end.

        Raises:
            OSError: if reading takes much longer than the duration of the sound.
        """
        block = self._next(frames)
        while len(block) < frames and self.fault is None and self._piece + 1 < len(self._source.pieces):
            self._piece += 1
            before = self._sound
            self._sound = self._source.open(self._piece)
            if (self._sound.samplerate, self._sound.channels) != (before.samplerate, before.channels):
                self.fault = ValueError("it continues at another sample rate, or with other channels")
                break
            block = np.concatenate([block, self._next(frames - len(block))])
        if time.monotonic() - self._begun > GRACE_SECONDS + self._at / self._sound.samplerate:
            raise OSError(f"reading it takes longer than {GRACE_SECONDS:g} s more than it sounds")
        return block

    def close(self) -> None:
        """Close the file."""
        self._sound.close()

    def _next(self, frames: int) -> NDArray[np.float32]:
        import soundfile

        if self.fault is not None:
            return np.zeros((0, self.channels), np.float32)
        try:
            block: NDArray[np.float32] = self._sound.read(frames, dtype="float32", always_2d=True)
        except (soundfile.SoundFileError, OSError) as error:
            self.fault = error
            block = self._salvage(frames)
        self._at += len(block)
        return block

    def _salvage(self, frames: int) -> NDArray[np.float32]:
        """Read the samples before the damage in an unreadable block, a few at a time."""
        import soundfile

        found: list[NDArray[np.float32]] = []
        start, count = self._at, 0
        # Reopening is possible only at a position that can be found exactly.
        if start and (self._piece or self._source.decoder != "libsndfile" or self._sound.format in FORWARDS):
            return np.zeros((0, self.channels), np.float32)
        for step in (FINE, 1):
            try:
                with self._source.open(self._piece) as sound:
                    if start + count:
                        sound.seek(start + count)
                    while count < frames and len(part := sound.read(min(step, frames - count), "float32", True)):
                        found.append(part)
                        count += len(part)
            except (soundfile.SoundFileError, OSError):
                continue
        return np.concatenate(found) if found else np.zeros((0, self.channels), np.float32)


class ForwardReader:
    """Reads segments of one file; a read is fast if it starts no earlier than the previous read.

    Args:
        open_stream: function that opens the file at its beginning.
    """

    def __init__(self, open_stream: Callable[[], Stream]) -> None:
        self._open = open_stream
        self._stream: Stream | None = None
        self._first = 0
        self._block: NDArray[np.float32] = np.zeros((0, 0), dtype=np.float32)

    def read(self, first: int, last: int) -> NDArray[np.float32]:
        """Read samples `first` to at most `last`, [n, channels]; the last read is cached, since slices can overlap."""
        if self._stream is None or first < self._first:
            self._stream = self._open()
            self._first, self._block = 0, np.zeros((0, self._stream.channels), dtype=np.float32)
        end = self._first + len(self._block)
        while end < first:
            skipped = len(self._stream.read(min(first - end, STEP)))
            if skipped == 0:
                break
            end += skipped
            self._first, self._block = end, self._block[:0]
        known = self._block[first - self._first :]
        if len(known) < last - first:
            more = self._stream.read(last - first - len(known))
            known = np.concatenate([known, more]) if len(known) else more
        if end >= first:
            self._first, self._block = first, known
        return known[: last - first]


_open = threading.local()


def read_forwards(source: Source, first: int, last: int) -> NDArray[np.float32]:
    """Read samples `first` to at most `last`, [n, channels]; a read of the complete file gives identical samples.

    Each thread of each process leaves its last file open.

    Raises:
        soundfile.SoundFileError, OSError: if the file cannot be read.
    """
    state = os.stat(source.path)
    key = (os.getpid(), source, state.st_mtime_ns, state.st_size)
    if getattr(_open, "key", None) != key:
        _open.reader, _open.key = ForwardReader(lambda: Stream(source)), key
    reader: ForwardReader = _open.reader
    try:
        return reader.read(first, last)
    except Exception:
        _open.key = None  # a reader that failed midway is not used again
        raise
