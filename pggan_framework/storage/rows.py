"""Resumable work: JSON lines on disk, and a lock so that only one process works."""

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
    """The rows of a `RowLog`, up to the first torn one; None if the file is not there or has another header."""
    rows, _ = _parse(path)
    return rows[1:] if rows and rows[0] == header else None


def _parse(path: Path) -> tuple[list[Row], int]:
    """All whole rows, the header first, and how many bytes they are."""
    rows: list[Row] = []
    size = 0
    if path.is_file():
        content = path.read_bytes()
        try:
            # All lines at once, which takes a third of the time; where one is torn, up to that one.
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
    """Hold the garbage collector off while 100,000 values are made that all stay: it would scan them several times."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class RowLog:
    """A file of rows that can only grow: after a kill, all rows are there that were appended.

    Opening it drops a torn last row; a file with another header is begun anew. Use it as a context manager, by one
    process at a time.

    Args:
        path: the file.
        header: its first row, plain JSON values: what the rows are good for.
    """

    def __init__(self, path: Path, header: Mapping[str, Any]) -> None:
        self.path = path
        rows, size = _parse(path)
        fits = bool(rows) and rows[0] == header
        self.rows = rows[1:] if fits else []
        """The rows that were there."""
        path.touch()
        self._file = path.open("r+b")
        self._file.truncate(size if fits else 0)
        self._file.seek(0, os.SEEK_END)
        if not fits:
            self.append(header)

    def append(self, row: Mapping[str, Any]) -> None:
        """Add a row."""
        self._file.write(json.dumps(row).encode() + b"\n")
        self._file.flush()

    def __enter__(self) -> RowLog:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()


@contextmanager
def locked(folder: Path, what: str) -> Iterator[None]:
    """Create `folder` and hold it for this process alone; wait while another one does.

    Args:
        folder: where the file ``lock`` is.
        what: what the other process is doing, for the line that says so.
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
        # Forked workers hold it too; they end before it is given back, or soon after the process they serve.
        try:
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
