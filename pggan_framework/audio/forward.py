"""Exact stretches of files in which one cannot jump: they are read forwards only.

libsndfile jumps in an mp3 file of variable bit rate by the coarse table of its header and lands up to seconds off.
soundfile's ``read`` jumps too, after every block, to where the next one should be.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import soundfile

STEP = 1 << 18
"""Samples a channel that are skipped at a time."""


def open_forwards(path: Path) -> soundfile.SoundFile:
    """Open a file whose ``read`` only goes on, block by block.

    Raises:
        soundfile.SoundFileError: if it cannot be read.
    """
    import soundfile

    class Forwards(soundfile.SoundFile):  # type: ignore[misc]
        def seekable(self) -> bool:
            return False

    return Forwards(str(path))


class ForwardReader:
    """Reads stretches of one file; the next one costs little if it starts no earlier than the last one did.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._sound: soundfile.SoundFile | None = None
        self._first = 0
        self._block: NDArray[np.float32] = np.zeros((0, 0), dtype=np.float32)

    def read(self, first: int, last: int) -> NDArray[np.float32]:
        """Samples `first` to `last` at most, [n, channels]; the last stretch is kept, since slices can overlap."""
        if self._sound is None or first < self._first:
            self._sound = open_forwards(self._path)
            self._first, self._block = 0, np.zeros((0, self._sound.channels), dtype=np.float32)
        end = self._first + len(self._block)
        while end < first:
            skipped = len(self._sound.read(min(first - end, STEP), dtype="float32", always_2d=True))
            if skipped == 0:
                break
            end += skipped
            self._first, self._block = end, self._block[:0]
        known = self._block[first - self._first :]
        if len(known) < last - first:
            more = self._sound.read(last - first - len(known), dtype="float32", always_2d=True)
            known = np.concatenate([known, more])
        if end >= first:
            self._first, self._block = first, known
        return known[: last - first]


_open = threading.local()


def read_forwards(path: Path, first: int, last: int) -> NDArray[np.float32]:
    """Samples `first` to `last` of a file at most, [n, channels], exactly those that reading it whole gives.

    Each thread of each process keeps its last file open.

    Raises:
        soundfile.SoundFileError, OSError: if it cannot be read.
    """
    state = path.stat()
    key = (os.getpid(), path, state.st_mtime_ns, state.st_size)
    if getattr(_open, "key", None) != key:
        _open.reader, _open.key = ForwardReader(path), key
    reader: ForwardReader = _open.reader
    try:
        return reader.read(first, last)
    except Exception:
        _open.key = None
        raise
