"""Drums and other short sounds, one folder per kind: Sonic Pi's samples from Debian's ``sonic-pi-samples``, CC0."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pggan_framework.errors import UserError, nearest
from pggan_framework.recipes import Progress, at_least, new_folder

CREDIT = "Samples of Sonic Pi (sonic-pi.net), collected from freesound.org, CC0 1.0."
"""The source of the samples; CC0 requires no credit."""
INSTALL = (
    "run 'apt-get install sonic-pi-samples' (22 MB; CC0), or unpack the package of Debian or Ubuntu with 'dpkg-deb -x'"
    " and give the folder with --from"
)
INSTALLED = Path("/usr/share/sonic-pi/samples")
"""The folder of the Debian package."""

THINGS = "sounds"
EXAMPLE = """  apt-get install sonic-pi-samples
  pggan prepare drums datasets/drums
  pggan prepare drums datasets/loops --kinds loop ambi
"""

KINDS = ("bd", "drum", "elec", "perc", "sn", "tabla")
"""Percussive kinds; ``bd`` are bass drums, ``sn`` snares."""


def summary(_: argparse.Namespace, made: dict[str, int]) -> str:
    """Describe what was created with these flags."""
    kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(made.items()))
    return f"{sum(made.values())} sounds: {kinds}. {CREDIT}"


def make_drums(
    out: Path,
    kinds: Sequence[str] = KINDS,
    count: int | None = None,
    source: Path | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> dict[str, int]:
    """Copy the samples as ``bd/bd_808.flac`` ... into the new folder `out`, a folder per kind, with a ``CREDITS.txt``.

    The samples are 44.1 kHz, mono or stereo, and a tenth of a second to several seconds long.

    Args:
        out: the folder to create.
        kinds: prefixes of the files' names, up to the first ``_``.
        count: number of samples; a larger count extends the selection (default: all).
        source: the unpacked package, Sonic Pi's folder, or its ``samples`` (default: the installed package).
        seed: random seed of the selection by `count`.
        progress: called after each sample.

    Returns:
        The number of samples of each kind.

    Raises:
        UserError: if the samples are missing, a kind does not exist, a number is invalid, or `out` exists.
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
        UserError: if there is none; the message says what to install.
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
