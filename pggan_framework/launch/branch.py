"""Continue one checkpoint with different settings and the same random numbers, and compare the results."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np

from pggan_framework.config import Config, resolve_overrides
from pggan_framework.errors import UserError
from pggan_framework.launch.experiment import Experiment
from pggan_framework.launch.start import continue_from
from pggan_framework.metrics.swd import sliced_wasserstein
from pggan_framework.runs.folders import find_run, stored_config
from pggan_framework.training.checkpoint import load_checkpoint
from pggan_framework.training.trainer import Trainer

UNCHANGED = "unchanged"
QUIET: dict[str, Any] = {"loggers": [], "plugins": [], "postprocessors": [], "QualityMonitor.every_ticks": 0,
                         "HTMLReport.write": False}  # fmt: skip
"""Plugins that a branch omits, since it writes no files."""
STUDENT = (12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26)
"""97.5 % quantiles of Student's t-distribution for 1, 2, ... degrees of freedom."""


@dataclass(frozen=True)
class Future:
    """The result of training with one setting.

    Args:
        setting: changed flag, such as ``G_lr_max=0.0005``, or ``unchanged``.
        distances: distances of the samples to the data, one per repeat; lower is better.
        difference: mean difference from the unchanged run over all repeats; below 0 is better.
        interval: half-width of the 95 % confidence interval of the difference.
    """

    setting: str
    distances: Sequence[float]
    difference: float = 0.0
    interval: float = 0.0

    @property
    def verdict(self) -> str:
        """Describe the difference in one word, which depends on whether the interval excludes 0."""
        if self.difference + self.interval < 0:
            return "better"
        return "worse" if self.difference - self.interval > 0 else "no difference found"


def branch(
    run: str, settings: Sequence[str], kimg: float, repeats: int, count: int, result_dir: Path = Path("results")
) -> list[Future]:
    """Continue a checkpoint with each setting, `repeats` times, and compare with the unchanged run.

    Within a repeat, all settings use the same batches and random numbers; they differ between repeats.

    Args:
        run: a run's folder, a checkpoint in it, or ``latest``.
        settings: changed flags, ``flag=value``, one per branch.
        kimg: training length of each branch in thousand images.
        repeats: number of repeats.
        count: number of samples, and of real images, per distance.
        result_dir: folder that ``latest`` searches.

    Raises:
        UserError: if the run does not exist, or a checkpoint cannot be resumed with a setting.
    """
    folder, snapshot = find_run(run, result_dir, None)
    state = load_checkpoint(snapshot)
    stored = {name: value for name, value in stored_config(folder).items() if name not in ("minutes", "resume_network")}
    more = _without_clock(stored, state) | _length(state, kimg)
    named = {UNCHANGED: {}, **{setting: _setting(setting) for setting in settings}}
    configs = {
        name: resolve_overrides(None, {**QUIET, **more, **setting}, base=stored) for name, setting in named.items()
    }
    found: dict[str, list[float]] = {name: [] for name in configs}
    with tempfile.TemporaryDirectory() as scratch:
        for repeat in range(repeats):
            for name, config in configs.items():
                found[name].append(_distance(_future(config, state, Path(scratch), repeat), count))
    return compared(found)


def compared(found: Mapping[str, Sequence[float]]) -> list[Future]:
    """Compute each setting's difference from the unchanged run (the first item); distances are paired by repeat."""
    base = np.asarray(found[UNCHANGED], float)
    futures = []
    for name, distances in found.items():
        difference = np.asarray(distances, float) - base
        spread = float(difference.std(ddof=1)) / sqrt(len(difference))
        quantile = STUDENT[len(difference) - 2] if len(difference) - 2 < len(STUDENT) else 2.0
        futures.append(Future(name, list(distances), float(difference.mean()), quantile * spread))
    return futures


def lines(futures: Sequence[Future]) -> list[str]:
    """Format a table with a line per setting, and name the best setting."""
    width = max(len(future.setting) for future in futures)
    table = [f"{'setting':<{width}}  {'distance':>9}  difference from unchanged (95 % interval)"]
    for future in futures:
        text = f"{future.setting:<{width}}  {np.mean(future.distances):>9.2f}"
        if future.setting != UNCHANGED:
            text += f"  {future.difference:+.2f} ± {future.interval:.2f}: {future.verdict}"
        table.append(text)
    best = min(futures, key=lambda future: float(np.mean(future.distances)))
    sure = best.setting == UNCHANGED or best.verdict == "better"
    table.append(f"smallest: {best.setting}" + ("" if sure else ", but the interval includes 0; increase --repeats"))
    return table


def _setting(text: str) -> dict[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise UserError(f"--set {text} is given; allowed: flag=value, such as G_lr_max=0.0005")
    from pggan_framework.config.text import load_value

    return {name.removeprefix("--"): load_value(value)}


def _without_clock(stored: Mapping[str, Any], state: dict[str, Any]) -> dict[str, Any]:
    """Replace a schedule in seconds, since two branches would otherwise train on different numbers of images."""
    if stored.get("schedule") != "WallClockSchedule":
        return {}
    depth, last = state["networks"]["depth"], len(state["growth"]["doubles"])
    if depth < last or state["networks"]["alpha"] < 1:
        raise UserError(
            f"the run is at depth {depth} of {last} by a WallClockSchedule, which two runs would follow differently;"
            " allowed: a run at full size, or one whose schedule counts images"
        )
    state["plugins"] = {**state["plugins"], "DepthManager": {}}
    return {"schedule": None, "DepthManager.trained_depth": float(depth)}


def _length(state: Mapping[str, Any], kimg: float) -> dict[str, Any]:
    return {"total_kimg": state["nimg"] / 1000 + kimg}


def _future(config: Config, state: dict[str, Any], scratch: Path, repeat: int) -> Trainer:
    """Train a branch and return its trainer; writes no checkpoint."""
    experiment = Experiment(config)
    experiment.dataset.prepare()
    trainer, _ = experiment.trainer(scratch)
    silent = ("SaverPlugin", "OutputGenerator")
    trainer.plugins = [plugin for plugin in trainer.plugins if type(plugin).__name__ not in silent]
    continue_from(trainer, deepcopy(state))  # optimizers would modify the tensors of the state
    trainer.stream = trainer.stream + repeat
    rates = {"G": trainer.parts.step.G_optimizer, "D": trainer.parts.step.D_optimizer}
    for side, optimizer in rates.items():
        # Loading the checkpoint's optimizer restores its old settings.
        adam = config.components["Adam"]
        betas = adam["D_betas"] if side == "D" and adam["D_betas"] else adam["betas"]
        for group in optimizer.param_groups:
            group |= {"betas": tuple(betas), "eps": adam["eps"], "weight_decay": adam["weight_decay"]}
    trainer.run()
    return trainer


def _distance(trainer: Trainer, count: int) -> float:
    """Return the sliced Wasserstein distance x 1e3 of samples to the data, mean over sizes, with constant latents."""
    dataset = trainer.parts.dataset
    images, _ = trainer.sample(count, 0)
    chosen = np.random.default_rng(0).choice(len(dataset), min(count, len(dataset)), replace=False)
    low, high = dataset.range_in
    reals = (np.asarray(dataset.images(list(chosen), trainer.depth), np.float64) - low) / (high - low) * 255
    fakes = (np.clip(images[: len(reals)], -1, 1) + 1) * 127.5
    distances = sliced_wasserstein(np.rint(reals).astype(np.uint8), np.rint(fakes).astype(np.uint8))
    return float(np.mean(list(distances.values())))
