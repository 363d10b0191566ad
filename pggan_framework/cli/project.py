"""``pggan project``: find the latent of a given image or sound."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pggan_framework.cli.checkpoint_arguments import (
    add_depth,
    add_weights,
    checkpoint_parser,
    labels_of,
    load_model,
)
from pggan_framework.cli.outputs import bar, out_folder
from pggan_framework.cli.parser import Parser
from pggan_framework.errors import UserError, plural
from pggan_framework.labels.attributes import number
from pggan_framework.labels.maps import MAP, MapSpace
from pggan_framework.runs.folders import find_checkpoint

if TYPE_CHECKING:
    from pggan_framework.generate.player import Player
    from pggan_framework.models.pretrained import Pretrained
    from pggan_framework.projection.projecting import Projection
    from pggan_framework.projection.search import Search
    from pggan_framework.projection.targets import Target
    from pggan_framework.projection.views import Term

EXAMPLES = """examples:
  pggan project latest cat.png
  pggan project results/005-cats mine.jpg hers.jpg --out found
  pggan project results/003-notes c4.wav --label pitch=60
  pggan project results/005-cats cat.png --extractor lite0 --restarts 16 --steps 1000
  pggan project results/005-cats painting.jpg --inspire --extractor lite0
  pggan project results/012-avatars face.png --maps face_map.png
  pggan generate results/005-cats --latents found/latents.npz --interpolate 8
"""
NONE = "none"
DEFAULT_EXTRACTOR = "random"
"""Default extractor of images, and of --inspire: it has no dependencies."""


def run(argv: Sequence[str]) -> int:
    """Run ``pggan project`` with its arguments.

    Returns:
        The exit status.

    Raises:
        UserError: if an argument is invalid; no files are left behind.
    """
    given = _parser().parse_args(list(argv))
    weights = _check(given)
    run_folder, checkpoint = find_checkpoint(given.model, Path(given.result_dir))
    from pggan_framework.cli.threads import share_cores

    share_cores()
    from pggan_framework.generate.player import Player
    from pggan_framework.projection.search import Search
    from pggan_framework.projection.targets import read_target

    named = {name: getattr(given, name) for name in ("steps", "lr") if getattr(given, name) is not None}
    search = Search(given.random, given.restarts or (16 if given.inspire else 8), seed=given.seed, **named)
    labels, model = _with_maps(given, labels_of(given.label), load_model(given, checkpoint))
    terms = _terms(given, weights, model)
    targets = [read_target(path, model, given.fit) for path in given.targets]
    about = {
        "checkpoint": str(checkpoint),
        "nimg": model.nimg,
        "weights": given.weights,
        "depth": model.generator.depth,
        "seed": given.seed,
        "steps": search.steps,
        "lr": search.lr,
        "weights_of_terms": {term.name: term.weight for term in terms},
        "inspire": given.inspire,
    }
    player = Player(model, in_turn=isinstance(model.label_space, MapSpace))
    keep = given.keep or (search.restarts if given.inspire else 1)
    with out_folder(given.out, run_folder) as (out, folder):
        for line in _make(player, targets, terms, labels, search, folder, about, min(keep, search.restarts)):
            print(line, flush=True)
    print(f"written to {out}")
    return 0


def _parser() -> Parser:
    what = "Find the latent, and the label if unknown, whose image or sound is nearest to a given one."
    parser = checkpoint_parser("project", what, EXAMPLES)
    add = parser.add_argument
    add("targets", metavar="FILE", type=Path, nargs="+", help="target images, or target sounds for a model of sounds")
    add("--out", type=Path, metavar="DIR", help="new folder (default: RUN/generated/000, 001 ...)")
    add(
        "--label",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="label of the targets, repeatable; other labels are searched for",
    )
    add("--maps", type=Path, metavar="PATH", help="label maps in the order of the targets: an image or a folder")
    add_weights(parser)
    add_depth(parser)
    add(
        "--fit", choices=("stretch", "crop", "pad"), help="handling of targets of other sizes (default: as in training)"
    )
    add("--seed", type=int, default=0, metavar="N", help="random seed of the latents (default: 0)")
    add("--random", type=int, default=1000, metavar="N", help="number of random latents to try first (default: 1000)")
    add(
        "--restarts",
        type=int,
        metavar="N",
        help="number of nearest random latents to optimize (default: 8; 16 with --inspire)",
    )
    add("--steps", type=int, metavar="N", help="number of gradient steps (default: 200)")
    add("--lr", type=float, metavar="X", help="peak learning rate (default: 0.3)")
    add("--pixel_weight", type=float, metavar="X", help="weight of pixels or magnitudes (default: 1; 0 with --inspire)")
    add(
        "--extractor",
        action="append",
        metavar="NAME[=WEIGHT]",
        help="features to compare, repeatable: random, lite0 or none (default: random; none for sounds)",
    )
    add(
        "--inspire",
        action="store_true",
        help="find similar rather than equal images: compare global features, keep all results",
    )
    add(
        "--keep",
        type=int,
        metavar="N",
        help="number of results to keep, nearest first (default: 1; all with --inspire)",
    )
    return parser


def _check(given: argparse.Namespace) -> dict[str, float] | None:
    """Check flags that do not depend on files; returns the weights of the extractors, None if not given."""
    for flag, least in {"seed": 0, "random": 1, "restarts": 1, "steps": 1, "keep": 1}.items():
        value = getattr(given, flag)
        if value is not None and not least <= value < 2**32:
            raise UserError(f"--{flag} is {value}; allowed: {least} or more")
    if given.pixel_weight is not None and not 0 <= given.pixel_weight < float("inf"):
        raise UserError(f"--pixel_weight is {given.pixel_weight:g}; allowed: 0 or more")
    if given.extractor is None:
        return None
    weights: dict[str, float] = {}
    for word in given.extractor:
        name, equals, text = word.partition("=")
        weight = number(text) if equals else 1.0
        if not name or weight is None or weight <= 0:
            raise UserError(f"--extractor '{word}' is given; allowed: NAME, or NAME=WEIGHT with a number above 0")
        if name in weights:
            raise UserError(f"--extractor {name} is given twice; allowed: once")
        weights[name] = weight
    if NONE in weights and len(weights) > 1:
        raise UserError("--extractor none is given with others; allowed: on its own")
    if NONE in weights and given.inspire:
        raise UserError("--inspire compares only features, but --extractor is none; allowed: an extractor")
    weights.pop(NONE, None)
    return weights


def _terms(given: argparse.Namespace, weights: dict[str, float] | None, model: Pretrained) -> list[Term]:
    """Return the terms to compare; without an extractor, sounds are compared by their magnitudes only."""
    from pggan_framework.metrics.extractors import build_extractor
    from pggan_framework.projection.views import feature_term, picture_terms

    pixels = given.pixel_weight if given.pixel_weight is not None else 0.0 if given.inspire else 1.0
    terms = picture_terms(model.codec, pixels) if pixels else []
    if weights is None:
        weights = {DEFAULT_EXTRACTOR: 1.0} if model.codec is None or given.inspire else {}
    for name, weight in weights.items():
        terms.append(feature_term(build_extractor(name), weight, model.codec, places=not given.inspire))
    if not terms:
        raise UserError("--pixel_weight is 0 and --extractor none, so nothing is compared; allowed: one of them")
    return terms


def _with_maps(
    given: argparse.Namespace, labels: dict[str, str], model: Pretrained
) -> tuple[list[dict[str, str]], Pretrained]:
    """Return the given labels of each target, and the model with the target's map if maps are given."""
    count = len(given.targets)
    if given.maps is None:
        return [labels] * count, model
    space = model.label_space
    if not isinstance(space, MapSpace):
        raise UserError("--maps needs a model that draws label maps; this one was trained on none")
    if labels:
        raise UserError(f"--label {MAP} is given with --maps, which sets the maps; omit one")
    from pggan_framework.data.images.map_files import read_maps

    maps = read_maps(given.maps, space.size, [entry.colour for entry in space.classes], "--maps")
    if len(maps) not in (1, count):
        raise UserError(f"--maps has {len(maps)} maps for {plural(count, 'target')}; allowed: one, or one for each")
    return [{MAP: str(index if len(maps) > 1 else 0)} for index in range(count)], model.with_maps(maps)


def _make(
    player: Player,
    targets: list[Target],
    terms: list[Term],
    labels: list[dict[str, str]],
    search: Search,
    folder: Path,
    about: dict[str, Any],
    keep: int,
) -> list[str]:
    """Search for each target and write the results; returns lines to print."""
    from pggan_framework.generate.latents import joined
    from pggan_framework.projection.output import write_projection, write_several
    from pggan_framework.projection.projecting import project

    several = len(targets) > 1
    said, found, stored = [], [], []
    for target, given, name in zip(targets, labels, _names(targets), strict=True):
        result = project(player.model, target.picture, terms, given, search, bar("images"))
        place = folder / name if several else folder
        place.mkdir(exist_ok=True)
        stored.append(write_projection(player, target, result, place, about, keep))
        found.append(result)
        said.append(_line(player, target, result))
    if several:
        write_several(player, targets, found, folder)
        joined(stored, {**about, "targets": [str(target.path) for target in targets]}).save(folder / "latents.npz")
    return said


def _names(targets: Sequence[Target]) -> list[str]:
    """Return a folder name for each target: the file name without extension, numbered if names are equal."""
    stems = [target.path.stem for target in targets]
    alike = len({stem.lower() for stem in stems}) < len(stems)
    return [f"{index:02d}_{stem}" if alike else stem for index, stem in enumerate(stems)]


def _line(player: Player, target: Target, found: Projection) -> str:
    """Format the result of a target."""
    words = [f"{target.path}: distance {found.distances[0]:.3f}"]
    words.append(f"the nearest of {found.random} random latents {found.random_distance:.3f}")
    words.append(f"{found.factor:.2f} times nearer")
    if found.labels is not None and player.space is not None and not isinstance(player.space, MapSpace):
        words.append(player.space.describe(found.labels[0]))
    return ", ".join([*words, *target.remarks])
