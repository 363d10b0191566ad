"""Recipes that make a folder of pictures or sounds to train on, from packages anyone can install.

Each is a module of its name here, in the table `RECIPES`, with

- ``EXAMPLE``: command lines, for the help: what to install, and the recipe;
- ``THINGS``: what is counted while it is made: cats, notes;
- ``add_arguments(parser)``: its flags beside ``OUT``, which all have; `drawn_arguments` are those of drawn pictures;
- ``run(given, progress) -> str``: makes ``given.out`` and says in words what it made, with the credit that is due.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pggan_framework.errors import UserError
from pggan_framework.storage.atomic import sweep, temporary_name

RECIPES = {
    "cats": "cartoon cats, PNG (art: David Revoy, CC-BY-4.0, from the package robohash)",
    "notes": "single notes of known pitch, WAV (needs fluidsynth and a General MIDI soundfont)",
    "fashion": "clothes in ten classes, grey PNG of 32x32, a folder a class (Fashion-MNIST, MIT; a Debian package)",
    "avatars": "cartoon faces with label maps, PNG (art: ToonHead by Johan Melin, CC BY 4.0; needs node)",
    "units": "pixel art of creatures, transparent PNG of 72x72, a folder a people (Wesnoth, GPL-2+; a Debian package)",
    "chorales": "clips of Bach's chorales, WAV (scores of the package music21; needs fluidsynth and a soundfont)",
    "drums": "drums and other short sounds, FLAC, a folder a kind (Sonic Pi, CC0; a Debian package)",
    "digits": "spoken digits or other words, WAV, a folder a word, several voices (needs espeak-ng)",
}
"""The recipes, each a module here, and a line on what it makes."""

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
        sweep(path.parent, path.name)
        temporary = temporary_name(path)
        shutil.rmtree(temporary, ignore_errors=True)  # of a killed start with the same number: containers have one
        temporary.mkdir()
    except OSError as error:
        raise UserError(f"cannot make the folder {path}: {error.strerror}") from error
    try:
        yield temporary
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


def drawn_arguments(parser: argparse.ArgumentParser, count: int, what: str, most: str = "") -> None:
    """The flags of recipes that draw pictures: how many `what`, how large, on which background."""
    parser.add_argument("--count", type=int, default=count, help=f"how many{most}")
    parser.add_argument("--size", type=int, default=64, help="side in pixels")
    parser.add_argument("--background", default="white", help="a name, or #rrggbb")
    parser.add_argument("--seed", type=int, default=0, help=f"which {what}")


def check_drawn(count: int, size: int, seed: int, background: str) -> tuple[int, int, int]:
    """Check the values of `drawn_arguments`.

    Returns:
        Red, green and blue of the background, 0 to 255.

    Raises:
        UserError: if a number is not usable, or there is no such colour.
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
