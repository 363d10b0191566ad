"""What a run would do, a row a depth, without doing it."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import replace
from pathlib import Path

from pggan_framework.config import Config
from pggan_framework.experiment import Experiment
from pggan_framework.launch import prepare
from pggan_framework.networks.stddev import stddev_groups
from pggan_framework.plugins.tables import DepthTables
from pggan_framework.training.chunks import chunks
from pggan_framework.training.estimate import Training, estimate
from pggan_framework.training.memory import free_bytes
from pggan_framework.training.step import TrainingStep

_ROW = "{:>5}  {:>14}  {:>5}  {:>9}  {:>11}  {:>9}  {:>9}"


def dry_run(config: Config) -> int:
    """Check data and configuration and print one row a depth; makes no folder.

    The rows: shape of the pictures, real images a batch, thousand images trained there (fade and stable phase),
    parameters in use in both networks, estimated peak memory (weights, optimisers, activations) and estimated time,
    with this configuration's loss, penalties and optimisers. Terms that cannot be counted are named below the rows, and
    so is the micro_batch with which a depth that is too large for the memory would fit. Returns the exit status, 0.

    Raises:
        UserError: where a run would refuse to start.
    """
    general = config.general
    experiment = prepare(config).experiment
    trainer, _ = experiment.trainer(Path(general.result_dir))
    for name, text in experiment.dataset.summary().items():
        print(f"{name}: {text}")
    print(f"\n{_ROW.format('depth', 'shape', 'batch', 'kimg', 'parameters', 'memory', 'time')}")
    growth, total, shown = experiment.dataset.growth, 0.0, 0
    notes: dict[str, None] = dict.fromkeys(experiment.notes)
    free = free_bytes(experiment.device)
    plan = experiment.plan()
    for depth in range(growth.max_depth + 1):
        batch = experiment.manager.minibatch(depth) if experiment.manager else general.minibatch_size
        images = images_at_depth(experiment, depth)
        if images <= 0:
            continue
        experiment.generator.depth = depth
        for plugin in trainer.plugins:
            if isinstance(plugin, DepthTables):
                plugin.before_step()
        step = experiment.step
        # Weights that follow the images are taken as they are half-way through the depth.
        training = Training(
            step.loss,
            step.G_optimizer,
            step.D_optimizer,
            trainer.D_training_repeats,
            shown + images // 2,
            step.micro_batch,
        )
        cost = estimate(step.G, step.D, growth, depth, batch, training)
        shown += images
        notes.update(dict.fromkeys(cost.notes))
        if free is not None and cost.memory_bytes > free:
            advice = what_fits(step, depth, batch, training, free)
            notes[f"depth {depth} needs {_mib(cost.memory_bytes)}; {advice}"] = None
        seconds = cost.seconds_per_kimg * images / 1000
        if plan is not None and plan.unit == "second":
            # The time is given, and the images are what is estimated.
            seconds = plan.stages[depth].length
            images = round(seconds / cost.seconds_per_kimg * 1000)
        total += seconds
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
    for note in notes:
        print(note)
    print(f"\nabout {duration(total)} in all, on this machine ({experiment.device})")
    return 0


def what_fits(step: TrainingStep, depth: int, batch: int, training: Training, free: int) -> str:
    """The largest micro_batch below the one in use with which `batch` pictures at `depth` need no more than is free.

    Args:
        step: the run's.
        depth: which.
        batch: pictures a step.
        training: how they are trained.
        free: bytes.
    """

    def needed(size: int) -> int:
        # Two parts need what any number of them does.
        parts = replace(training, micro_batch=size)
        return estimate(step.G, step.D, step.G.growth, depth, min(batch, 2 * size), parts).memory_bytes

    group = step.D.stddev_group
    least = -(-batch // stddev_groups(batch, group)) if group > 1 else 1
    below = min(batch, step.micro_batch or batch)
    possible = {max(map(len, chunks(batch, most, group))) for most in range(least, below)}
    sizes = sorted(size for size in possible if size < below)
    at = bisect_right(sizes, free, key=needed)
    said = f"{_mib(free)} are free"
    if at:
        return f"{said}; with --micro_batch {sizes[at - 1]} it would need {_mib(needed(sizes[at - 1]))}"
    tried = f", and with --micro_batch {sizes[0]} it would still need {_mib(needed(sizes[0]))}" if sizes else ""
    return f"{said}{tried}; smaller networks need less, or --activation_checkpointing always"


def _mib(count: int) -> str:
    return f"{count / 2**20:,.0f} MiB"


def images_at_depth(experiment: Experiment, depth: int) -> int:
    """Real images trained at `depth` until total_kimg; where the clock decides, 1 for each depth that has any time."""
    total = round(experiment.total_kimg * 1000)
    max_depth = experiment.dataset.growth.max_depth
    plan = experiment.plan()
    if plan is None:
        return total if depth == max_depth else 0
    if plan.unit == "second":
        return int(plan.stages[depth].length > 0)
    start = round(plan.start(depth))
    end = round(plan.start(depth + 1)) if depth < max_depth else max(total, start)
    return max(0, min(end, total) - start)


def duration(seconds: float) -> str:
    """``3 min 20 s``, ``2 h 05 min`` ..."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min"
