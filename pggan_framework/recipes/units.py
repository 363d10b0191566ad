"""Pixel art of creatures and soldiers, a folder a people: the units of The Battle for Wesnoth.

They are GPL-2 or later, drawn by many; a package of Debian's has them, and every installation of the game.
"""

from __future__ import annotations

import argparse
import hashlib
import re
from pathlib import Path

import numpy as np

from pggan_framework.errors import UserError
from pggan_framework.recipes import Progress, at_least, new_folder

CREDIT = "Units of The Battle for Wesnoth (www.wesnoth.org), by its many artists, GPL-2 or later."
"""The line that has to go with the pictures."""
INSTALL = (
    "run 'apt-get install wesnoth-1.16-data' (146 MB; GPL-2 or later), or unpack the package of Debian or Ubuntu with"
    " 'dpkg-deb -x' and give the folder with --from"
)
INSTALLED = (
    "/usr/share/games/wesnoth",
    "/usr/share/wesnoth",
    "/usr/local/share/wesnoth",
)
"""Where packages put the game; Debian's with a folder for each version in it."""

THINGS = "pictures"
EXAMPLE = """  apt-get install wesnoth-1.16-data
  pggan prepare units datasets/units
  apt-get download wesnoth-1.16-data && dpkg-deb -x wesnoth-1.16-data*.deb wesnoth
  pggan prepare units datasets/units --from wesnoth
"""

SIDE = 72
"""Pixels of a field of the game; larger pictures are of units that leave theirs."""
SEEN = 0.05
"""A picture of which less is opaque is a flame, a shadow, or the last of a unit that fades."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The recipe's flags."""
    parser.add_argument("--count", type=int, help="how many, drawn from all; all where it is not given")
    parser.add_argument("--least", type=int, default=50, help="leave out peoples with fewer pictures")
    parser.add_argument("--from", dest="source", type=Path, metavar="DIR", help="the package unpacked, or the game")
    parser.add_argument("--seed", type=int, default=0, help="which, where --count is given")


def run(given: argparse.Namespace, progress: Progress | None) -> str:
    """Make what the flags say, and tell what it is."""
    counts = make_units(given.out, given.count, given.least, given.source, given.seed, progress)
    peoples = ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
    return f"{sum(counts.values())} pictures of {SIDE}x{SIDE} with transparency: {peoples}. {CREDIT}"


def make_units(
    out: Path,
    count: int | None = None,
    least: int = 50,
    source: Path | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> dict[str, int]:
    """Write ``orcs/grunt-attack-1.png`` ... and a ``CREDITS.txt`` into the new folder `out`, a folder a people.

    The pictures are as the game has them, 72x72 with transparency; magenta is what the game paints in a player's
    colour. Left out are other sizes, pictures that are there twice, and those of which less than a twentieth is opaque.

    Args:
        out: the folder to make.
        count: how many; a larger count begins with the same ones. All by default.
        least: a people with fewer pictures is left out.
        source: the unpacked package, the game's folder, or its ``units``; without it the newest that is installed.
        seed: which ones, where a count is given.
        progress: called after each picture that is looked at.

    Returns:
        How many pictures there are of each people.

    Raises:
        UserError: if the game is not found, a number is not usable, or `out` exists.
    """
    from PIL import Image

    if count is not None:
        at_least("count", count, 1)
    at_least("least", least, 1)
    at_least("seed", seed, 0)
    folder = find_units(source)
    files = _of_one_size(folder, least)
    if not files:
        raise UserError(f"no people in {folder} has {least} pictures of {SIDE}x{SIDE}; lower --least")
    order = np.random.default_rng(seed).permutation(len(files)) if count is not None else range(len(files))
    counts: dict[str, int] = {}
    seen: set[bytes] = set()
    with new_folder(out) as made:
        for done, place in enumerate(order, 1):
            if len(seen) == count:
                break
            with Image.open(files[place]) as image:
                picture = image.convert("RGBA")
            key = hashlib.sha256(picture.tobytes()).digest()
            if key not in seen and (np.asarray(picture)[..., 3] > 127).mean() >= SEEN:
                seen.add(key)
                name = files[place].relative_to(folder).with_suffix(".png")
                (made / name).parent.mkdir(parents=True, exist_ok=True)
                # Level 1: several times as fast as the default, files a little larger.
                picture.save(made / name, compress_level=1)
                counts[name.parts[0]] = counts.get(name.parts[0], 0) + 1
            if progress:
                progress(done, len(files))
        if count is not None and len(seen) < count:
            raise UserError(f"count is {count}; there are only {len(seen)} different pictures in {folder}")
        (made / "CREDITS.txt").write_text(CREDIT + "\n", encoding="utf-8")
    return counts


def find_units(source: Path | None) -> Path:
    """The folder that has a folder for each people.

    Raises:
        UserError: if there is none, saying what to install.
    """
    inner = Path("data", "core", "images", "units")
    if source is None:
        starts = [Path(place) for place in INSTALLED]
        found = [folder for start in starts for folder in (start / inner, *start.glob(f"*/{inner}")) if folder.is_dir()]
        if found:
            return max(found, key=lambda folder: [int(part) for part in re.findall(r"\d+", str(folder))])
        raise UserError(f"no units of Wesnoth in {', '.join(INSTALLED)}; {INSTALL}")
    candidates = [
        source / inner,
        *sorted(source.glob(f"**/{Path(*inner.parts[1:])}")),
        source / "images" / "units",
        source,
    ]
    for folder in candidates:
        if any(folder.glob("*/*.png")) or any(folder.glob("*/*.webp")):
            return folder
    raise UserError(f"no units of Wesnoth (data/core/images/units) in {source}; {INSTALL}")


def _of_one_size(folder: Path, least: int) -> list[Path]:
    """The pictures of 72x72, in order of their names, of peoples that have enough of them."""
    from PIL import Image

    files: list[Path] = []
    for people in sorted(path for path in folder.iterdir() if path.is_dir()):
        fitting = []
        for file in sorted(file for file in people.rglob("*") if file.suffix in (".png", ".webp")):
            try:
                with Image.open(file) as image:
                    if image.size == (SIDE, SIDE):
                        fitting.append(file)
            except OSError as error:
                raise UserError(f"cannot read {file}: {error}") from error
        files += fitting if len(fitting) >= least else []
    return files
