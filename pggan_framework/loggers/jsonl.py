"""stats.jsonl: one JSON object per tick, for programs."""

from __future__ import annotations

import errno
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pggan_framework.loggers.base import Logger, RunInfo
from pggan_framework.registry import register
from pggan_framework.storage.atomic import atomic_path


@register("logger")
class JSONLLogger(Logger):
    """Writes the values of every tick to a file, one JSON object per line; non-finite numbers are null.

    A resumed run first drops rows newer than its checkpoint, so the file reads as if the run had not stopped.

    Args:
        filename: file name inside the run's folder.
    """

    def __init__(self, filename: str = "stats.jsonl") -> None:
        self.filename = filename
        self._size = 0
        """Bytes of complete lines in the file."""
        self._waiting = b""
        """Lines that could not be written because the disk was full."""

    def start(self, run: RunInfo) -> None:
        """Create the file, or truncate it to where the run resumes."""
        self.path, self._waiting = run.directory / self.filename, b""
        kept = [] if run.resumed_nimg is None else _lines_until(self.path, run.logged_nimg)
        with atomic_path(self.path) as temporary:
            self._size = temporary.write_bytes("".join(kept).encode())

    def log(self, stats: Mapping[str, float], nimg: int) -> None:
        """Append one line, after any lines that could not be written before.

        Raises:
            OSError: if the file cannot be written.
        """
        line = json.dumps({"nimg": nimg, **{name: _plain(value) for name, value in stats.items()}}) + "\n"
        self._waiting += line.encode()
        self._write()

    def finish(self, status: str) -> None:
        """Write the lines that could not be written before."""
        if self._waiting:
            self._write()

    def _write(self) -> None:
        with self.path.open("r+b" if self.path.exists() else "wb", buffering=0) as file:
            file.truncate(self._size)  # removes a partial line, written when the disk was full
            file.seek(self._size)
            written = file.write(self._waiting)
            if written != len(self._waiting):
                raise OSError(errno.ENOSPC, "No space left on device", str(self.path))
        self._size, self._waiting = self._size + written, b""


def _lines_until(path: Path, nimg: int) -> list[str]:
    """Return the complete lines of `path` whose nimg is at most `nimg`."""
    if not path.exists():
        return []
    kept = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict) and record.get("nimg", 0) <= nimg:
            kept.append(line + "\n")
    return kept


def _plain(value: Any) -> Any:
    """Convert a number for JSON: integers unchanged, other numbers as float, None for NaN and infinities."""
    if isinstance(value, (int, str)) or value is None:
        return value
    number = float(value)
    return number if math.isfinite(number) else None
