"""``pggan prepare``: make a folder of pictures or sounds to train on."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from pggan_framework.cli.parser import Parser
from pggan_framework.errors import UserError, nearest

EXAMPLES = """examples:
  pip install robohash==2.0
  pggan prepare cats datasets/cats --count 3000 --size 64
  apt-get install fluidsynth fluid-soundfont-gm
  pggan prepare notes datasets/notes --count 1000 --seconds 4 --rate 16000
  apt-get install dataset-fashion-mnist
  pggan prepare fashion datasets/fashion
  npm install --prefix avatars_npm @dicebear/core@9 @dicebear/toon-head@9 @resvg/resvg-js@2
  pggan prepare avatars datasets/avatars --count 2000 --size 64 --from avatars_npm
"""


def run(argv: Sequence[str]) -> int:
    """Run ``pggan prepare`` with the words that follow it.

    Returns:
        The exit status.

    Raises:
        UserError: if something given is not usable, or a package is missing.
    """
    commands, parser = _parsers()
    name = argv[0] if argv else ""
    if not argv or (not name.startswith("-") and name not in commands):
        what = f"unknown recipe '{name}'{nearest(name, commands)}" if argv else "no recipe is given"
        raise UserError(f"{what}; allowed: {', '.join(commands)}; see 'pggan prepare -h'")
    try:
        given = parser.parse_args(list(argv))
    except SystemExit as stop:  # -h has printed the help
        return int(stop.code or 0)
    done = {"cats": _cats, "notes": _notes, "fashion": _fashion, "avatars": _avatars}[given.recipe](given)
    print(f"{given.out}: {done}")
    return 0


def _parsers() -> tuple[list[str], argparse.ArgumentParser]:
    """The recipes' names and the parser for all of them."""
    plain = argparse.RawDescriptionHelpFormatter
    parser = Parser(
        prog="pggan prepare",
        description="Make a folder of pictures or sounds to train on.",
        epilog=EXAMPLES,
        formatter_class=plain,
        allow_abbrev=False,
    )
    recipes = parser.add_subparsers(dest="recipe", metavar="RECIPE", required=True)

    cats = recipes.add_parser(
        "cats",
        help="cartoon cats, PNG (art: David Revoy, CC-BY-4.0, from the package robohash)",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        allow_abbrev=False,
    )
    cats.add_argument("out", metavar="OUT", type=Path, help="the folder to make")
    cats.add_argument("--count", type=int, default=3000, help="how many, up to 360000")
    cats.add_argument("--size", type=int, default=64, help="side in pixels")
    cats.add_argument("--from", dest="source", type=Path, metavar="DIR", help="the unpacked package, if not installed")
    cats.add_argument("--background", default="white", help="a name, or #rrggbb")
    cats.add_argument("--seed", type=int, default=0, help="which cats")

    notes = recipes.add_parser(
        "notes",
        help="single notes of known pitch, WAV (needs fluidsynth and a General MIDI soundfont)",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        allow_abbrev=False,
    )
    notes.add_argument("out", metavar="OUT", type=Path, help="the folder to make")
    notes.add_argument("--count", type=int, default=1000, help="how many")
    notes.add_argument("--seconds", type=float, default=4.0, help="length of a clip")
    notes.add_argument("--rate", type=int, default=16000, help="sample rate in Hz, 8000 to 96000")
    ends = ("LOW", "HIGH")
    notes.add_argument("--pitches", type=int, nargs=2, metavar=ends, default=(48, 83), help="MIDI; 60 is middle C")
    notes.add_argument("--velocities", type=int, nargs=2, metavar=ends, default=(60, 120), help="MIDI, 1 to 127")
    notes.add_argument("--program", type=int, default=0, help="General MIDI instrument, 0 (grand piano) to 127")
    notes.add_argument("--soundfont", type=Path, metavar="FILE", help="an .sf2 or .sf3 file other than Debian's")
    notes.add_argument("--seed", type=int, default=0, help="which notes")

    fashion = recipes.add_parser(
        "fashion",
        help="clothes in ten classes, grey PNG of 32x32, a folder a class (Fashion-MNIST, MIT, from a Debian package)",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        allow_abbrev=False,
    )
    fashion.add_argument("out", metavar="OUT", type=Path, help="the folder to make")
    fashion.add_argument("--count", type=int, help="how many, the first ones of the 60000; all where it is not given")
    fashion.add_argument(
        "--from", dest="source", type=Path, metavar="DIR", help="the unpacked package, if not installed"
    )

    avatars = recipes.add_parser(
        "avatars",
        help="cartoon faces with label maps, PNG (art: ToonHead by Johan Melin, CC BY 4.0; needs node)",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        allow_abbrev=False,
    )
    avatars.add_argument("out", metavar="OUT", type=Path, help="the folder to make: images/ and labels/")
    avatars.add_argument("--count", type=int, default=2000, help="how many pairs")
    avatars.add_argument("--size", type=int, default=64, help="side in pixels")
    avatars.add_argument("--from", dest="source", type=Path, metavar="DIR", help="the folder with node_modules")
    avatars.add_argument("--background", default="white", help="a name, or #rrggbb")
    avatars.add_argument("--seed", type=int, default=0, help="which faces")
    return list(recipes.choices), parser


def _cats(given: argparse.Namespace) -> str:
    from pggan_framework.recipes.cats import CREDIT, make_cats

    make_cats(
        given.out, given.count, given.size, given.source, given.seed, given.background, progress=_progress("cats")
    )
    return f"{given.count} cats of {given.size}x{given.size}. {CREDIT}"


def _notes(given: argparse.Namespace) -> str:
    from pggan_framework.recipes.notes import make_notes

    clipped = make_notes(
        given.out,
        given.count,
        given.seconds,
        given.rate,
        (given.pitches[0], given.pitches[1]),
        (given.velocities[0], given.velocities[1]),
        given.program,
        given.soundfont,
        given.seed,
        progress=_progress("notes"),
    )
    warning = f"; {clipped} samples are clipped" if clipped else ""
    return f"{given.count} notes of {given.seconds} s at {given.rate} Hz{warning}"


def _fashion(given: argparse.Namespace) -> str:
    from pggan_framework.recipes.fashion import CREDIT, make_fashion

    written = make_fashion(given.out, given.count, given.source, progress=_progress("pictures"))
    return f"{written} pictures of 32x32. {CREDIT}"


def _avatars(given: argparse.Namespace) -> str:
    from pggan_framework.recipes.avatars import CLASSES, CREDIT, make_avatars

    make_avatars(
        given.out, given.count, given.size, given.source, given.seed, given.background, progress=_progress("faces")
    )
    return f"{given.count} pairs of {given.size}x{given.size}, classes {', '.join(CLASSES)}. {CREDIT}"


def _progress(what: str) -> Callable[[int, int], None] | None:
    """A counter on the terminal; nothing elsewhere."""
    if not sys.stderr.isatty():
        return None

    def show(done: int, total: int) -> None:
        if done == total or done % 50 == 0:
            print(f"\r{done} of {total} {what}", end="\n" if done == total else "", file=sys.stderr, flush=True)

    return show
