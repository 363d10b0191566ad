"""Atomic output of ``pggan generate``, and its progress."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pggan_framework.errors import UserError
from pggan_framework.recipes import new_folder
from pggan_framework.storage.atomic import atomic_path

if TYPE_CHECKING:
    from tqdm import tqdm


@contextmanager
def out_folder(out: Path | None, run_folder: Path) -> Iterator[tuple[Path, Path]]:
    """Yield the folder to create, by default the next numbered folder of a run, and a temporary folder to write to.

    Raises:
        UserError: if `out` exists and is not empty, or a folder cannot be created.
    """
    if out is not None:
        with _told(out), new_folder(out) as folder:
            yield out, folder
        return
    parent = run_folder / "generated"
    try:
        parent.mkdir(exist_ok=True)
        out = _reserve(parent)
    except OSError as error:
        raise UserError(f"cannot make a folder in {run_folder}: {error.strerror}; give --out DIR") from error
    try:
        with _told(out), new_folder(out) as folder:
            yield out, folder
    except BaseException:
        for empty in (out, parent):
            with suppress(OSError):  # it contains files of other programs
                empty.rmdir()
        raise


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """A context that converts write errors to a one-line message."""
    try:
        yield
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}") from error


def _reserve(parent: Path) -> Path:
    """Create the next numbered folder in `parent`, empty, to reserve its number."""
    while True:
        taken = [int(path.name) for path in parent.iterdir() if path.name.isdecimal()]
        out = parent / f"{max(taken, default=-1) + 1:03d}"
        try:
            out.mkdir()
        except FileExistsError:
            continue
        return out


@contextmanager
def out_file(*paths: Path) -> Iterator[list[Path]]:
    """Yield temporary names for new files, which are renamed after all are written, the first file last.

    Raises:
        UserError: if a file already exists, or cannot be written.
    """
    for path in paths:
        if path.exists():
            raise UserError(f"{path} exists already; give a new file, or remove it first")
    made = [folder for folder in (paths[0].parent, *paths[0].parent.parents) if not folder.exists()]
    try:
        with _told(paths[0]):
            paths[0].parent.mkdir(parents=True, exist_ok=True)
            with _temporary(list(paths)) as names:
                yield names
    except BaseException:
        for folder in made:
            with suppress(OSError):
                folder.rmdir()
        raise


@contextmanager
def _temporary(paths: list[Path]) -> Iterator[list[Path]]:
    if not paths:
        yield []
        return
    with atomic_path(paths[0]) as first, _temporary(paths[1:]) as rest:
        yield [first, *rest]


def bar(things: str) -> Callable[[int, int], None] | None:
    """Return a progress bar with the remaining time on a terminal; None elsewhere."""
    if not sys.stderr.isatty():
        return None
    from tqdm import tqdm

    bars: list[tqdm[Any]] = []

    def show(done: int, total: int) -> None:
        if not bars:
            bars.append(tqdm(total=total, unit=f" {things}", dynamic_ncols=True, leave=False))
        bars[0].update(done - bars[0].n)
        if done == total:
            bars[0].close()

    return show
