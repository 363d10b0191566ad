"""``pggan inspect DATA``: examine data before training, and the best quality possible with the codec."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pggan_framework.errors import UserError, nearest

if TYPE_CHECKING:
    from pggan_framework.config import Config
    from pggan_framework.inspection import Decoding
    from pggan_framework.planning.choose import Choice

DESCRIPTION = """Examine data before training: counts, lengths, levels, cut or omitted parts, and the codec's
reconstruction
error. Original and decoded images and sounds are written to a new folder for comparison.

DATA is a folder of recordings or of images, a prepared .h5 file or a config file."""
EXAMPLES = """DATA comes first. For a folder, the settings are those that 'pggan train DATA' would choose, so the result
shows the data as training sees them; with --dataset_class or --config, they are those of 'pggan train' without a
folder.
All training flags are accepted.

examples:
  pggan inspect datasets/piano
  pggan inspect datasets/photos --DefaultImageFolderDataset.size 64 --DefaultImageFolderDataset.resize crop
  pggan inspect configs/piano.yaml --SoundImageDataset.img_mode if
"""
PATHS = {
    "SoundImageDataset": "dir_path",
    "DefaultImageFolderDataset": "dir_path",
    "LabelMapDataset": "image_dir",
    "OldH5Dataset": "h5_path",
}
"""The datasets that can read DATA without a config file, with the parameter for DATA."""
H5 = (".h5", ".hdf5")
YAML = (".yaml", ".yml")


@dataclass(frozen=True)
class Given:
    """The parsed command line.

    Args:
        data: folder, prepared file or config file.
        out: output folder, if given.
        clips: number of clips to decode and draw.
        max_clips: largest number of clips to measure.
        rest: remaining arguments, for the config.
    """

    data: Path
    out: Path | None
    clips: int
    max_clips: int
    rest: list[str]


def run(argv: Sequence[str]) -> int:
    """Print properties of the data, and write images and sounds; returns the exit status.

    Raises:
        UserError: if the data or a flag cannot be used; no files are written.
    """
    if "-h" in argv or "--help" in argv:
        sys.stdout.write(_parser().format_help())
        return 0
    given = _parse(argv)
    from pggan_framework.cli.threads import share_cores
    from pggan_framework.config import resolve
    from pggan_framework.recipes import new_folder

    share_cores()
    choice = _planned(given)
    base: dict[str, Any] = {"plugin_dirs": []}
    for name, value in (choice.config if choice else {}).items():
        # Only a part of the data is examined.
        base[name] = {**value, "preload": False} if isinstance(value, dict) and "preload" in value else value
    # A dry run, so that save_dataset in the config has no effect. The plugins in the config are loaded.
    config = resolve([*_dataset_words(given), *given.rest, "--dry_run"], base=base)
    if config.general.resume:
        raise UserError("inspect takes no --resume; inspect the run's config.yaml instead")
    name = given.data.stem if given.data.is_file() else given.data.resolve().name
    result_dir = Path(config.general.result_dir)
    out = given.out or next(path for path in _numbered(result_dir / f"inspect-{name}") if not path.exists())
    from pggan_framework.inspection import inspect_data
    from pggan_framework.launch.build import build_dataset

    dataset = build_dataset(config)
    found = inspect_data(dataset, str(given.data), _decoding(config), given.clips, given.max_clips)
    if choice:
        print("\n".join(choice.lines), end="\n\n")
    sys.stdout.write(found.report.text())
    try:
        with new_folder(out) as folder:
            found.write(folder)
    except OSError as error:
        raise UserError(f"cannot write to {out}: {error.strerror or error}") from error
    print(f"\nwritten to {out}: {_listed(found.files)}")
    return 0


def _parser() -> argparse.ArgumentParser:
    from pggan_framework.cli.parser import Parser

    parser = Parser(
        "inspect",
        DESCRIPTION,
        EXAMPLES,
        usage="pggan inspect DATA [--config FILE] [--ClassName.parameter VALUE ...] [--out DIR] [--clips N]"
        " [--max_clips N]",
        add_help=False,
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="new output folder (default: results/inspect-NAME)")
    parser.add_argument(
        "--clips", type=int, metavar="N", default=4, help="number of clips to decode and draw (default: 4)"
    )
    parser.add_argument(
        "--max_clips",
        type=int,
        metavar="N",
        default=200,
        help="number of clips to measure, evenly spaced (default: 200)",
    )
    return parser


def _parse(argv: Sequence[str]) -> Given:
    """Parse the command line, and check the flags of this command."""
    from pggan_framework.config.arguments import COMMAND_FLAGS, GENERAL_FLAGS

    if not argv or argv[0].startswith("-"):
        raise UserError("inspect needs DATA as its first argument: a folder, a prepared .h5 or a config file; see -h")
    own, rest = _parser().parse_known_args(list(argv[1:]))
    known = [*vars(own), *GENERAL_FLAGS, *(flag for flag in COMMAND_FLAGS if flag == "config")]
    for word in rest:
        flag = word[2:].partition("=")[0]
        if word.startswith("--") and "." not in flag and flag not in known:
            raise UserError(f"unknown flag --{flag}{nearest(f'--{flag}', [f'--{name}' for name in known])}; see -h")
    for flag in ("clips", "max_clips"):
        if getattr(own, flag) < 1:
            raise UserError(f"--{flag} {getattr(own, flag)} is not allowed; allowed: 1 or more")
    data, out = Path(argv[0]), own.out
    if not data.exists():
        siblings = [str(path) for path in data.parent.iterdir()] if data.parent.is_dir() else []
        raise UserError(f"{data} does not exist{nearest(str(data), siblings)}")
    if out is not None and out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"--out {out} exists already and is not empty; give a new folder, or remove it first")
    return Given(data, out, own.clips, own.max_clips, rest)


def _planned(given: Given) -> Choice | None:
    """Return the settings that ``pggan train DATA`` would choose; None if the flags select the dataset."""
    from pggan_framework.config.arguments import parse_argv
    from pggan_framework.planning.command import plan_folder

    line = parse_argv(given.rest)
    own = {"dataset_class", "resume", "load_dataset"} & {setting.dotted for setting in line.settings}
    return None if own or line.configs or not given.data.is_dir() else plan_folder(str(given.data), given.rest)


def _dataset_words(given: Given) -> list[str]:
    """Return the flags that DATA implies."""
    from pggan_framework.planning.survey import folder_kind

    data = given.data
    if data.is_file() and data.suffix.lower() in YAML:
        return ["--config", str(data)]
    if data.is_file():
        if data.suffix.lower() not in H5:
            raise UserError(f"{data} is not data; allowed: a folder, a prepared file (.h5), a config file (.yaml)")
        name = "OldH5Dataset"
    else:
        name = _chosen(given.rest) or folder_kind(data)
    if name not in PATHS:
        raise UserError(
            f"dataset_class {name} takes no folder from inspect; allowed: {', '.join(PATHS)}, or a config file as DATA"
        )
    return ["--dataset_class", name, f"--{name}.{PATHS[name]}", str(data)]


def _chosen(words: Sequence[str]) -> str | None:
    """Return the dataset selected on the command line."""
    from pggan_framework.config.arguments import parse_argv

    found = [str(s.value) for s in parse_argv(words).settings if s.dotted == "dataset_class"]
    return found[-1] if found else None


def _decoding(config: Config) -> Decoding:
    """Return the decoding settings of SoundSaver with this configuration."""
    from pggan_framework.inspection import Decoding

    saver = config.components.get("SoundSaver", {})
    names = ("griffin_lim_iter", "phase_start", "refine_iter", "seed")
    return replace(Decoding(), **{name: saver[name] for name in names if name in saver})


def _numbered(path: Path) -> Iterator[Path]:
    """Yield ``inspect-piano``, ``inspect-piano-2``, ``inspect-piano-3`` ..."""
    yield path
    number = 2
    while True:
        yield path.with_name(f"{path.name}-{number}")
        number += 1


def _listed(names: Sequence[str]) -> str:
    shown = [name for name in names if not name.startswith("clip_")]
    clips = sorted(name for name in names if name.startswith("clip_"))
    return ", ".join([*shown, *([f"{clips[0]} to {clips[-1]}"] if clips else [])])
