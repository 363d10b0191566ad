"""A journal of finished blocks, recorded once they are safely on disk."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from pggan_framework.storage.rows import Row, RowLog


class Journal:
    """Records finished blocks once they are safely on disk, in a separate thread so that no process waits for it.

    Args:
        path: file that contains the blocks.
        log: file that lists the finished blocks.
    """

    def __init__(self, path: Path, log: RowLog) -> None:
        self._path, self._log = path, log
        self._rows: list[Row] = []
        self._change = threading.Condition()
        self._ended = False
        self._error: OSError | None = None
        self._thread: threading.Thread | None = None

    def append(self, row: Row) -> None:
        """Schedule a block for recording.

        Raises:
            OSError: if an earlier block could not be recorded.
        """
        with self._change:
            if self._error:
                raise self._error
            self._rows.append(row)
            self._change.notify()
        if self._thread is None:  # started after the first result, when all processes have been forked
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
