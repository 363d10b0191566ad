"""What a run would do, a row a depth, without doing it."""

from __future__ import annotations

from pathlib import Path

from pggan_framework.config import Config
from pggan_framework.experiment import Experiment
from pggan_framework.launch import prepare
from pggan_framework.training.estimate import estimate

_ROW = "{:>5}  {:>14}  {:>5}  {:>9}  {:>11}  {:>9}  {:>9}"


def dry_run(config: Config) -> int:
    """Check data and configuration and print one row a depth; makes no folder.

    The rows: shape of the pictures, real images a batch, thousand images trained there (fade and stable phase),
    parameters in use in both networks, estimated peak memory (weights, optimisers, activations) and estimated time.
    Returns the exit status, 0.

    Raises:
        UserError: where a run would refuse to start.
    """
    general = config.general
    experiment = prepare(config).experiment
    experiment.trainer(Path(general.result_dir))
    for name, text in experiment.dataset.summary().items():
        print(f"{name}: {text}")
    print(f"\n{_ROW.format('depth', 'shape', 'batch', 'kimg', 'parameters', 'memory', 'time')}")
    growth, total = experiment.dataset.growth, 0.0
    for depth, nimg in enumerate(images_at_depth(experiment)):
        batch = experiment.manager.minibatch(depth) if experiment.manager else general.minibatch_size
        if nimg <= 0:
            continue
        cost = estimate(experiment.generator, experiment.discriminator, growth, depth, batch)
        seconds = cost.seconds_per_kimg * nimg / 1000
        total += seconds
        print(
            _ROW.format(
                depth,
                "x".join(map(str, growth.shape_at(depth))),
                batch,
                f"{nimg / 1000:g}",
                f"{cost.parameters:,}",
                f"{cost.memory_bytes / 2**20:,.0f} MiB",
                duration(seconds),
            )
        )
    print(f"\nabout {duration(total)} in all, on this machine ({experiment.device})")
    return 0


def images_at_depth(experiment: Experiment) -> list[int]:
    """Real images trained at each depth until total_kimg."""
    total = round(experiment.config.general.total_kimg * 1000)
    max_depth = experiment.dataset.growth.max_depth
    if experiment.manager is None:
        return [0] * max_depth + [total]
    plan = experiment.manager.plan(max_depth)
    starts = [round(plan.start(depth)) for depth in range(max_depth + 1)]
    ends = [*starts[1:], max(total, starts[-1])]
    return [max(0, min(end, total) - start) for start, end in zip(starts, ends, strict=True)]


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
