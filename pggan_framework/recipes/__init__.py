"""Recipes that make a folder of pictures or sounds to train on, from packages anyone can install."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pggan_framework.errors import UserError

Progress = Callable[[int, int], None]
"""Called with how many are done, and of how many."""


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A folder that gets its final name only when everything in it is written.

    Yields a temporary sibling of `path`; it is renamed to `path` at the end, or removed if the block raises.

    Raises:
        UserError: if `path` is there already and is not an empty folder, or cannot be made.
    """
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise UserError(f"{path} exists already; give a new folder, or remove it first")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    except OSError as error:
        raise UserError(f"cannot make the folder {path}: {error.strerror}") from error
    try:
        yield temporary
        temporary.chmod(0o755)  # mkdtemp makes it private
        temporary.rename(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def at_least(name: str, value: float, least: float) -> None:
    """Check a number of the user's.

    Raises:
        UserError: if `value` is below `least`.
    """
    if not value >= least:
        raise UserError(f"{name} is {value}; it must be at least {least}")
