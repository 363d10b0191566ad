"""Folder locks with a single owner, which the kernel releases when the owner ends."""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from pggan_framework.errors import UserError

NAME = ".lock"
_held: set[tuple[int, int]] = set()
_guard = threading.Lock()


@contextmanager
def owned(folder: Path, what: str, patience: float = 3.0) -> Iterator[None]:
    """Lock `folder` for this process alone.

    The lock applies to the file ``.lock`` in the folder, which is removed at the end. The lock belongs to the process:
    forked workers do not hold it, and it is released when the process ends, even by SIGKILL.

    Args:
        folder: existing folder.
        what: description of the folder for messages, such as ``the run results/007-piano``.
        patience: number of seconds to wait for an owner that is about to end.

    Raises:
        UserError: if another process, or this process, holds the lock.
    """
    found = folder.stat()
    key = (found.st_dev, found.st_ino)
    with _guard:
        # A process can lock a file twice, and closing it once would release both locks, so the file is opened only
        # once.
        if key in _held:
            raise UserError(f"{what} is in use by this process; allowed: one owner at a time")
        _held.add(key)
    try:
        path = folder / NAME
        file = _acquire(path, what, time.monotonic() + patience)
        try:
            yield
        finally:
            with suppress(OSError):  # a process that has opened the file meanwhile notices the removal
                path.unlink()
            file.close()
    finally:
        with _guard:
            _held.discard(key)


def _acquire(path: Path, what: str, end: float) -> BinaryIO:
    """Open and lock the lock file."""
    while True:
        file = path.open("a+b")
        taken = _try_lock(file)
        if taken is None:
            print(f"warning: {what} cannot be locked here; make sure that no other process uses it", file=sys.stderr)
            return file
        if taken and _is(file, path):
            facts = {"process": os.getpid(), "host": socket.gethostname()}
            file.truncate(0)
            file.write(json.dumps(facts).encode())
            file.flush()
            return file
        holder = _holder(file)
        file.close()
        if time.monotonic() > end:
            raise UserError(
                f"{what} is in use by {holder}; allowed: one process at a time: wait until it ends, or stop it"
            )
        time.sleep(0.1)


def _is(file: BinaryIO, path: Path) -> bool:
    """True if an open file is still the file at this path."""
    own = os.fstat(file.fileno())
    try:
        found = path.stat()
    except OSError:
        return False
    return (own.st_dev, own.st_ino) == (found.st_dev, found.st_ino)


def _holder(file: BinaryIO) -> str:
    """Read the owner of the lock from the file's text."""
    file.seek(0)
    try:
        facts = json.loads(file.read(1000))
        return f"process {int(facts['process'])} on {str(facts['host'])[:60]}"
    except (ValueError, TypeError, KeyError, OSError):
        return "another process"


if sys.platform == "win32":
    import msvcrt

    def _try_lock(file: BinaryIO) -> bool | None:
        """True if the lock was acquired, False if another process holds it, None if locks are not supported."""
        file.seek(1 << 20)  # lock a byte after the text, which other processes may read
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
else:
    import fcntl

    def _try_lock(file: BinaryIO) -> bool | None:
        """True if the lock was acquired, False if another process holds it, None if locks are not supported."""
        try:
            # Record locks instead of flock: forked workers that outlive a killed process do not hold them.
            fcntl.lockf(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            return False
        except OSError:
            return None
        return True
