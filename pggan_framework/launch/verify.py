"""Recompute a run between two checkpoints and compare the results bitwise.

Batches, random numbers and schedules depend only on the seed and the number of images shown, so any interval can be
repeated exactly. Bitwise equality shows that code, data and machine still give the same results.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from pggan_framework.config import resolve_overrides
from pggan_framework.errors import UserError, plural
from pggan_framework.launch.experiment import Experiment
from pggan_framework.launch.start import continue_from
from pggan_framework.loggers.base import Logger
from pggan_framework.plugins.html_report import HTMLReport
from pggan_framework.plugins.output import OutputGenerator
from pggan_framework.plugins.saver import SaverPlugin
from pggan_framework.runs.best_checkpoint import BEST
from pggan_framework.runs.folders import checkpoint_folder, read_json, snapshots, stored_config
from pggan_framework.schedules.recorded import Recorded
from pggan_framework.training.checkpoint import load_checkpoint
from pggan_framework.training.plugin import Plugin
from pggan_framework.training.state import choices_of

COMPARED = ("nimg", "tick", "networks", "ema", "optimizers", "loss", "augmentations")
"""Parts of a checkpoint that are compared; the other parts contain times and file names."""


@dataclass(frozen=True)
class Verified:
    """The result of a recomputation.

    Args:
        first: number of images shown at the start.
        last: number of images shown at the end.
        seconds: duration of the recomputation in seconds.
        tensors: number of compared tensors.
        differences: names of values that differ, with the differences.
    """

    first: int
    last: int
    seconds: float
    tensors: int
    differences: tuple[str, ...]


class _StopAt(Plugin):
    """Ends training at `nimg` images; with `closes`, the tick also ends there, even if it is shorter than others."""

    def __init__(self, nimg: int, closes: bool) -> None:
        self.nimg, self.closes = nimg, closes

    def after_step(self) -> None:
        if self.trainer.nimg >= self.nimg:
            end = self.trainer.finish if self.closes else self.trainer.stop
            end("the stretch is recomputed")


def stretches(folder: Path, from_start: bool = False) -> list[tuple[Path | None, Path]]:
    """Return pairs of successive checkpoints of a run, ordered by images; None is the first step of the run.

    Args:
        folder: folder of the run.
        from_start: whether to include the interval before the first checkpoint.

    Raises:
        UserError: if there is no pair of checkpoints.
    """
    place = checkpoint_folder(folder, stored_config(folder).get("checkpoints_dir") or "")
    processes = read_json(folder / "environment.json").get("processes", "1")
    if processes != "1":
        raise UserError(f"verify: {folder} was trained by {processes} processes; one process rounds sums differently")
    best = [place / BEST] if (place / BEST).is_file() else []
    # File names contain rounded thousands, or are chosen by the user; the best checkpoint may equal a snapshot.
    found = {nimg: path for path in [*best, *snapshots(place)] if (nimg := _images(path)) > 0}
    paths = [path for _, path in sorted(found.items())]
    pairs: list[tuple[Path | None, Path]] = list(zip(paths[:-1], paths[1:], strict=True))
    if from_start and paths:
        pairs.insert(0, (None, paths[0]))
    if not pairs:
        raise UserError(
            f"verify: {folder} has {plural(len(paths), 'checkpoint')}, and two are needed; allowed: a run with"
            " SaverPlugin.keep_old_checkpoints True, or --from_start, which recomputes from the first step"
        )
    return pairs


def _images(path: Path) -> int:
    """Return the number of images shown when a checkpoint was written, without reading its tensors.

    Raises:
        DamagedError: if the file is not a checkpoint.
    """
    try:
        return int(torch.load(path, map_location="cpu", weights_only=True, mmap=True)["nimg"])
    except Exception:  # the full reader reports the reason more clearly
        return int(load_checkpoint(path)["nimg"])


def verify(first: Path | None, last: Path, device: str | None = None) -> Verified:
    """Recompute from one checkpoint to the next, in a temporary folder; the folder of the run is not changed.

    Args:
        first: checkpoint to start from; None for the first step.
        last: checkpoint to compare with.
        device: device that computes; by default the device of the run.

    Raises:
        UserError: if the run cannot be recomputed; the message contains the reason.
    """
    target = load_checkpoint(last)
    start = None if first is None else load_checkpoint(first)
    begin = 0 if start is None else start["nimg"]
    stream = 0 if start is None else start["trainer"].get("stream", 0)
    if target["trainer"].get("stream", 0) != stream:
        raise UserError(
            f"verify: there was a rollback between {begin} and {target['nimg']} images; choose another interval"
        )
    overrides: dict[str, Any] = {"loggers": [], "postprocessors": [], "checkpoints_dir": "", "save_dataset": ""}
    if start is not None:  # the checkpoint contains the weights of the original model
        overrides["resume_network"] = ""
    config = resolve_overrides(None, overrides | ({} if device is None else {"device": device}), base=target["config"])
    began = time.monotonic()
    with TemporaryDirectory(prefix="pggan-verify-") as scratch:
        experiment = Experiment(config)
        if experiment.source is not None:
            experiment.load_weights()
        _replay(experiment, target, begin)
        if experiment.dataset.fingerprint() != target["data"]:
            raise UserError("verify: the data differ from the run's; nothing was computed")
        experiment.dataset.prepare()
        trainer, _ = experiment.trainer(Path(scratch))
        trainer.parts.logger = trainer.hooks.logger = Logger()
        writers = (SaverPlugin, HTMLReport, OutputGenerator)
        trainer.plugins[:] = [plugin for plugin in trainer.plugins if not isinstance(plugin, writers)]
        end = _StopAt(target["nimg"], target["trainer"]["tick_start_nimg"] == target["nimg"])
        end.setup(trainer)
        trainer.plugins.append(end)
        if start is not None:
            continue_from(trainer, start)
        choices_of(trainer).update(target.get("compiled", {}))
        if trainer.nimg >= target["nimg"]:
            raise UserError(f"verify: {last} is at {target['nimg']} images, not after the start at {trainer.nimg}")
        trainer.run()
        found = trainer.state_to_save()
    assert found is not None
    pairs = [pair for part in COMPARED for pair in _pairs(part, target.get(part), found.get(part))]
    differences = tuple(text for name, old, new in pairs if (text := _difference(name, old, new)))
    tensors = sum(isinstance(old, torch.Tensor) for _, old, _ in pairs)
    return Verified(begin, target["nimg"], time.monotonic() - began, tensors, differences)


def _replay(experiment: Experiment, target: Mapping[str, Any], begin: int) -> None:
    """Replay the recorded growth of a run that grows by time; a run that counts images needs no record."""
    plan = experiment.plan()
    if plan is None or plan.unit == "image":
        return
    assert experiment.manager is not None
    rows = target["plugins"].get("DepthManager", {}).get("recorded")
    depth = experiment.dataset.growth.max_depth
    sound = isinstance(rows, torch.Tensor) and rows.shape[1:] == (4,) and bool(rows.isfinite().all())
    sound = sound and all(0 <= row[1] <= depth and 0 <= row[2] <= 1 for row in rows.tolist())
    recorded = Recorded(rows) if sound else Recorded()
    if recorded.at(begin) is None:
        raise UserError(
            f"verify: this run grows by the clock, and its checkpoint has no record of it from {begin} images on;"
            " allowed: a later interval, or a run of this release or a later one"
        )
    experiment.manager.replayed = recorded


def _pairs(name: str, old: Any, new: Any) -> Iterator[tuple[str, Any, Any]]:
    """Yield the corresponding values of two states with their names."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in [*old, *(key for key in new if key not in old)]:
            yield from _pairs(f"{name}.{key}", old.get(key), new.get(key))
    elif isinstance(old, (list, tuple)) and isinstance(new, (list, tuple)) and len(old) == len(new):
        for place, (before, after) in enumerate(zip(old, new, strict=True)):
            yield from _pairs(f"{name}.{place}", before, after)
    else:
        yield name, old, new


def _difference(name: str, old: Any, new: Any) -> str:
    """Describe the difference of two values; empty if they are bitwise equal."""
    if not isinstance(old, torch.Tensor) or not isinstance(new, torch.Tensor):
        return "" if type(old) is type(new) and old == new else f"{name}: {old} was stored, {new} is recomputed"
    new = new.detach().cpu()
    if old.shape != new.shape or old.dtype != new.dtype:
        return f"{name}: {tuple(old.shape)} {old.dtype} was stored, {tuple(new.shape)} {new.dtype} is recomputed"
    bits = [each.contiguous().reshape(-1).view(torch.uint8) for each in (old, new)]
    if torch.equal(*bits):
        return ""
    wrong, most = int((old != new).sum()), float((old.double() - new.double()).abs().max())
    return f"{name}: {wrong} of {old.numel()} values differ, by up to {most:.3g}"
