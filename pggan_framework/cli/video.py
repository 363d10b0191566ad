"""``pggan video RUN OUT``: animate the samples of a run over time."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pggan_framework.cli.checkpoint_arguments import (
    add_label,
    add_weights,
    checkpoint_parser,
    labels_of,
    load_plugins,
)
from pggan_framework.cli.outputs import bar, out_file
from pggan_framework.cli.parser import Parser
from pggan_framework.errors import UserError
from pggan_framework.generate.seeds import parse_seeds
from pggan_framework.runs.folders import find_folder

if TYPE_CHECKING:
    from PIL.Image import Image

    from pggan_framework.postprocessors.moving import Moving

ENDINGS: dict[str, Moving] = {".gif": "gif", ".webp": "webp", ".mp4": "mp4"}
SEEDS = "0-15"
EXAMPLES = """examples:
  pggan video latest training.gif
  pggan video results/007-piano piano.gif --fps 4 --hold 3 --caption
  pggan video results/005-cats cats.gif --of snapshots --seeds 0-8 --size 768
  pggan video results/003-notes notes.webp --of snapshots --seeds 0-3 --label pitch=60

Grids are the sample grids that the run wrote (fakes_*.png), always from the same latents; small grids are enlarged
to one size. Snapshots are the run's checkpoints, from which new samples are generated.
"""


def run(argv: Sequence[str]) -> int:
    """Run ``pggan video`` with its arguments; returns the exit status.

    Raises:
        UserError: if an argument is invalid; no files are left behind.
    """
    given = _parser().parse_args(list(argv))
    kind = _kind(given)
    folder = find_folder(given.model, Path(given.result_dir))
    from pggan_framework.cli.threads import share_cores
    from pggan_framework.postprocessors.moving import write_moving

    share_cores()
    frames = _frames(given, folder)
    with out_file(given.out) as (path,):
        count = write_moving(path, kind, frames, 1 / given.fps, max(given.hold, 1 / given.fps))
    length = (count - 1) / given.fps + max(given.hold, 1 / given.fps)
    print(f"{count} {given.of} of {folder}, {length:.2f} s\nwritten to {given.out}")
    return 0


def _parser() -> Parser:
    parser = checkpoint_parser(
        "video", "Animate the samples of a run over time.", EXAMPLES, "a run's folder, or latest"
    )
    add = parser.add_argument
    add("out", type=Path, metavar="OUT", help="new file ending in .gif, .webp or .mp4")
    add("--of", choices=("sheets", "snapshots"), default="sheets", help="source of the frames (default: sheets)")
    add("--fps", type=float, default=5.0, metavar="N", help="frames per second (default: 5)")
    add("--hold", type=float, default=2.0, metavar="S", help="seconds to show the last frame (default: 2)")
    add(
        "--size",
        type=int,
        metavar="N",
        help="longest side of grids (default: 1024), shorter side of snapshots (default: 512)",
    )
    add("--caption", action="store_true", help="write kimg below each frame and, for snapshots, the image size")
    add("--seeds", metavar="LIST", help=f"--of snapshots: seeds of the samples (default: {SEEDS})")
    add_label(parser)
    add_weights(parser)
    return parser


def _kind(given: argparse.Namespace) -> Moving:
    """Return the kind of file, after checking the flags."""
    kind = ENDINGS.get(given.out.suffix.lower())
    if kind is None:
        raise UserError(f"{given.out} is given; allowed: a file that ends in {', '.join(ENDINGS)}")
    from pggan_framework.postprocessors.moving import check_fps, check_moving

    check_moving(kind, f"{given.out}")
    check_fps(kind, given.fps)
    if not 0 <= given.hold <= 60:
        raise UserError(f"--hold is {given.hold:g}; allowed: 0 to 60 seconds")
    if given.size is not None and not 16 <= given.size <= 8192:
        raise UserError(f"--size is {given.size}; allowed: 16 to 8192 pixels")
    for flag, unset in (("seeds", None), ("label", []), ("weights", None), ("plugin_dirs", [])):
        if given.of == "sheets" and getattr(given, flag) != unset:
            raise UserError(f"--{flag} is given without --of snapshots; grids were drawn while the run continued")
    return kind


def _frames(given: argparse.Namespace, folder: Path) -> Iterator[Image]:
    from pggan_framework.generate import training_video as video

    if given.of == "sheets":
        return video.frames_of_sheets(video.sheets_of(folder), given.size or 1024, given.caption)
    seeds, labels = list(dict.fromkeys(parse_seeds(given.seeds or SEEDS))), labels_of(given.label)
    checkpoints = video.snapshots_of(folder)
    load_plugins(given)
    return video.frames_of_snapshots(
        checkpoints, seeds, labels, given.weights, given.size or 512, given.caption, bar("snapshots")
    )
