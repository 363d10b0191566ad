"""Headers and digests of a folder's recordings, cached for unchanged files."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from pggan_framework.audio.forward import Source
from pggan_framework.audio.reading import SoundFile, UnreadableSound, read_header
from pggan_framework.audio.splice import Segment
from pggan_framework.data.manifest import Manifest, State
from pggan_framework.storage.rows import collector_waits

HEADERS = "sound header 3"
"""Name of the cached headers; changed when a new version reads different headers from the same files."""
HASHED = 1 << 16
"""Bytes at each file's start and end that its digest covers."""
THREADS = 8
"""Number of files opened concurrently; opening a file is mostly waiting."""

Known = tuple[SoundFile, State, str | None]
"""A file's header; the state that reveals changes outside its ends; the digest of its ends."""

T = TypeVar("T")


def know_files(directory: Path, names: Sequence[str], digests: bool) -> list[Known | UnreadableSound]:
    """Header, state and digest of each file; only files not cached from an earlier start are opened.

    Args:
        directory: path of the folder.
        names: names of the files in the folder.
        digests: whether to compute digests; otherwise they are None.
    """
    manifest, base = Manifest(directory), os.path.join(directory, "")
    states = manifest.states(names)

    def read_headers(missing: Sequence[str]) -> Iterable[Any]:
        # Unreadable files are tried again at each start: the program that reads them may have been missing.
        return _each(_row, [base + name for name in missing])

    def read_ends(missing: Sequence[str]) -> Iterable[Any]:
        return _each(content_digest, [base + name for name in missing])

    rows = manifest.remember(HEADERS, names, read_headers, states)
    ends = manifest.remember("ends", names, read_ends, states) if digests else [None] * len(names)
    manifest.save()
    with collector_waits():
        found = zip(names, rows, states, ends, strict=True)
        return [_known(base + name, row, state, end) for name, row, state, end in found]


def _known(path: str, row: Any, state: State | None, end: Any) -> Known | UnreadableSound:
    fault = row if isinstance(row, Exception) else end
    if isinstance(fault, UnreadableSound):
        return fault
    if state is None or isinstance(fault, OSError):
        return UnreadableSound(getattr(fault, "strerror", None) or "it has gone")
    frames, rate, channels, jumps, remark, source = row
    opened = None if source is None else Source(path, tuple(map(_segments, source[0])), source[1])
    return SoundFile(path, frames, rate, channels, jumps, opened, remark), state, end


def content_digest(path: str | Path) -> str:
    """Digest of a file's first and last bytes.

    Raises:
        OSError: if the file cannot be read.
    """
    with open(path, "rb", buffering=0) as file:
        start = file.read(HASHED)
        size = os.fstat(file.fileno()).st_size
        file.seek(max(size - HASHED, 0))
        return hashlib.sha256(start + file.read(HASHED)).hexdigest()[:16]


def _each(task: Callable[[str], T], paths: Sequence[str]) -> list[T | Exception]:
    """The result of `task` for each path, or its exception."""

    def attempt(path: str) -> T | Exception:
        try:
            return task(path)
        except (UnreadableSound, OSError) as error:
            return error

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(attempt, paths))


def _row(path: str) -> list[Any]:
    """A header as plain JSON values."""
    header, source = read_header(path), None
    if header.source is not None:
        pieces = [[part.hex() if isinstance(part, bytes) else part for part in piece] for piece in header.source.pieces]
        source = [pieces, header.source.decoder]
    return [header.frames, header.sample_rate, header.channels, header.jumps, header.remark, source]


def _segments(piece: Sequence[Any]) -> tuple[Segment, ...]:
    return tuple(bytes.fromhex(part) if isinstance(part, str) else (part[0], part[1]) for part in piece)
