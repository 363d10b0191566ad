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
"""Seconds after which a temporary file of another machine is taken to be left over."""


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary name next to `path`; its contents get the final name once they are safely on disk.

    What killed writers of the same file have left is removed.
    """
    sweep(path.parent, path.name)
    temporary = temporary_name(path)
    try:
        yield temporary
        move_synced(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def temporary_name(path: Path) -> Path:
    """A name next to `path` that identifies the writing process."""
    return path.with_name(f".{path.name}.{_HOST}-{os.getpid()}.tmp")


def sweep(folder: Path, name: str | None = None, owned: bool = False) -> None:
    """Remove temporary files and folders that killed writers have left.

    Args:
        folder: where they are.
        name: only those of this file; None: all in the folder.
        owned: whether nobody writes there, this process neither; otherwise only those go whose writer is known to
            have ended.
    """
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return
    for entry in entries:
        match = _TEMPORARY.fullmatch(entry.name)
        if match and name in (None, match[1]):
            with suppress(OSError):
                # In a container each start has the same process number: what an owner finds is an earlier start's.
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
    """Rename a written file to its final name once it is safely on disk, replacing any older one."""
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    os.replace(temporary, path)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Make a rename in `folder` survive a power cut, where the system lets a folder be opened."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def forget_cached(path: Path) -> None:
    """Bring a file to the disk and drop the system's copy in memory: what is read next was really stored."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
