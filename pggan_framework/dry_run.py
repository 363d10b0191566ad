"""What a run would do, a row a depth, without doing it."""

from __future__ import annotations

from pathlib import Path

from pggan_framework.config import Config
from pggan_framework.experiment import Experiment
from pggan_framework.training.estimate import Estimator

_ROW = "{:>5}  {:>14}  {:>5}  {:>9}  {:>11}  {:>9}  {:>9}"


def dry_run(config: Config) -> int:
    """Check data and configuration and print one row a depth; makes no folder.

    The rows: shape of the pictures, real images a batch, thousand images trained there (fade and stable phase),
    parameters in use in both networks, estimated peak memory and estimated time. Returns the exit status, 0.

    Raises:
        UserError: where a run would refuse to start.
    """
    experiment = Experiment(config)
    if config.general.resume_network:
        experiment.load_weights(Path(config.general.resume_network))
    for name, text in experiment.dataset.summary().items():
        print(f"{name}: {text}")
    print(f"\n{_ROW.format('depth', 'shape', 'batch', 'kimg', 'parameters', 'memory', 'time')}")
    estimator = Estimator(experiment.generator, experiment.discriminator)
    total = 0.0
    for depth, nimg in enumerate(images_at_depth(experiment)):
        batch = experiment.manager.minibatch(depth) if experiment.manager else config.general.minibatch_size
        if nimg <= 0:
            continue
        estimate = estimator.at(depth, batch)
        seconds = estimate.seconds_per_kimg * nimg / 1000
        total += seconds
        print(
            _ROW.format(
                depth,
                "x".join(map(str, experiment.dataset.growth.shape_at(depth))),
                batch,
                f"{nimg / 1000:g}",
                f"{estimate.parameters:,}",
                f"{estimate.memory_bytes / 2**20:,.0f} MiB",
                duration(seconds),
            )
        )
    print(f"\nabout {duration(total)} in all, on {estimator.machine}; memory is that of weights and activations")
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
