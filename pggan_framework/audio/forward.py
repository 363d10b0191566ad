"""Exact stretches of files in which one cannot jump: they are read forwards only.

libsndfile jumps in an mp3 file of variable bit rate by the coarse table of its header and lands up to seconds off.
soundfile's ``read`` jumps too, after every block, to where the next one should be.
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

if TYPE_CHECKING:
    import soundfile

STEP = 1 << 18
"""Samples a channel that are skipped at a time."""
FINE = 64
"""Samples a channel that are read at a time near the place where a file breaks off; then one by one."""
FORWARDS = ("MP3", "MPEG")
"""Formats in which libsndfile does not find a place exactly."""
GRACE_SECONDS = 60.0
"""Time that a file may take beyond that which it sounds."""


class Source(NamedTuple):
    """What is opened to read a file.

    Args:
        path: the file.
        pieces: the complete streams in it, one after another, as parts of the file; empty where it is one unchanged.
        decoder: what reads it.
    """

    path: str
    pieces: tuple[tuple[Segment, ...], ...] = ()
    decoder: Literal["libsndfile", "ffmpeg"] = "libsndfile"

    def open(self, piece: int = 0) -> Any:
        """Open one piece, as a file whose ``read`` only continues, block by block.

        Raises:
            soundfile.SoundFileError, OSError: if it cannot be read.
        """
        if self.decoder == "ffmpeg":
            return FfmpegSound(self.path)
        return _forwards()(self.target(piece))

    def target(self, piece: int = 0) -> str | Splice:
        """What libsndfile is to open: the file, or the parts of it that make one piece."""
        return Splice(self.path, self.pieces[piece]) if self.pieces else self.path


@cache
def _forwards() -> type[soundfile.SoundFile]:
    import soundfile

    class Forwards(soundfile.SoundFile):  # type: ignore[misc]
        def seekable(self) -> bool:
            return False

    return Forwards


class Stream:
    """Reads a file from its beginning, or from a place in it, to its true end; damage ends it too.

    Args:
        source: the file.
        first: sample to begin with; only for files of one piece that libsndfile reads.

    Raises:
        soundfile.SoundFileError, OSError: if it cannot be opened, or is shorter.
    """

    def __init__(self, source: Source, first: int = 0) -> None:
        self._source, self._piece, self._at = source, 0, first
        self._sound = source.open()
        if first:
            self._sound.seek(first)
        self._begun = time.monotonic()
        self.fault: Exception | None = None
        """What ended it, other than its end."""

    @property
    def channels(self) -> int:
        """How many channels it has."""
        return int(self._sound.channels)

    def read(self, frames: int) -> NDArray[np.float32]:
        """The next samples, [n, channels], fewer than `frames` only where it ends.

        Raises:
            OSError: if it takes much longer than it sounds.
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
        """What comes before the damage in a block that could not be read, a little at a time."""
        import soundfile

        found: list[NDArray[np.float32]] = []
        start, count = self._at, 0
        # Only a place that can be found exactly can be gone to again.
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
    """Reads stretches of one file; the next one costs little if it starts no earlier than the last one did.

    Args:
        open_stream: opens it at its beginning.
    """

    def __init__(self, open_stream: Callable[[], Stream]) -> None:
        self._open = open_stream
        self._stream: Stream | None = None
        self._first = 0
        self._block: NDArray[np.float32] = np.zeros((0, 0), dtype=np.float32)

    def read(self, first: int, last: int) -> NDArray[np.float32]:
        """Samples `first` to `last` at most, [n, channels]; the last stretch is kept, since slices can overlap."""
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
            known = np.concatenate([known, self._stream.read(last - first - len(known))])
        if end >= first:
            self._first, self._block = first, known
        return known[: last - first]


_open = threading.local()


def read_forwards(source: Source, first: int, last: int) -> NDArray[np.float32]:
    """Samples `first` to `last` of a file at most, [n, channels], exactly those that reading it whole gives.

    Each thread of each process keeps its last file open.

    Raises:
        soundfile.SoundFileError, OSError: if it cannot be read.
    """
    state = os.stat(source.path)
    key = (os.getpid(), source, state.st_mtime_ns, state.st_size)
    if getattr(_open, "key", None) != key:
        _open.reader, _open.key = ForwardReader(lambda: Stream(source)), key
    reader: ForwardReader = _open.reader
    try:
        return reader.read(first, last)
    except Exception:
        _open.key = None
        raise
