"""``pggan prepare``: pack images into one training file, or build a data set by a recipe."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from inspect import signature
from pathlib import Path
from types import ModuleType, NoneType
from typing import Any, get_args, get_origin, get_type_hints

from pggan_framework.cli.parser import Parser
from pggan_framework.config.parameters import helps_of
from pggan_framework.data.images.files import MOST_PIXELS
from pggan_framework.errors import UserError, nearest
from pggan_framework.recipes import RECIPES

EXAMPLES = """examples:
  pggan prepare datasets/photos datasets/photos.h5 --size 64 --resize crop
  pggan prepare photos.zip datasets/photos.h5 --size 256 --resize pad --background black --mirror
  pggan prepare datasets/animals datasets/animals.h5 --labels folder
  pggan prepare datasets/cats datasets/cats32.h5 --size 32 --resize stretch --filter box --colour L
  pggan prepare photos.zip datasets/photos.h5 --size 256 --resize crop --shards 16
  pggan prepare photos.tar.gz datasets/faces.h5 --crop 25 50 128 128 --size 64 --resize stretch
  python train.py --config datasets/photos.yaml
"""


def run(argv: Sequence[str]) -> int:
    """Run ``pggan prepare`` with its arguments.

    Returns:
        The exit status.

    Raises:
        UserError: if an argument is invalid, or a package is missing.
    """
    name = argv[0] if argv else ""
    if name in RECIPES:
        return _recipe(name, argv[1:])
    if not argv:
        raise UserError(f"no recipe or source is given; recipes: {', '.join(RECIPES)}; see 'pggan prepare -h'")
    if not name.startswith("-") and not Path(name).exists():
        raise UserError(
            f"unknown recipe '{name}'{nearest(name, RECIPES)}, and not a file or folder; recipes: {', '.join(RECIPES)};"
            " see 'pggan prepare -h'"
        )
    given = source_parser().parse_args(list(argv))
    return _prepare(given)


def _prepare(given: argparse.Namespace) -> int:
    """Prepare the images of a source."""
    from pggan_framework.data.images.plan import Options
    from pggan_framework.data.sources.base import LabelChoice
    from pggan_framework.recipes.preparing import beside, prepare

    options = Options(
        size=_pair("size", given.size),
        resize=given.resize,
        crop=_crop(given.crop),
        filter=given.filter,
        colour=given.colour,
        background=given.background,
        mirror=given.mirror,
        max_images=given.max_images,
        seed_shape=None if given.seed_shape is None else (given.seed_shape[0], given.seed_shape[1]),
        depth_offset=given.depth_offset,
        bad_files=given.bad_files,
        max_pixels=given.max_pixels,
    )
    labels = LabelChoice(
        given.labels, given.labels_csv, given.labels_pattern, given.labels_json, given.continuous_labels
    )
    report = prepare(given.source, given.out, options, labels, given.jobs, given.overwrite, given.shards)
    width = max(map(len, report["summary"]))
    for name, value in report["summary"].items():
        print(f"{name:<{width}}  {value}")
    summary, picture, config = beside(given.out)
    files = [given.out.name, *report.get("shards", [])]
    shards = f"; its images in {files[1]} to {files[-1]}" if len(files) > 2 else "".join(f"; {x}" for x in files[1:])
    print(f"{given.out}{shards}; next to it {summary.name}, {picture.name}")
    print(f"train on it: python train.py --config {config}")
    return 0


def source_parser() -> argparse.ArgumentParser:
    """Build the parser of ``pggan prepare SOURCE OUT.h5``."""
    recipes = "\n".join(f"  {name:<10} {words}" for name, words in RECIPES.items())
    parser = Parser(
        "prepare",
        "Pack images into one training file, at every size of the growing networks. SOURCE is a folder,\n"
        "a zip or tar, or a data set's own file (HDF5, TFRecords, StyleGAN2-ADA, CelebA, MNIST, CIFAR).\n"
        "If interrupted, the same command resumes.",
        f"{EXAMPLES}\nrecipes, each of which builds a folder ('pggan prepare RECIPE -h'):\n{recipes}",
        usage="pggan prepare SOURCE OUT.h5 [options]\n       pggan prepare RECIPE OUT [options]",
        formatter_class=_Formatter,
    )
    add = parser.add_argument
    add("source", metavar="SOURCE", type=Path, help="source of the images; type ./NAME if a recipe has the same name")
    add("out", metavar="OUT.h5", type=Path, help="new file; OUT.json, OUT.png and OUT.yaml are written next to it")
    add(
        "--size",
        type=int,
        nargs="+",
        metavar="N",
        help="side, or height and width, of the images; by default, no image is enlarged",
    )
    add(
        "--resize",
        choices=("none", "stretch", "crop", "pad"),
        default="none",
        help="handling of images of other sizes; none reports an error, pad adds background",
    )
    add(
        "--crop",
        type=int,
        nargs="+",
        metavar="N",
        help="crop before resizing: X Y WIDTH HEIGHT, or the side of a central square",
    )
    filters = ("lanczos", "bicubic", "hamming", "bilinear", "box", "nearest")
    add("--filter", choices=filters, default="lanczos", help="resampling filter")
    add("--colour", choices=("RGB", "L", "RGBA"), default="RGB", help="channels of the images; L is grey")
    add("--background", default="white", help="colour behind transparency and padding: name or #rrggbb")
    add("--mirror", action="store_true", help="add the mirror image of each image")
    add("--max_images", type=int, metavar="N", help="use only the first N images")
    add(
        "--labels",
        nargs="+",
        metavar="NAME",
        help="labels to condition networks on: folder, class, a column name ...",
    )
    add("--labels_csv", type=Path, metavar="FILE", help="CSV table of labels by file name")
    add("--labels_json", type=Path, metavar="FILE", help="labels as JSON, or StyleGAN2-ADA's dataset.json")
    add("--labels_pattern", metavar="REGEX", help="regular expression whose named groups match labels in file names")
    add("--continuous_labels", nargs="+", metavar="NAME", help="names of continuous labels")
    add("--seed_shape", type=int, nargs=2, metavar=("H", "W"), help="image size at depth 0, instead of --depth_offset")
    add("--depth_offset", type=int, default=2, help="log2 of the shorter side of the images at depth 0")
    add(
        "--shards",
        type=int,
        metavar="N",
        help="number of files to split the images into; OUT.h5 is their index",
    )
    add("--jobs", type=int, metavar="N", help="number of processes; by default, the number of processors")
    add(
        "--bad_files",
        choices=("skip", "error"),
        default="skip",
        help="handling of unreadable images: report and skip them, or fail",
    )
    add("--max_pixels", type=int, default=MOST_PIXELS, metavar="N", help="largest number of pixels of an image")
    add("--overwrite", action="store_true", help="replace existing files, once all new files are written")
    return parser


def _pair(name: str, given: list[int] | None) -> tuple[int, int] | None:
    """Parse a side, or height and width."""
    if given is None:
        return None
    if len(given) > 2:
        raise UserError(f"--{name} is {' '.join(map(str, given))}; allowed: a side, or a height and a width")
    return given[0], given[-1]


def _crop(given: list[int] | None) -> tuple[int, int, int, int] | int | None:
    """Parse a box, or the side of a central square."""
    if given is None:
        return None
    if len(given) not in (1, 4) or min(given[-2:]) < 1:
        raise UserError(
            f"--crop is {' '.join(map(str, given))}; allowed: x, y, width and height, or the side of a square"
        )
    return given[0] if len(given) == 1 else (given[0], given[1], given[2], given[3])


def _recipe(name: str, argv: Sequence[str]) -> int:
    """Build a folder by a recipe."""
    recipe = import_module(f"pggan_framework.recipes.{name}")
    given = recipe_parser(name, recipe).parse_args(list(argv))
    flags = {flag: tuple(value) if isinstance(value, list) else value for flag, value in vars(given).items()}
    made = _maker(name, recipe)(**flags, progress=_counter(recipe.THINGS))
    print(f"{given.out}: {recipe.summary(given, made)}")
    return 0


def _maker(name: str, recipe: ModuleType) -> Callable[..., Any]:
    """Return the function of a recipe that creates its folder."""
    make: Callable[..., Any] = getattr(recipe, f"make_{name}")
    return make


def recipe_parser(name: str, recipe: ModuleType) -> argparse.ArgumentParser:
    """Build the parser of a recipe; see `pggan_framework.recipes` for the contents of its module."""
    parser = Parser(
        f"prepare {name}",
        f"Make {RECIPES[name]}.",
        f"examples:\n{recipe.EXAMPLE}",
        formatter_class=_Formatter,
    )
    make = _maker(name, recipe)
    kinds, helps = get_type_hints(make), helps_of(make.__doc__ or "")
    for flag, parameter in signature(make).parameters.items():
        kind: Any = next((kind for kind in get_args(kinds[flag]) if kind is not NoneType), kinds[flag])
        if flag == "out":
            parser.add_argument(flag, metavar="OUT", type=Path, help=helps[flag])
        elif flag != "progress":
            more: dict[str, Any] = {"type": kind, "metavar": "PATH" if kind is Path else kind.__name__.upper()}
            if get_origin(kinds[flag]) is tuple:
                more |= {"nargs": 2, "metavar": ("LOW", "HIGH")}
            elif get_origin(kinds[flag]) is Sequence:
                more |= {"nargs": "+", "metavar": flag.removesuffix("s").upper()}
            option = "--from" if flag == "source" else f"--{flag}"
            text = helps[flag].replace("`", "").replace("%", "%%")
            parser.add_argument(option, dest=flag, default=parameter.default, help=text, **more)
    return parser


class _Formatter(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Shows existing defaults, and keeps the line breaks of examples."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        return action.help if action.default in (None, False) else super()._get_help_string(action)


def _counter(what: str) -> Callable[[int, int], None] | None:
    """Return a counter for the terminal; None elsewhere."""
    if not sys.stderr.isatty():
        return None

    def show(done: int, total: int) -> None:
        if done == total or done % 50 == 0:
            print(f"\r{done} of {total} {what}", end="\n" if done == total else "", file=sys.stderr, flush=True)

    return show
