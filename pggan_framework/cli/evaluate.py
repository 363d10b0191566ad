"""``pggan evaluate RUN``: measure how close a trained model's sounds or images are to its training data."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pggan_framework import __version__
from pggan_framework.cli.checkpoint_arguments import add_device, add_plugin_dirs, checkpoint_parser, load_plugins
from pggan_framework.errors import UserError, nearest
from pggan_framework.runs.folders import find_checkpoint

if TYPE_CHECKING:
    from pggan_framework.cli.sides import Sides
    from pggan_framework.data.base import DepthDataset
    from pggan_framework.metrics.base import BaseMetric
    from pggan_framework.metrics.deep import Eye
    from pggan_framework.metrics.report import Figure
    from pggan_framework.models.pretrained import Pretrained

DESCRIPTION = """Compare a trained model's sounds or images with its training data. Every value is shown with its
real-vs-real baseline: the value for other real samples. All values are appended as one line to metrics.jsonl
next to the checkpoint."""
EXAMPLES = """Metrics and extractors have their own flags, such as --lite0.size: see 'pggan components NAME'.
examples:
  pggan evaluate latest
  torchrun --standalone --nproc_per_node 2 -m pggan_framework evaluate latest --count 10000
  pggan evaluate results/007-piano --count 500 --metrics frechet,loudness
  pggan evaluate results/005-cats --count 1500 --metrics swd,ms_ssim --ms_ssim.pairs 2000
  pggan evaluate results/005-cats --count 1500 --metrics fid,kid,precision_recall --extractor lite0
  pggan evaluate results/005-cats/network-best-fid_lite0.pt --neighbours 16
  pggan evaluate results/007-notes/network-snapshot-000120.pt --metrics pitch --pitch.tracker autocorrelation
"""
NO_CACHE = "none"
PATHS = ("dir_path", "h5_path")
"""Dataset parameters that locate the data."""
H5 = (".h5", ".hdf5")


def run(argv: Sequence[str]) -> int:
    """Run ``pggan evaluate`` with its arguments.

    Returns:
        The exit status.

    Raises:
        UserError: if the model, its data or a flag cannot be used.
    """
    given, rest = _parser().parse_known_args(list(argv))
    for name, least in (("count", 1), ("seed", 0), ("griffin_lim_iter", 0), ("neighbours", 0)):
        if getattr(given, name) < least:
            raise UserError(f"--{name} is {getattr(given, name)}; allowed: {least} or more")
    folder, checkpoint = find_checkpoint(given.model, Path(given.result_dir))
    from pggan_framework.cli.threads import share_cores
    from pggan_framework.cpu.transfer import for_analysis
    from pggan_framework.launch.build import choose_device
    from pggan_framework.models.pretrained import load_generator
    from pggan_framework.training.distributed import World
    from pggan_framework.training.team import Team

    share_cores()
    team = Team(World.from_environment())
    device = choose_device(given.device, team.world.local_rank)
    load_plugins(given)
    trained = load_generator(checkpoint)
    trained.generator.to(device)
    place = for_analysis(device)
    metrics, named, eye = _metrics(given, rest, trained.codec is not None, place)
    dataset = data_of(trained, given.data, given.plugin_dirs)
    n = min(given.count, len(dataset) // 2)
    what = "image" if trained.codec is None else "sound"
    if n < 1:
        raise UserError(f"the data contain only one {what}; allowed: two or more, to compare reals with reals")
    from pggan_framework.cli.sides import Sides
    from pggan_framework.metrics.cache import FeatureCache
    from pggan_framework.metrics.lines import append_line
    from pggan_framework.metrics.report import as_dict, table
    from pggan_framework.storage.cache import cache_folder

    cache = FeatureCache(None if given.cache == NO_CACHE else Path(given.cache) if given.cache else cache_folder())
    sides = Sides(trained, dataset, n, given.seed, given.griffin_lim_iter, place, eye, cache, team=team)
    sheet = folder / f"neighbours_{trained.nimg // 1000:06d}.png" if given.neighbours else None
    found = _measure(sides, metrics, named, given.neighbours, sheet)
    if found is None:
        return 0
    figures, said = found
    print(f"{checkpoint}: {trained.nimg / 1000:g} kimg, {n} {what}s a side, seed {given.seed}")
    if eye is not None:
        print(f"features: {eye.extractor.identity()}{_advice(given.extractor, eye)}")
    print(table(figures))
    for line in said:
        print(line)
    facts = {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "version": __version__,
        "checkpoint": checkpoint.name,
        "nimg": trained.nimg,
        "depth": trained.generator.depth,
        "data": dataset.fingerprint(),
        "n": n,
        "seed": given.seed,
        **({} if eye is None else {"extractor": eye.extractor.identity()}),
        **({} if trained.codec is None else {"griffin_lim_iter": given.griffin_lim_iter}),
    }
    append_line(folder / "metrics.jsonl", facts, as_dict(figures))
    return 0


def _advice(asked: str, eye: Eye) -> str:
    """Return a warning if only the untrained extractor is installed and no extractor was requested."""
    from pggan_framework.metrics.extractors import AUTO, Lite0, RandomFeatures

    known = asked != AUTO or eye.name != RandomFeatures.name
    return "" if known else f", which is untrained; lite0 is trained on ImageNet, and {Lite0.missing()}"


def _parser() -> argparse.ArgumentParser:
    parser = checkpoint_parser("evaluate", DESCRIPTION, EXAMPLES)
    add_plugin_dirs(parser)
    add = parser.add_argument
    add("--data", type=Path, metavar="PATH", help="new location of the data, if they were moved: folder or .h5 file")
    add(
        "--count",
        type=int,
        default=1000,
        metavar="N",
        help="number of samples and of reals, at most half the data (default: 1000)",
    )
    add(
        "--seed",
        type=int,
        default=0,
        metavar="N",
        help="random seed of the samples and of the selected reals (default: 0)",
    )
    add("--metrics", default="", metavar="A,B", help="metrics to compute (default: all that apply)")
    add(
        "--griffin_lim_iter",
        type=int,
        default=32,
        metavar="N",
        help="sounds: Griffin-Lim iterations for samples and reals (default: 32)",
    )
    add(
        "--extractor",
        default="auto",
        metavar="NAME",
        help="feature extractor: lite0, inception or random (default: lite0 if installed, else random)",
    )
    add(
        "--neighbours",
        type=int,
        default=0,
        metavar="N",
        help="find copies of training examples, and draw the N samples nearest to one (default: 0)",
    )
    add(
        "--cache",
        default="",
        metavar="DIR",
        help="cache folder for features of real images, or none (default: $PGGAN_CACHE or ~/.cache/pggan_framework)",
    )
    add_device(parser)
    return parser


def _metrics(
    given: argparse.Namespace, rest: Sequence[str], sound: bool, device: str
) -> tuple[list[BaseMetric[Any]], bool, Eye | None]:
    """Return the selected metrics with flags from `rest`, True if they were selected by name, and the extractor.

    Raises:
        UserError: if a metric, an extractor or a flag is unknown, or a value is invalid.
    """
    from pggan_framework.metrics.base import Metric, PictureMetric
    from pggan_framework.metrics.copying import Nearest
    from pggan_framework.metrics.deep import FeatureMetric, attach
    from pggan_framework.metrics.extractors import extractor_class
    from pggan_framework.metrics.report import default_metrics, metric_class

    wanted = list(dict.fromkeys(name.strip() for name in given.metrics.split(",") if name.strip()))
    kind: Any = Metric if sound else PictureMetric
    chosen = wanted or [metric.name for metric in default_metrics(kind)]
    classes = {name: metric_class(name, kind) for name in chosen}
    extractor = extractor_class(given.extractor)
    looks = (given.neighbours and not sound) or any(issubclass(cls, FeatureMetric) for cls in classes.values())
    if given.extractor != "auto" and not looks:
        raise UserError(
            f"--extractor {given.extractor} is given, but none of the metrics uses features: {', '.join(chosen)}"
        )
    flags = _flags(rest, [*chosen, *([extractor.name] if looks else [])])
    metrics = [cls(**flags.get(name, {})) for name, cls in classes.items()]
    looking = [*metrics, *([Nearest()] if given.neighbours and not sound else [])]
    return metrics, bool(wanted), attach(looking, extractor.name, device, **flags.get(extractor.name, {}))


def _flags(words: Sequence[str], chosen: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Convert flags such as ``--pitch.tracker pyin`` to arguments of each metric and of the extractor."""
    from pggan_framework.config.convert import convert
    from pggan_framework.config.parameters import parameters
    from pggan_framework.registry import REGISTRY

    flags = {name: parameters(REGISTRY.get(name).cls, name) for name in chosen}
    known = {f"--{name}.{flag}": (name, flag) for name in chosen for flag in flags[name]}
    found: dict[str, dict[str, Any]] = {}
    left = list(words)
    while left:
        word, equals, value = left.pop(0).partition("=")
        if word not in known:
            raise UserError(f"evaluate: unknown flag {word}{nearest(word, known)}; see 'pggan evaluate -h'")
        if not equals and not left:
            raise UserError(f"{word} needs a value")
        name, flag = known[word]
        found.setdefault(name, {})[flag] = convert(value if equals else left.pop(0), flags[name][flag].kind, word, True)
    return found


def data_of(trained: Pretrained, moved: Path | None, plugin_dirs: list[str]) -> DepthDataset:
    """Load the training data of the model from its stored configuration.

    Raises:
        UserError: if the data are missing, or do not match the model.
    """
    from pggan_framework.config import resolve_overrides
    from pggan_framework.launch.build import build_dataset

    name = trained.config.get("dataset_class")
    if name is None:
        raise UserError("an exported model does not name the data it was trained on; evaluate its run or checkpoint")
    own = trained.config.get(name, {})
    # For sounds, a subset without repetition; for images, any selection.
    off = [f"{name}.{flag}" for flag in ("preload", "own_shards") if flag in own]
    changed: dict[str, Any] = {"plugin_dirs": plugin_dirs, **dict.fromkeys(off, False)}
    if moved is not None:
        if not moved.exists():
            raise UserError(f"--data {moved} does not exist")
        place = next((path for path in PATHS if path in own), None)
        if moved.suffix.lower() in H5 and place != "h5_path":
            changed["load_dataset"] = str(moved)
        elif place is None:
            raise UserError(
                f"--data {moved} is given, but {name} reads no files; allowed: a prepared .h5 file, or none"
            )
        else:
            changed |= {"load_dataset": "", f"{name}.{place}": str(moved)}
    try:
        # Resolve only the parameters of the data: plugins and losses of the run may be missing.
        stored: dict[str, Any] = {"dataset_class": name, "load_dataset": trained.config.get("load_dataset", "")}
        dataset = build_dataset(resolve_overrides(None, changed, base={**stored, name: own}))
    except UserError as error:
        hint = "" if moved is not None else "; give their new location with --data PATH"
        raise UserError(f"the model's data cannot be read: {error}{hint}") from error
    kinds = ["images" if each.codec is None else "sounds" for each in (dataset, trained)]
    if kinds[0] != kinds[1] or dataset.shape != trained.growth.shape:
        shapes = ["x".join(map(str, shape)) for shape in (dataset.shape, trained.growth.shape)]
        raise UserError(f"the data do not fit the model: {kinds[0]} of {shapes[0]}; allowed: {kinds[1]} as {shapes[1]}")
    if dataset.codec and trained.codec and dataset.codec.encoding() != trained.codec.encoding():
        print("note: these data are not the model's training data: their codec was fitted differently", file=sys.stderr)
    return dataset


def _measure(
    sides: Sides, metrics: list[BaseMetric[Any]], named: bool, neighbours: int, sheet: Path | None
) -> tuple[list[Figure], list[str]] | None:
    """Return all values, and further lines to print; None except on rank 0."""
    from tqdm import tqdm

    from pggan_framework.cli.neighbours import draw, example_name, find
    from pggan_framework.cli.sides import BATCH
    from pggan_framework.metrics.base import Pictures
    from pggan_framework.metrics.copying import Nearest, NearestSound
    from pggan_framework.metrics.report import compare, usable

    n, one = sides.n, slice(1)
    taken, left_out = usable(metrics, n, sides.reals(one), sides.fakes(one))
    if left_out and (named or not taken):
        raise UserError("; ".join(left_out))
    first = [metric for metric in taken if not metric.alone]
    probe = Nearest() if sides.trained.codec is None else NearestSound()
    if isinstance(probe, Nearest):
        probe.eye = sides.eye
    if sheet is not None:
        shown = sides.fakes(one)
        if isinstance(shown, Pictures) and isinstance(probe, Nearest) and (lacking := probe.lacks(shown)):
            raise UserError(f"--neighbours needs {lacking}")
    looking = [probe] if sheet is not None and probe.name not in [metric.name for metric in taken] else []
    sizes = [n] * (3 if first else 2) + ([len(sides.dataset)] if sheet is not None else [])
    total = sum(len(sides.team.share(size, BATCH)) for size in sizes)
    unit = "image" if sides.trained.codec is None else "sound"
    quiet = None if sides.team.main else True
    with sides.team.together(), tqdm(total=total, unit=unit, disable=quiet, leave=False) as bar:
        sides.progress = bar.update
        known = sides.real_features(first, 0) if first else {}
        others, fakes = sides.real_features(taken, n), sides.fake_features([*taken, *looking])
        everything = sides.features_of_all(probe) if sheet is not None else None
    if not sides.team.main:
        return None
    figures = compare(taken, known, others, fakes)
    said = [f"left out: {reason}" for reason in left_out]
    if sheet is None or everything is None:
        return figures, said
    found = find(sides, probe, fakes[probe.name], everything)
    sides.progress = lambda done: None
    draw(sides, found, neighbours, sheet)
    near = f"sample {found.samples[0]} and {example_name(sides, found.places[0, 0])}"
    said.append(f"nearest: {near}, {found.ratios[0]:.2g} times the usual distance; see {sheet}")
    return [*figures, *found.figures], said
