"""Drums and other short sounds, a folder a kind: the samples of Sonic Pi, from Debian's ``sonic-pi-samples``, CC0."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import numpy as np

from pggan_framework.errors import UserError, nearest
from pggan_framework.recipes import Progress, at_least, new_folder

CREDIT = "Samples of Sonic Pi (sonic-pi.net), collected from freesound.org, CC0 1.0."
"""Where they come from; CC0 asks for nothing."""
INSTALL = (
    "run 'apt-get install sonic-pi-samples' (22 MB; CC0), or unpack the package of Debian or Ubuntu with 'dpkg-deb -x'"
    " and give the folder with --from"
)
INSTALLED = Path("/usr/share/sonic-pi/samples")
"""Where Debian's package puts them."""

THINGS = "sounds"
EXAMPLE = """  apt-get install sonic-pi-samples
  pggan prepare drums datasets/drums
  pggan prepare drums datasets/loops --kinds loop ambi
"""

KINDS = ("bd", "drum", "elec", "perc", "sn", "tabla")
"""Those that are struck; ``bd`` are bass drums, ``sn`` snares."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The recipe's flags."""
    parser.add_argument(
        "--kinds",
        nargs="+",
        metavar="KIND",
        default=list(KINDS),
        help="which kinds, the beginnings of the files' names",
    )
    parser.add_argument("--count", type=int, help="how many, drawn from all; all where it is not given")
    parser.add_argument("--from", dest="source", type=Path, metavar="DIR", help="the package unpacked, or Sonic Pi")
    parser.add_argument("--seed", type=int, default=0, help="which, where --count is given")


def run(given: argparse.Namespace, progress: Progress | None) -> str:
    """Make what the flags say, and tell what it is."""
    counts = make_drums(given.out, given.kinds, given.count, given.source, given.seed, progress)
    kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(counts.items()))
    return f"{sum(counts.values())} sounds: {kinds}. {CREDIT}"


def make_drums(
    out: Path,
    kinds: list[str] | tuple[str, ...] = KINDS,
    count: int | None = None,
    source: Path | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> dict[str, int]:
    """Copy the samples as ``bd/bd_808.flac`` ... into the new folder `out`, a folder a kind, with a ``CREDITS.txt``.

    They are 44.1 kHz, mono or stereo, a tenth of a second to several seconds long.

    Args:
        out: the folder to make.
        kinds: the beginnings of the files' names, up to the first ``_``.
        count: how many; a larger count begins with the same ones. All by default.
        source: the unpacked package, Sonic Pi's folder, or its ``samples``; without it the installed package is used.
        seed: which ones, where a count is given.
        progress: called after each sample.

    Returns:
        How many there are of each kind.

    Raises:
        UserError: if the samples are not found, there is no such kind, a number is not usable, or `out` exists.
    """
    if count is not None:
        at_least("count", count, 1)
    at_least("seed", seed, 0)
    folder = find_samples(source)
    by_kind: dict[str, list[Path]] = {}
    for file in sorted(folder.glob("*_*.flac")):
        by_kind.setdefault(file.name.partition("_")[0], []).append(file)
    for kind in kinds:
        if kind not in by_kind:
            raise UserError(f"there are no samples '{kind}'{nearest(kind, by_kind)}; allowed: {', '.join(by_kind)}")
    files = [file for kind in dict.fromkeys(kinds) for file in by_kind[kind]]
    if count is not None:
        if count > len(files):
            raise UserError(f"count is {count}; there are {len(files)} samples of {', '.join(kinds)}")
        files = [files[place] for place in np.random.default_rng(seed).permutation(len(files))[:count]]
    counts: dict[str, int] = {}
    with new_folder(out) as made:
        for done, file in enumerate(files, 1):
            kind = file.name.partition("_")[0]
            (made / kind).mkdir(exist_ok=True)
            try:
                shutil.copyfile(file, made / kind / file.name)
            except OSError as error:
                raise UserError(f"cannot copy {file}: {error.strerror}") from error
            counts[kind] = counts.get(kind, 0) + 1
            if progress:
                progress(done, len(files))
        (made / "CREDITS.txt").write_text(CREDIT + "\n", encoding="utf-8")
    return counts


def find_samples(source: Path | None) -> Path:
    """The folder of samples.

    Raises:
        UserError: if there is none, saying what to install.
    """
    start = INSTALLED if source is None else source
    for inner in (
        ".",
        "usr/share/sonic-pi/samples",
        "share/sonic-pi/samples",
        "sonic-pi/samples",
        "etc/samples",
        "samples",
    ):
        if any((start / inner).glob("*_*.flac")):
            return start / inner
    raise UserError(f"no samples of Sonic Pi (bd_808.flac ...) in {start}; {INSTALL}")
