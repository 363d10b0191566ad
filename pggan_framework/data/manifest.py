"""Cached results for the files of a folder, valid until a file changes."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from pggan_framework.storage.atomic import atomic_path
from pggan_framework.storage.cache import cache_folder
from pggan_framework.storage.rows import collector_waits

FORMAT = 1
"""Increased when a new version computes the cached values differently."""
PATIENCE = 0.5
"""Computing time in seconds above which the results are stored in a file."""
SETTLED = 2.0
"""Seconds after a file's last change before its values are cached: a later change within this time could go unnoticed
on a disk with coarse timestamps.
"""
PIECE = 1 << 20
"""Number of bytes of a file that are hashed at a time."""

State = tuple[int, int, int]
"""Length of a file in bytes, and the times in ns of the last changes to its content and its status."""


class Manifest:
    """Values computed from the files of one folder, valid while the files are unchanged.

    A file counts as unchanged if its length and both of its times are unchanged. ``cp -p``, ``rsync -t`` and ``touch
    -r`` can set back the first time; no program can set back the second (ctime). The manifest is in the user's cache
    (``PGGAN_CACHE``), never in the folder itself. If it cannot be written, all values are computed at each start.

    Args:
        folder: folder of the files.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        cache = cache_folder()
        digest = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:24]
        self._path = None if cache is None else cache / f"folder-{digest}.json"
        self._files: dict[str, list[Any]] = self._load()
        self._spent = 0.0

    def states(self, names: Sequence[str]) -> list[State | None]:
        """The state of each file, which reveals changes; None for a missing file."""
        base = os.path.join(self.folder, "")
        return [_state(base + name) for name in names]

    def remember(
        self,
        kind: str,
        names: Sequence[str],
        compute: Callable[[Sequence[str]], Iterable[Any]],
        states: Sequence[State | None] | None = None,
    ) -> list[Any]:
        """Return a value for each file: the cached value, or the result of `compute`, which `save` can store.

        Args:
            kind: kind of the values: a name, and everything else that the values depend on.
            names: names of the files, relative to the folder.
            compute: function that returns the values of files in order, given their names; the values are plain JSON
                values, or exceptions, which are not cached.
            states: current states of the files, if already known.
        """
        states = self.states(names) if states is None else states
        known = [self._known(kind, name, state) for name, state in zip(names, states, strict=True)]
        missing = [place for place, found in enumerate(known) if found is None]
        if not missing:
            return known
        begun = time.monotonic()
        settled = time.time_ns() - int(SETTLED * 1e9)
        for place, value in zip(missing, compute([names[place] for place in missing]), strict=True):
            known[place] = value
            state = states[place]
            if state is not None and max(state[1:]) < settled and not isinstance(value, Exception):
                row = self._files.get(names[place])
                if row is None or row[0] != list(state):
                    row = self._files[names[place]] = [list(state), {}]
                row[1][kind] = value
        self._spent += time.monotonic() - begun
        return known

    def save(self) -> None:
        """Store the computed values if computing took long enough; a cache that cannot be written stays unchanged."""
        if self._path is None or self._spent <= PATIENCE:
            return
        self._spent = 0.0
        with suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_path(self._path) as temporary:
                temporary.write_text(json.dumps({"format": FORMAT, "files": self._files}), encoding="ascii")

    def _known(self, kind: str, name: str, state: State | None) -> Any:
        row = self._files.get(name)
        return row[1].get(kind) if row is not None and state is not None and row[0] == list(state) else None

    def _load(self) -> dict[str, list[Any]]:
        if self._path is None:
            return {}
        try:
            with collector_waits():
                found = json.loads(self._path.read_bytes())
            rows = found["files"].items() if found["format"] == FORMAT else ()
            return {name: row for name, row in rows if len(row) == 2 and isinstance(row[1], dict)}
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            return {}


def hash_file(path: str | Path) -> str:
    """A digest of all bytes of a file; for an unreadable file, the reason why it cannot be read."""
    digest = hashlib.blake2b(digest_size=16)
    try:
        with open(path, "rb", buffering=0) as file:
            while block := file.read(PIECE):
                digest.update(block)
        return digest.hexdigest()
    except OSError as error:
        return str(error.strerror)


def _state(path: str) -> State | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns
