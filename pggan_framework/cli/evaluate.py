"""``pggan evaluate RUN``: how near a trained model's sounds or pictures are to the data it was trained on."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pggan_framework import __version__
from pggan_framework.cli.parser import Parser
from pggan_framework.errors import UserError, nearest
from pggan_framework.runs import find_checkpoint

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pggan_framework.data.base import DepthDataset
    from pggan_framework.metrics.base import BaseMetric, Clips, Pictures
    from pggan_framework.metrics.report import Figure
    from pggan_framework.pretrained import Pretrained

DESCRIPTION = """Compare a trained model's sounds or pictures with the data it was trained on. Every figure stands
beside its floor: the same figure for other real ones in the place of the generated ones. A line with all of them is
added to metrics.jsonl beside the checkpoint."""
EXAMPLES = """Metrics have flags of their own, as --pitch.tracker; 'pggan components NAME' lists them.
examples:
  pggan evaluate latest
  pggan evaluate results/007-piano --count 500 --metrics frechet,loudness
  pggan evaluate results/012-cats --count 1500 --metrics swd,ms_ssim --ms_ssim.pairs 2000
  pggan evaluate results/007-notes/network-snapshot-000120.pt --metrics pitch --pitch.tracker autocorrelation
"""
BATCH = 32
"""Clips or pictures made and measured at a time."""
PATHS = ("dir_path", "h5_path")
"""The parameters of datasets that say where the data are."""
H5 = (".h5", ".hdf5")


def run(argv: Sequence[str]) -> int:
    """Run ``pggan evaluate`` with the words that follow it.

    Returns:
        The exit status.

    Raises:
        UserError: if the model, its data or a flag cannot be used.
    """
    try:
        given, rest = _parser().parse_known_args(list(argv))
    except SystemExit as stop:  # -h has printed the help
        return int(stop.code or 0)
    for name, least in (("count", 1), ("seed", 0), ("griffin_lim_iter", 0)):
        if getattr(given, name) < least:
            raise UserError(f"--{name} is {getattr(given, name)}; allowed: {least} or more")
    folder, checkpoint = find_checkpoint(given.model, Path(given.result_dir))
    from pggan_framework.building import choose_device
    from pggan_framework.cli.threads import share_cores
    from pggan_framework.pretrained import load_generator

    share_cores()
    device = choose_device(given.device)
    trained = load_generator(checkpoint)
    trained.generator.to(device)
    metrics = _metrics(given.metrics, rest, trained.codec is not None)
    dataset = _dataset(trained, given.data)
    n = min(given.count, len(dataset) // 2)
    what = "picture" if trained.codec is None else "sound"
    if n < 1:
        raise UserError(f"the data hold one {what}; allowed: two or more, to compare reals with reals")
    figures, left_out = _measure(given, trained, dataset, metrics, n, str(device))
    from pggan_framework.metrics.report import as_dict, table

    print(f"{checkpoint}: {trained.nimg / 1000:g} kimg, {n} {what}s a side, seed {given.seed}")
    print(table(figures))
    for reason in left_out:
        print(f"left out: {reason}")
    facts = {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "version": __version__,
        "checkpoint": checkpoint.name,
        "nimg": trained.nimg,
        "depth": trained.generator.depth,
        "data": dataset.fingerprint(),
        "n": n,
        "seed": given.seed,
        **({} if trained.codec is None else {"griffin_lim_iter": given.griffin_lim_iter}),
    }
    _append(folder / "metrics.jsonl", facts, as_dict(figures))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="pggan evaluate",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("model", metavar="RUN", help="a run's folder (its last checkpoint), a checkpoint, or latest")
    add("--result_dir", default="results", metavar="DIR", help="where latest looks; results")
    add("--data", type=Path, metavar="PATH", help="where the data are now, if they were moved: a folder or .h5 file")
    add("--count", type=int, default=1000, metavar="N", help="sounds or pictures a side, at most half the data; 1000")
    add("--seed", type=int, default=0, metavar="N", help="which samples and which reals; 0")
    add("--metrics", default="", metavar="A,B", help="names of metrics; by default all that apply")
    add(
        "--griffin_lim_iter",
        type=int,
        default=32,
        metavar="N",
        help="of sounds: steps in search of phases, on both sides; 32",
    )
    add("--device", default="auto", help="auto, cpu, cuda or cuda:1; auto")
    add("--debug", action="store_true", help="show the traceback of an error")
    return parser


def _metrics(names: str, rest: Sequence[str], sound: bool) -> tuple[list[BaseMetric[Any]], bool]:
    """The metrics of sounds or of pictures, built with their flags in `rest`, and whether they were named.

    Raises:
        UserError: if a metric or a flag is unknown, or a value is none that it takes.
    """
    from pggan_framework.metrics.base import Metric, PictureMetric
    from pggan_framework.metrics.report import default_metrics, metric_class

    wanted = list(dict.fromkeys(name.strip() for name in names.split(",") if name.strip()))
    kind: Any = Metric if sound else PictureMetric
    chosen = wanted or [metric.name for metric in default_metrics(kind)]
    classes = {name: metric_class(name, kind) for name in chosen}
    flags = _flags(rest, chosen)
    return [cls(**flags.get(name, {})) for name, cls in classes.items()], bool(wanted)


def _flags(words: Sequence[str], chosen: Sequence[str]) -> dict[str, dict[str, Any]]:
    """``--pitch.tracker pyin`` and so on as arguments of each metric."""
    from pggan_framework.config.convert import convert
    from pggan_framework.config.parameters import parameters
    from pggan_framework.registry import REGISTRY

    known = {
        f"--{name}.{flag}": (name, flag) for name in chosen for flag in parameters(REGISTRY.get(name, "metric").cls)
    }
    found: dict[str, dict[str, Any]] = {}
    left = list(words)
    while left:
        word, equals, value = left.pop(0).partition("=")
        if word not in known:
            raise UserError(f"evaluate: unknown flag {word}{nearest(word, known)}; see 'pggan evaluate -h'")
        if not equals and not left:
            raise UserError(f"{word} needs a value")
        name, flag = known[word]
        kind = parameters(REGISTRY.get(name).cls)[flag].kind
        found.setdefault(name, {})[flag] = convert(value if equals else left.pop(0), kind, word, True)
    return found


def _dataset(trained: Pretrained, moved: Path | None) -> DepthDataset:
    """The data the model was trained on, from its stored configuration.

    Raises:
        UserError: if they are not there, or do not fit the model.
    """
    from pggan_framework.building import build_dataset
    from pggan_framework.config import resolve_overrides

    name = trained.config["dataset_class"]
    own = trained.config.get(name, {})
    # Only some of the sounds are looked at, and each once.
    changed: dict[str, Any] = {"save_dataset": "", **({f"{name}.preload": False} if "preload" in own else {})}
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
        dataset = build_dataset(resolve_overrides(None, changed, base=trained.config))
    except UserError as error:
        hint = "" if moved is not None else "; --data PATH says where the data are now"
        raise UserError(f"the model's data cannot be read: {error}{hint}") from error
    kinds = ["pictures" if each.codec is None else "sounds" for each in (dataset, trained)]
    if kinds[0] != kinds[1] or dataset.shape != trained.growth.shape:
        shapes = ["x".join(map(str, shape)) for shape in (dataset.shape, trained.growth.shape)]
        raise UserError(f"the data do not fit the model: {kinds[0]} of {shapes[0]}; allowed: {kinds[1]} as {shapes[1]}")
    if dataset.codec and trained.codec and dataset.codec.state_dict() != trained.codec.state_dict():
        print(
            "note: these data are not those the model was trained on: their codec was fitted otherwise", file=sys.stderr
        )
    return dataset


def _measure(
    given: argparse.Namespace,
    trained: Pretrained,
    dataset: DepthDataset,
    metrics: tuple[list[BaseMetric[Any]], bool],
    n: int,
    device: str,
) -> tuple[list[Figure], list[str]]:
    """All figures of `n` sounds or pictures a side, and of what was left out why."""
    from tqdm import tqdm

    from pggan_framework.data.sampling import indices
    from pggan_framework.metrics.base import Pictures
    from pggan_framework.metrics.decoding import decoded, midi_of
    from pggan_framework.metrics.report import compare, measure, usable
    from pggan_framework.postprocessors.picture import to_uint8

    latents, labels = trained.latents(n, given.seed), trained.draw_labels(n, given.seed)
    fake_midi = midi_of(trained.label_space, labels)
    order = indices(given.seed, 0, 2 * n, len(dataset))
    real_midi = midi_of(dataset.label_space, None if dataset.labels is None else dataset.labels[order])

    def clips(
        codec: Any, pictures: NDArray[np.float32], midi: NDArray[np.float64] | None, part: slice
    ) -> Clips | Pictures:
        if codec is None:
            return Pictures(to_uint8(pictures))
        return decoded(codec, pictures, None if midi is None else midi[part], given.griffin_lim_iter, device)

    def fakes(part: slice) -> Clips | Pictures:
        pictures = trained.generate(latents[part], None if labels is None else labels[part])
        return clips(trained.codec, pictures, fake_midi, part)

    def reals(part: slice) -> Clips | Pictures:
        return clips(dataset.codec, _reals(dataset, order[part].tolist(), trained.generator.depth), real_midi, part)

    taken, left_out = usable(metrics[0], n, reals(slice(1)), fakes(slice(1)))
    if left_out and (metrics[1] or not taken):
        raise UserError("; ".join(left_out))
    first = [metric for metric in taken if not metric.alone]
    with tqdm(
        total=3 * n if first else 2 * n, unit="picture" if trained.codec is None else "sound", disable=None, leave=False
    ) as bar:

        def batches(make: Any, start: int) -> Iterator[Any]:
            for part in _parts(start, start + n):
                yield make(part)
                bar.update(part.stop - part.start)

        known = measure(first, batches(reals, 0)) if first else {}
        return compare(taken, known, measure(taken, batches(reals, n)), measure(taken, batches(fakes, 0))), left_out


def _parts(start: int, stop: int) -> Iterable[slice]:
    """`start` to `stop` in batches."""
    return (slice(at, min(at + BATCH, stop)) for at in range(start, stop, BATCH))


def _reals(dataset: DepthDataset, chosen: Sequence[int], depth: int) -> NDArray[np.float32]:
    """Real pictures in [-1, 1], at the depth the model was trained to."""
    import torch

    from pggan_framework.data.loader import to_network_range

    return to_network_range(torch.from_numpy(dataset.images(chosen, depth)), dataset.range_in, (-1, 1)).numpy()


def _append(path: Path, facts: Mapping[str, Any], figures: Mapping[str, float]) -> None:
    """Add one line to metrics.jsonl; what is not a finite number is null."""
    line = {**facts, **{name: value if isfinite(value) else None for name, value in figures.items()}}
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from error
