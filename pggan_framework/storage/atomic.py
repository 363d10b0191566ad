"""Atomic writes: a file is either complete or absent."""

from __future__ import annotations

import os
import re
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_HOST = re.sub(r"[^A-Za-z0-9]", "", socket.gethostname())[:20]
_TEMPORARY = re.compile(r"\.(.+)\.([A-Za-z0-9]*)-(\d+)\.tmp")
ABANDONED = 7 * 86400
"""Age in seconds above which a temporary file from a different machine counts as abandoned."""


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary file next to `path`, which is renamed to `path` once it is safely on disk.

    Temporary files of killed writers of the same file are removed.
    """
    sweep(path.parent, path.name)
    temporary = temporary_name(path)
    try:
        yield temporary
        move_synced(temporary, path)
    finally:
        with suppress(OSError):  # the file itself exists, or a different error is being raised
            temporary.unlink()


def temporary_name(path: Path) -> Path:
    """A name next to `path` that identifies the writing process."""
    return path.with_name(f".{path.name}.{_HOST}-{os.getpid()}.tmp")


def sweep(folder: Path, name: str | None = None, owned: bool = False) -> None:
    """Remove temporary files and folders of killed writers.

    Args:
        folder: folder to clean up.
        name: file whose temporary files are removed; None for all temporary files in the folder.
        owned: True if no process writes to the folder, including this one; otherwise, only files whose writer has ended
            are removed.
    """
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return
    for entry in entries:
        match = _TEMPORARY.fullmatch(entry.name)
        if match and name in (None, match[1]):
            with suppress(OSError):
                # In containers, each start has the same process number, so files that an owner finds come from an
                # earlier start.
                if owned or _has_ended(match[2], int(match[3]), entry.stat(follow_symlinks=False).st_mtime):
                    shutil.rmtree(entry.path) if entry.is_dir(follow_symlinks=False) else os.unlink(entry.path)


def _has_ended(host: str, process: int, changed: float) -> bool:
    if host != _HOST:
        return time.time() - changed > ABANDONED
    if process == os.getpid():
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except OSError:
        pass
    return False


def move_synced(temporary: Path, path: Path) -> None:
    """Rename a written file to its final name once it is safely on disk, replacing an existing file."""
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    os.replace(temporary, path)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Make a rename in `folder` survive a power failure, if the system can open folders."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def forget_cached(path: Path) -> None:
    """Flush a file to disk and drop it from the page cache, so that the next read returns the stored bytes."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
