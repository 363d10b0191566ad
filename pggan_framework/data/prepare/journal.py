"""Noting what has been written, once it is safe on the disk, next to the work."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from pggan_framework.storage.rows import Row, RowLog


class Journal:
    """Notes blocks as done when they are safe on the disk, next to the work, so that no one waits for the disk.

    Args:
        path: the file that the blocks are in.
        log: where they are noted.
    """

    def __init__(self, path: Path, log: RowLog) -> None:
        self._path, self._log = path, log
        self._rows: list[Row] = []
        self._change = threading.Condition()
        self._ended = False
        self._error: OSError | None = None
        self._thread: threading.Thread | None = None

    def append(self, row: Row) -> None:
        """Note a block, soon.

        Raises:
            OSError: if an earlier one could not be.
        """
        with self._change:
            if self._error:
                raise self._error
            self._rows.append(row)
            self._change.notify()
        if self._thread is None:  # not before the first result: by then all processes are forked
            self._thread = threading.Thread(target=self._run)
            self._thread.start()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        with self._change:
            self._ended = True
            self._change.notify()
        if self._thread is not None:
            self._thread.join()
        if self._error and error is None:
            raise self._error

    def _run(self) -> None:
        try:
            with self._path.open("r+b") as file:
                while True:
                    with self._change:
                        while not self._rows and not self._ended:
                            self._change.wait()
                        rows, self._rows = self._rows, []
                    if not rows:
                        return
                    os.fsync(file.fileno())
                    for row in rows:
                        self._log.append(row)
        except OSError as error:
            self._error = error
