"""metrics.jsonl: one JSON object per measurement."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from math import isfinite
from pathlib import Path
from typing import Any

from pggan_framework.errors import UserError
from pggan_framework.storage.atomic import atomic_path

FILE = "metrics.jsonl"


def append_line(path: Path, facts: Mapping[str, Any], figures: Mapping[str, float]) -> None:
    """Append one line: `facts`, then `figures`; non-finite numbers become null.

    Raises:
        UserError: if the file cannot be written.
    """
    line = {**facts, **{name: value if isfinite(value) else None for name, value in figures.items()}}
    try:
        torn = path.is_file() and not _ends_whole(path)
        with path.open("a", encoding="utf-8") as file:
            file.write(("\n" if torn else "") + json.dumps(line) + "\n")
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from error


def drop_lines(path: Path, unwanted: Callable[[dict[str, Any]], bool]) -> None:
    """Delete the lines for which `unwanted` is true; all others remain unchanged."""
    if not path.is_file():
        return
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
    kept = [line for line in lines if not _is(line, unwanted)]
    if len(kept) < len(lines):
        with atomic_path(path) as temporary:
            temporary.write_text("".join(kept), encoding="utf-8")


def _is(line: str, unwanted: Callable[[dict[str, Any]], bool]) -> bool:
    try:
        record = json.loads(line)
    except ValueError:
        return False
    return isinstance(record, dict) and unwanted(record)


def _ends_whole(path: Path) -> bool:
    """True if the last line of a file is complete. After a full disk, it may be incomplete."""
    with path.open("rb") as file:
        file.seek(0, 2)
        if not file.tell():
            return True
        file.seek(-1, 2)
        return file.read() == b"\n"
