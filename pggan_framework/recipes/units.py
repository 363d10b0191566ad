"""Pixel art of creatures and soldiers, one folder per race: the units of The Battle for Wesnoth.

The images are by many artists, under GPL-2 or later. A Debian package and every installation of the game contain them.
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
"""The credit that must accompany the images."""
INSTALL = (
    "run 'apt-get install wesnoth-1.16-data' (146 MB; GPL-2 or later), or unpack the package of Debian or Ubuntu with"
    " 'dpkg-deb -x' and give the folder with --from"
)
INSTALLED = (
    "/usr/share/games/wesnoth",
    "/usr/share/wesnoth",
    "/usr/local/share/wesnoth",
)
"""The folders of packages; that of Debian has a folder per version of the game."""

THINGS = "pictures"
EXAMPLE = """  apt-get install wesnoth-1.16-data
  pggan prepare units datasets/units
  apt-get download wesnoth-1.16-data && dpkg-deb -x wesnoth-1.16-data*.deb wesnoth
  pggan prepare units datasets/units --from wesnoth
"""

SIDE = 72
"""Side in pixels of a field of the game; larger images show units that extend beyond their field."""
SEEN = 0.05
"""An image with a smaller opaque fraction is a flame, a shadow, or the last frame of a unit that fades out."""


def summary(_: argparse.Namespace, made: dict[str, int]) -> str:
    """Describe what was created with these flags."""
    races = ", ".join(f"{name} {count}" for name, count in sorted(made.items()))
    return f"{sum(made.values())} images of {SIDE}x{SIDE} with transparency: {races}. {CREDIT}"


def make_units(
    out: Path,
    count: int | None = None,
    least: int = 50,
    source: Path | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> dict[str, int]:
    """Write ``orcs/grunt-attack-1.png`` ... and a ``CREDITS.txt`` into the new folder `out`, one folder per race.

    The images are the game's, unchanged: 72x72 with transparency; magenta marks the player's colour. Other sizes,
    duplicates, and images that are less than a twentieth opaque are omitted.

    Args:
        out: the folder to create.
        count: number of images; a larger count extends the selection (default: all).
        least: a race with fewer images is omitted.
        source: the unpacked package, the game's folder, or its ``units`` (default: the newest installed one).
        seed: random seed of the selection by `count`.
        progress: called after each examined image.

    Returns:
        The number of images of each race.

    Raises:
        UserError: if the game is missing, a number is invalid, or `out` exists.
    """
    from PIL import Image

    if count is not None:
        at_least("count", count, 1)
    at_least("least", least, 1)
    at_least("seed", seed, 0)
    folder = find_units(source)
    files = _of_one_size(folder, least)
    if not files:
        raise UserError(f"no race in {folder} has {least} images of {SIDE}x{SIDE}; lower --least")
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
                # Level 1: several times as fast as the default, files slightly larger.
                picture.save(made / name, compress_level=1)
                counts[name.parts[0]] = counts.get(name.parts[0], 0) + 1
            if progress:
                progress(done, len(files))
        if count is not None and len(seen) < count:
            raise UserError(f"count is {count}; there are only {len(seen)} different images in {folder}")
        (made / "CREDITS.txt").write_text(CREDIT + "\n", encoding="utf-8")
    return counts


def find_units(source: Path | None) -> Path:
    """Find the folder with one folder per race.

    Raises:
        UserError: if there is none; the message says what to install.
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
    """The images of 72x72, sorted by name, of races with enough images."""
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
