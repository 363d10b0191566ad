"""What is known of a folder's files from an earlier start, so that unchanged ones need not be opened again."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pggan_framework.audio.forward import Source
from pggan_framework.audio.reading import SoundFile, UnreadableSound, read_header
from pggan_framework.audio.splice import Segment
from pggan_framework.storage.atomic import atomic_path

FORMAT = 1
"""Another one where the same files would give other headers."""
HASHED = 1 << 16
"""Bytes of each file's start and end that go into its digest."""
THREADS = 8
"""Files that are opened at the same time: opening one is mostly waiting."""
PATIENCE = 1.0
"""Seconds of opening after which a manifest is worth a file."""

State = tuple[int, int, int]
"""Size, and the times at which the content and the entry were last changed, ns; no program can set the latter."""


@dataclass(frozen=True)
class KnownFile:
    """A file that can be opened.

    Args:
        header: what it says of itself.
        digest: of its first and last bytes; None where it is not needed yet.
        state: by which a change is noticed that leaves these bytes unchanged.
    """

    header: SoundFile
    digest: str | None
    state: State


def know_files(directory: Path, names: Sequence[str], kept: Path | None = None) -> list[KnownFile | UnreadableSound]:
    """Header, digest and state of each of the files; only those are opened that are not known from an earlier start.

    Args:
        directory: the folder.
        names: the files' names in it.
        kept: the folder where that is kept; None keeps nothing.
    """
    place = None if kept is None else kept / f"files-{_digest(str(directory.resolve()).encode())}.json"
    rows = {} if place is None else _load(place)
    begun = time.monotonic()
    found: list[KnownFile | UnreadableSound | None] = []
    base = str(directory)
    for name in names:
        path = os.path.join(base, name)
        row = rows.get(name)
        found.append(None if row is None else _known(path, row))
    missing = [index for index, known in enumerate(found) if known is None]
    with ThreadPoolExecutor(THREADS) as pool:
        for index, fresh in zip(
            missing,
            pool.map(partial(_look, digest=kept is not None), [directory / names[i] for i in missing]),
            strict=True,
        ):
            found[index] = fresh
    known_files = [each for each in found if each is not None]
    if place is not None and missing and (rows or time.monotonic() - begun > PATIENCE):
        _save(place, names, known_files)
    return known_files


def content_digest(path: Path, size: int) -> str:
    """Digest of a file's first and last bytes.

    Raises:
        OSError: if it cannot be read.
    """
    with path.open("rb") as file:
        start = file.read(HASHED)
        file.seek(max(size - HASHED, 0))
        return _digest(start + file.read(HASHED))


def _look(path: Path, digest: bool = True) -> KnownFile | UnreadableSound:
    try:
        header = read_header(path)
        status = path.stat()
        return KnownFile(header, content_digest(path, status.st_size) if digest else None, _state(status))
    except UnreadableSound as error:
        return error
    except OSError as error:
        return UnreadableSound(error.strerror or type(error).__name__)


def _state(status: os.stat_result) -> State:
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def _known(path: str, row: list[Any]) -> KnownFile | None:
    state, digest, frames, rate, channels, jumps, remark, source = row
    try:
        status = os.stat(path)
    except OSError:
        return None
    if [status.st_size, status.st_mtime_ns, status.st_ctime_ns] != state:
        return None
    place = Path(path)
    opened = None if source is None else Source(place, tuple(map(_segments, source[0])), source[1])
    return KnownFile(SoundFile(place, frames, rate, channels, jumps, opened, remark), digest, _state(status))


def _segments(piece: list[Any]) -> tuple[Segment, ...]:
    return tuple(bytes.fromhex(part) if isinstance(part, str) else (part[0], part[1]) for part in piece)


def _load(place: Path) -> dict[str, list[Any]]:
    """The rows of a manifest by name; none where it is not there, or not to be understood."""
    try:
        content = json.loads(place.read_bytes())
        rows: dict[str, list[Any]] = content["files"] if content["format"] == FORMAT else {}
        return {name: row for name, row in rows.items() if len(row) == 8}
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return {}


def _save(place: Path, names: Sequence[str], files: Sequence[KnownFile | UnreadableSound]) -> None:
    """Write a manifest; a folder that cannot be written is left unchanged."""
    rows = {}
    for name, known in zip(names, files, strict=True):
        if isinstance(known, UnreadableSound):
            continue  # looked at again each time: it may be the program that reads it that is missing
        header, source = known.header, None
        if header.source is not None:
            pieces = [[part.hex() if isinstance(part, bytes) else part for part in piece] for piece in header.source[1]]
            source = [pieces, header.source.decoder]
        shape = [header.frames, header.sample_rate, header.channels, header.jumps, header.remark, source]
        rows[name] = [list(known.state), known.digest, *shape]
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(place) as temporary:
            temporary.write_text(json.dumps({"format": FORMAT, "files": rows}), encoding="utf-8")
    except OSError:
        return
