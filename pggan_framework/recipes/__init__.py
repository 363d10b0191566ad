"""Recipes: build a training folder of images or sounds from publicly available packages.

Each recipe is a module listed in `RECIPES`. It contains

- ``EXAMPLE``: example commands for the help: installation, and the recipe;
- ``THINGS``: the unit of its progress: cats, notes;
- ``make_NAME(out, ..., progress)``: creates the folder; its other parameters, with the help of its docstring, are the
  flags, ``source`` as ``--from``;
- ``summary(given, made) -> str``: describes what ``make_NAME`` has created with these flags, and gives the required
  credit.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pggan_framework.errors import UserError
from pggan_framework.storage.atomic import sweep, temporary_name

RECIPES = {
    "cats": "cartoon cats, PNG (art: David Revoy, CC-BY-4.0, from the package robohash)",
    "notes": "single notes of known pitch, WAV (needs fluidsynth and a General MIDI soundfont)",
    "fashion": "clothes in ten classes, grey PNG of 32x32, a folder per class (Fashion-MNIST, MIT; a Debian package)",
    "avatars": "cartoon faces with label maps, PNG (art: ToonHead by Johan Melin, CC BY 4.0; needs node)",
    "units": "pixel art of creatures, transparent PNG of 72x72, a folder per race (Wesnoth, GPL-2+; a Debian package)",
    "chorales": "clips of Bach's chorales, WAV (scores of the package music21; needs fluidsynth and a soundfont)",
    "drums": "drums and other short sounds, FLAC, one folder per kind (Sonic Pi, CC0; a Debian package)",
    "digits": "spoken digits or other words, WAV, one folder per word, several voices (needs espeak-ng)",
}
"""The recipes, each a module of this package, with a one-line description."""

Progress = Callable[[int, int], None]
"""Called with the number of finished items, and the total."""


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Create a folder that gets its final name only when everything in it is written.

    Yields a temporary sibling of `path`, which is renamed to `path` at the end, or removed if the block raises.

    Raises:
        UserError: if `path` exists and is not an empty folder, or cannot be created.
    """
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise UserError(f"{path} exists already; give a new folder, or remove it first")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        sweep(path.parent, path.name)
        temporary = temporary_name(path)
        shutil.rmtree(temporary, ignore_errors=True)  # left by a killed process with the same number, as in containers
        temporary.mkdir()
    except OSError as error:
        raise UserError(f"cannot make the folder {path}: {error.strerror}") from error
    try:
        yield temporary
        temporary.rename(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def at_least(name: str, value: float, least: float) -> None:
    """Check a number from the user.

    Raises:
        UserError: if `value` is below `least`.
    """
    if not value >= least:
        raise UserError(f"{name} is {value}; it must be at least {least}")


def check_drawn(count: int, size: int, seed: int, background: str) -> tuple[int, int, int]:
    """Check the flags of recipes that draw images.

    Returns:
        Red, green and blue of the background, 0 to 255.

    Raises:
        UserError: if a number is out of range, or the colour does not exist.
    """
    from PIL import ImageColor

    at_least("count", count, 1)
    at_least("size", size, 4)
    at_least("seed", seed, 0)
    try:
        red, green, blue = ImageColor.getrgb(background)[:3]
    except ValueError as error:
        raise UserError(
            f"unknown background colour '{background}'; allowed: a name such as white, or #rrggbb"
        ) from error
    return red, green, blue
