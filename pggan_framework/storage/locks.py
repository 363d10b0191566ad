"""Folder locks with a single owner, released by the kernel when the owner ends."""

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
    """Hold `folder` for this process alone.

    The lock is on the file ``.lock`` in it, which is removed at the end. It belongs to the process: workers that are
    forked do not hold it, and it is gone with the process, after SIGKILL too.

    Args:
        folder: it must exist.
        what: what the folder is, for messages: ``the run results/007-piano``.
        patience: seconds to wait for a holder that is just ending.

    Raises:
        UserError: if another process, or this one, holds it.
    """
    found = folder.stat()
    key = (found.st_dev, found.st_ino)
    with _guard:
        # A process can lock what it has locked, and closing the file once would release it: no second file is opened.
        if key in _held:
            raise UserError(f"{what} is in use by this process; allowed: one owner at a time")
        _held.add(key)
    try:
        path = folder / NAME
        file = _acquire(path, what, time.monotonic() + patience)
        try:
            yield
        finally:
            with suppress(OSError):  # whoever opened it meanwhile sees that it is gone, and opens the next one
                path.unlink()
            file.close()
    finally:
        with _guard:
            _held.discard(key)


def _acquire(path: Path, what: str, end: float) -> BinaryIO:
    """The lock's file, opened and locked."""
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
    """Whether an open file is still the one of this path."""
    own = os.fstat(file.fileno())
    try:
        found = path.stat()
    except OSError:
        return False
    return (own.st_dev, own.st_ino) == (found.st_dev, found.st_ino)


def _holder(file: BinaryIO) -> str:
    """Who holds the lock, as the file says."""
    file.seek(0)
    try:
        facts = json.loads(file.read(1000))
        return f"process {int(facts['process'])} on {str(facts['host'])[:60]}"
    except (ValueError, TypeError, KeyError, OSError):
        return "another process"


if sys.platform == "win32":
    import msvcrt

    def _try_lock(file: BinaryIO) -> bool | None:
        """True where the lock is had, False where another has it, None where there are none."""
        file.seek(1 << 20)  # behind the text, which others may read
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
else:
    import fcntl

    def _try_lock(file: BinaryIO) -> bool | None:
        """True where the lock is had, False where another has it, None where there are none."""
        try:
            # Record locks, not flock: forked workers that outlive a killed process do not hold them.
            fcntl.lockf(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            return False
        except OSError:
            return None
        return True
