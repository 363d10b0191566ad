"""Resumable work: JSON lines on disk, and a lock that only one process can hold at a time."""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

Row = dict[str, Any]


def load_rows(path: Path, header: Mapping[str, Any]) -> list[Row] | None:
    """Read the rows of a `RowLog` up to the first torn row; None if the file is missing or has a different header."""
    rows, _ = _parse(path)
    return rows[1:] if rows and rows[0] == header else None


def _parse(path: Path) -> tuple[list[Row], int]:
    """Parse all complete rows, the header first; also returns their total size in bytes."""
    rows: list[Row] = []
    size = 0
    if path.is_file():
        content = path.read_bytes()
        try:
            # Parsing all lines at once takes a third of the time of separate lines; if a line is torn, parse up to that
            # line.
            with collector_waits():
                whole: list[Row] = (
                    json.loads(b"[" + content.replace(b"\n", b",")[:-1] + b"]") if content[-1:] == b"\n" else []
                )
        except ValueError:
            whole = []
        if whole and all(isinstance(row, dict) for row in whole) and len(whole) == content.count(b"\n"):
            return whole, len(content)
        with path.open("rb") as file:
            for line in file:
                try:
                    row = json.loads(line) if line.endswith(b"\n") else None
                except ValueError:
                    row = None
                if not isinstance(row, dict):
                    break
                rows.append(row)
                size += len(line)
    return rows, size


@contextmanager
def collector_waits() -> Iterator[None]:
    """Pause the garbage collector, which would scan many permanent objects several times during their creation."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class RowLog:
    """An append-only file of rows; rows that were appended survive a kill of the process.

    Opening the file removes a torn last row; a file with a different header is overwritten. Use the log as a context
    manager, in one process at a time.

    Args:
        path: path of the file.
        header: first row, plain JSON values that identify the work.
    """

    def __init__(self, path: Path, header: Mapping[str, Any]) -> None:
        self.path = path
        rows, size = _parse(path)
        fits = bool(rows) and rows[0] == header
        self.rows = rows[1:] if fits else []
        """The existing rows."""
        path.touch()
        self._file = path.open("r+b")
        self._file.truncate(size if fits else 0)
        self._file.seek(0, os.SEEK_END)
        if not fits:
            self.append(header)

    def append(self, row: Mapping[str, Any]) -> None:
        """Append a row."""
        self._file.write(json.dumps(row).encode() + b"\n")
        self._file.flush()

    def __enter__(self) -> RowLog:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()


@contextmanager
def locked(folder: Path, what: str) -> Iterator[None]:
    """Create `folder` and lock it for this process alone; wait while another process holds it.

    Args:
        folder: folder of the lock; the lock is the file ``lock`` in it.
        what: description of the other process's work, for the message.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("a+b") as file:
        told = False
        while not _try_lock(file):
            if not told:
                print(f"waiting for another process that is {what} in {folder}", file=sys.stderr, flush=True)
                told = True
            time.sleep(0.2)
        yield


if sys.platform == "win32":
    import msvcrt

    def _try_lock(file: BinaryIO) -> bool:
        file.seek(0)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
else:
    import fcntl

    def _try_lock(file: BinaryIO) -> bool:
        # Forked workers also hold the lock; they end before it is released, or soon after their parent process.
        try:
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
