"""Print the plan of a run, one row per depth, without training."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import replace
from math import inf
from pathlib import Path

from pggan_framework.config import Config
from pggan_framework.cpu.memory import free_bytes
from pggan_framework.launch.experiment import Experiment
from pggan_framework.launch.start import complete_line, continue_from, prepare
from pggan_framework.loggers.base import UNLIMITED_KIMG
from pggan_framework.networks.stddev import stddev_groups
from pggan_framework.plugins.tables import DepthTables
from pggan_framework.training.budget import Budget
from pggan_framework.training.estimate import Training, estimate
from pggan_framework.training.portions import micro_batches
from pggan_framework.training.step import TrainingStep
from pggan_framework.training.trainer import Trainer

OFF_BY = (0.9, 1.35)
"""Measured range of training time relative to the estimate, on an idle CPU."""
_ROW = "{:>5}  {:>14}  {:>5}  {:>9}  {:>11}  {:>9}  {:>9}"


def dry_run(config: Config, age: float = 0.0) -> int:
    """Check data and configuration and print one row per depth, without creating a folder.

    A row contains the shape of the samples, the number of real images per batch, the training images at this depth in
    thousands (fade and stable phase), the number of parameters in use in both networks, and the estimated peak memory
    (weights, optimizers, activations) and time for the loss, penalties and optimizers of this configuration. The rows
    begin where the run would begin: at the resumed checkpoint, or at `Trainer.resume_nimg`. Lines below the table name
    terms whose cost cannot be counted, and suggest a micro_batch for a depth that would exceed the memory. Returns the
    exit status, 0.

    Args:
        config: resolved configuration.
        age: number of seconds of the budget (flag minutes) that have already passed.

    Raises:
        UserError: if the run itself would fail.
    """
    general = config.general
    start = prepare(config, budget=Budget.of(general.minutes, age))
    experiment = start.experiment
    trainer, _ = experiment.trainer(start.folder or Path(general.result_dir))
    for name, text in experiment.dataset.summary().items():
        print(f"{name}: {text}")
    if start.state is not None and start.folder is not None:
        continue_from(trainer, start.state)
        if trainer.complete:
            print(complete_line(start.folder, trainer))
            return 0
    if trainer.nimg:
        print(f"from {trainer.nimg / 1000:g} kimg on" + (f", at depth {trainer.depth}" if start.state else ""))
    print(f"\n{_ROW.format('depth', 'shape', 'batch', 'kimg', 'parameters', 'memory', 'time')}")
    growth, shown = experiment.dataset.growth, trainer.nimg
    notes: dict[str, None] = dict.fromkeys(experiment.notes)
    free = free_bytes(experiment.device)
    manager = experiment.manager
    by_clock = manager is not None and manager.unit == "second"
    limit = inf if trainer.budget is None else max(trainer.budget.training_left, 0.0)
    total, over = 0.0, False
    for depth, amount in left_by_depth(experiment, trainer).items():
        batch = manager.minibatch(depth) if manager else general.minibatch_size
        experiment.generator.depth = depth
        for plugin in trainer.plugins:
            if isinstance(plugin, DepthTables):
                plugin.before_step()
        step = experiment.step
        # Use the values that scheduled weights have in the middle of the depth.
        middle = shown if by_clock else shown + round(min(amount, UNLIMITED_KIMG)) // 2
        training = Training(
            step.loss, step.G_optimizer, step.D_optimizer, trainer.D_training_repeats, middle, step.micro_batch
        )
        cost = estimate(step.G, step.D, growth, depth, batch, training)
        notes.update(dict.fromkeys(cost.notes))
        if free is not None and cost.memory_bytes > free:
            advice = what_fits(step, depth, batch, training, free)
            notes[f"depth {depth} needs {_mib(cost.memory_bytes)}; {advice}"] = None
        # The clock determines the time, so the number of images is estimated.
        seconds = amount if by_clock else cost.seconds_per_kimg * amount / 1000
        if not by_clock and total + seconds >= limit:
            seconds, over = limit - total, True
        images = round(seconds / cost.seconds_per_kimg * 1000) if by_clock or over else round(amount)
        total += seconds
        shown += images
        print(
            _ROW.format(
                depth,
                "x".join(map(str, growth.shape_at(depth))),
                batch,
                f"{images / 1000:g}",
                f"{cost.parameters:,}",
                _mib(cost.memory_bytes),
                duration(seconds),
            )
        )
        if over:
            break
    for note in notes:
        print(note)
    print(f"\n{_in_all(total, by_clock or over, trainer.budget)}, on this machine ({experiment.device})")
    return 0


def _in_all(seconds: float, by_clock: bool, budget: Budget | None) -> str:
    """Format the training time: the time budget, or the estimated range."""
    if by_clock:
        whole = "" if budget is None else f" of the budget of {duration(budget.seconds)}"
        return f"{duration(seconds)} of training{whole}"
    low, high = (duration(seconds * factor) for factor in OFF_BY)
    return f"about {low} to {high} in all" if low != high else f"about {low} in all"


def left_by_depth(experiment: Experiment, trainer: Trainer) -> dict[int, float]:
    """Return the remaining images at each depth, or the remaining seconds if the plan counts seconds.

    Args:
        experiment: components of the run.
        trainer: trainer in its initial state.
    """
    manager = experiment.manager
    if manager is None:
        return {experiment.dataset.growth.max_depth: trainer.total_nimg - trainer.nimg}
    manager.prepare()
    found: dict[int, float] = {}
    for (depth, _), left in manager.phases_left(trainer.total_nimg).items():
        found[depth] = found.get(depth, 0.0) + left
    return found


def what_fits(step: TrainingStep, depth: int, batch: int, training: Training, free: int) -> str:
    """Return the largest micro_batch, below the current value, with which `batch` images fit into free memory.

    Args:
        step: training step of the run.
        depth: depth of the networks.
        batch: number of images per step.
        training: training settings.
        free: free memory in bytes.
    """

    def needed(size: int) -> int:
        # Two micro-batches need as much memory as any larger number of them.
        parts = replace(training, micro_batch=size)
        return estimate(step.G, step.D, step.G.growth, depth, min(batch, 2 * size), parts).memory_bytes

    group = step.D.stddev_group
    least = -(-batch // stddev_groups(batch, group)) if group > 1 else 1
    below = min(batch, step.micro_batch or batch)
    possible = {max(map(len, micro_batches(batch, most, group))) for most in range(least, below)}
    sizes = sorted(size for size in possible if size < below)
    at = bisect_right(sizes, free, key=needed)
    said = f"{_mib(free)} are free"
    if at:
        return f"{said}; with --micro_batch {sizes[at - 1]} it would need {_mib(needed(sizes[at - 1]))}"
    tried = f", and with --micro_batch {sizes[0]} it would still need {_mib(needed(sizes[0]))}" if sizes else ""
    return f"{said}{tried}; smaller networks need less, or --activation_checkpointing always"


def _mib(count: int) -> str:
    return f"{count / 2**20:,.0f} MiB"


def duration(seconds: float) -> str:
    """Format a duration, for example ``3 min 20 s`` or ``2 h 05 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min"
