"""Cartoon faces with label maps: Johan Melin's ToonHead, drawn by DiceBear, each face twice.

The second drawing has one colour per part, which gives the class of every pixel. ToonHead is CC BY 4.0; DiceBear is
MIT, resvg-js MPL-2.0.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pggan_framework.errors import UserError
from pggan_framework.recipes import Progress, check_drawn, new_folder

CREDIT = "Faces: ToonHead by Johan Melin (www.johanmelin.com), CC BY 4.0, remixed by DiceBear (www.dicebear.com)."
"""The credit that must accompany the images."""

THINGS = "faces"
EXAMPLE = """  npm install --prefix avatars_npm @dicebear/core@9 @dicebear/toon-head@9 @resvg/resvg-js@2
  pggan prepare avatars datasets/avatars --count 2000 --size 64 --from avatars_npm
"""

PACKAGES = ("@dicebear/core", "@dicebear/toon-head", "@resvg/resvg-js")
INSTALL = (
    "run 'npm install --prefix DIR @dicebear/core@9 @dicebear/toon-head@9 @resvg/resvg-js@2' (10 MB; MIT, its drawings"
    " CC BY 4.0, MPL-2.0) and give --from DIR"
)
NODE = "install Node.js 18 or later, on Debian with 'apt-get install nodejs npm'"

CLASSES: dict[str, tuple[int, int, int]] = {
    "background": (255, 0, 255),
    "skin": (0, 255, 0),
    "hair": (0, 0, 255),
    "clothes": (255, 255, 0),
    "white": (246, 241, 228),
    "dark": (63, 30, 30),
}
"""The classes by index, and their colours in the drawn maps; the last two occur in the drawings themselves."""

FINER = 4
"""Supersampling factor of the maps; a pixel's class is the most frequent one in it."""

# Runs in node, in the folder of the modules, where node resolves the imports.
SCRIPT = """
import { createAvatar } from '@dicebear/core';
import * as toonHead from '@dicebear/toon-head';
import { Resvg } from '@resvg/resvg-js';
import { writeFileSync } from 'node:fs';
const { seed, count, size, finer, background, paper, colours, out } = JSON.parse(process.argv.at(-1));
const draw = (file, svg, width, background, shapeRendering) => {
  const options = { background, shapeRendering, fitTo: { mode: 'width', value: width } };
  writeFileSync(`${out}/${file}`, new Resvg(svg, options).render().asPng());
};
for (let index = 1; index <= count; index++) {
  const name = String(index).padStart(5, '0') + '.png';
  const options = { seed: `${seed}-${index}` };
  draw(`images/${name}`, createAvatar(toonHead, options).toString(), size, background, 2);
  draw(`labels/${name}`, createAvatar(toonHead, { ...options, ...colours }).toString(), size * finer, paper, 0);
  console.log(index);
}
"""


def summary(given: argparse.Namespace, made: int) -> str:
    """Describe what was created with these flags."""
    return f"{made} pairs of {given.size}x{given.size}, classes {', '.join(CLASSES)}. {CREDIT}"


def make_avatars(
    out: Path,
    count: int = 2000,
    size: int = 64,
    source: Path | None = None,
    seed: int = 0,
    background: str = "white",
    progress: Progress | None = None,
) -> int:
    """Write ``images/00001.png`` ..., their maps ``labels/00001.png`` ... and ``CREDITS.txt`` into a new folder.

    The same seed gives the same faces; a larger count extends them. A map is a PNG with a palette, whose indices are
    those of `CLASSES`.

    Args:
        out: the folder to create.
        count: number of faces.
        size: side of the square images, in pixels.
        source: the folder with ``node_modules`` (default: the current folder).
        seed: random seed of the faces.
        background: background colour, such as ``white`` or ``#a0b0c0``.
        progress: called after each face.

    Returns:
        The number of pairs.

    Raises:
        UserError: if node or a module is missing, a number or the colour is invalid, or `out` exists.
    """
    from PIL import Image

    paper = check_drawn(count, size, seed, background)
    node, modules = _node(), _modules(source)
    with new_folder(out) as folder:
        for name in ("images", "labels"):
            (folder / name).mkdir()
        order = {
            "seed": seed,
            "count": count,
            "size": size,
            "finer": FINER,
            "background": _hex(paper, "#"),
            "paper": _hex(CLASSES["background"], "#"),
            "colours": {f"{part}Color": [_hex(CLASSES[part])] for part in ("skin", "hair", "clothes")},
            "out": str(folder.resolve()),
        }
        _draw([node, "--input-type=module", "--eval", SCRIPT, "--", json.dumps(order)], modules, count, progress)
        palette = [level for colour in CLASSES.values() for level in colour]
        for file in sorted((folder / "labels").iterdir()):
            with Image.open(file) as drawn:
                numbers = snap(np.asarray(drawn.convert("RGB")), FINER)
            snapped = Image.fromarray(numbers)
            snapped.putpalette(palette)
            snapped.save(file)
        (folder / "CREDITS.txt").write_text(CREDIT + "\n", encoding="utf-8")
    return count


def snap(pixels: NDArray[np.uint8], finer: int) -> NDArray[np.uint8]:
    """Convert a drawing [H * finer, W * finer, 3] in the classes' colours, possibly shaded, to class indices [H, W].

    Each pixel gets the nearest colour's class, and each box of finer x finer pixels its most frequent class.
    """
    colours = np.array(list(CLASSES.values()), dtype=np.int64)
    distance = np.square(pixels[..., None, :].astype(np.int64) - colours).sum(-1)
    boxes = distance.argmin(-1).reshape(pixels.shape[0] // finer, finer, pixels.shape[1] // finer, finer)
    counts = (boxes[..., None] == np.arange(len(colours))).sum((1, 3))
    numbers: NDArray[np.uint8] = counts.argmax(-1).astype(np.uint8)
    return numbers


def _node() -> str:
    node = shutil.which("node")
    if node is None:
        raise UserError(f"node, which draws the faces, is not installed; {NODE}")
    return node


def _modules(source: Path | None) -> Path:
    folder = Path.cwd() if source is None else source
    folder = folder.parent if folder.name == "node_modules" else folder
    missing = [package for package in PACKAGES if not (folder / "node_modules" / package).is_dir()]
    if missing:
        raise UserError(f"no {', '.join(missing)} in {folder / 'node_modules'}; {INSTALL}")
    return folder


def _draw(command: list[str], modules: Path, count: int, progress: Progress | None) -> None:
    """Run node, which prints the index of each finished face."""
    with subprocess.Popen(
        command, cwd=modules, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        for done, _ in enumerate(process.stdout, 1):
            if progress:
                progress(done, count)
        said = process.stderr.read().strip()
    if process.returncode:
        lines = [line.strip() for line in said.splitlines() if "Error" in line] or [said[-200:] or "no message"]
        raise UserError(f"node cannot draw the faces: {lines[0]}; {NODE}; {INSTALL}")


def _hex(colour: tuple[int, ...], sign: str = "") -> str:
    return sign + "".join(f"{level:02x}" for level in colour)
