"""Run a resolved Config to the end: start or resume, create folder and loggers, train, and exit."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from math import isfinite
from pathlib import Path
from typing import Any

from pggan_framework.config import Config, resolve_overrides
from pggan_framework.data.base import DepthDataset
from pggan_framework.errors import DivergedError, UserError
from pggan_framework.launch.build import choose_device
from pggan_framework.launch.experiment import Experiment, postprocessor_names
from pggan_framework.loggers import terminal
from pggan_framework.loggers.base import Logger, Position, RunInfo
from pggan_framework.loggers.terminal import print_lines
from pggan_framework.networks.describe import Tables
from pggan_framework.plugins.depth import DepthManager
from pggan_framework.plugins.run_state import data_line
from pggan_framework.registry import REGISTRY
from pggan_framework.reporting.run import REPORT
from pggan_framework.runs.folders import (
    check_links,
    check_name,
    checkpoint_folder,
    environment,
    find_launched,
    find_run,
    make_run_folder,
    snapshots,
    stored_config,
    write_run_files,
)
from pggan_framework.storage.atomic import sweep
from pggan_framework.storage.locks import owned
from pggan_framework.training.budget import Budget
from pggan_framework.training.checkpoint import load_checkpoint
from pggan_framework.training.distributed import World, launcher, restarted
from pggan_framework.training.precision import device_settings
from pggan_framework.training.randomness import GLOBAL_GENERATORS
from pggan_framework.training.signals import stop_on_signals
from pggan_framework.training.trainer import Trainer

MAY_CHANGE = frozenset(
    {
        "exp_name", "result_dir", "checkpoints_dir", "total_kimg", "total_epochs", "minutes", "num_data_workers",
        "device", "deterministic", "micro_batch", "activation_checkpointing", "compile", "kernels", "comet_key",
        "comet_project_name", "save_dataset", "load_dataset", "resume", "resume_network", "dry_run",
        "debug", "allow_config_change", "moved_data", "plugin_dirs", "Trainer.write_in_background", "HTMLReport",
        "QualityMonitor",
    }
)  # fmt: skip
"""Flags that a resumed run may change: folders, length and execution, but not the training itself."""
MAY_CHANGE_IN_DATA = frozenset({"preload", "prepared_dir", "jobs"})
"""Dataset parameters that a resumed run may change, since the batches stay bitwise equal."""


@dataclass(frozen=True)
class RunResult:
    """The result of a run.

    Args:
        path: folder of the run.
        nimg: number of real images shown.
        stats: values of the last tick.
        exit_status: 0, or 130 after Ctrl-C, 143 after SIGTERM, 1 after divergence.
        files: most important files by kind.
    """

    path: Path
    nimg: int
    stats: Mapping[str, float]
    exit_status: int = 0
    files: Mapping[str, Path] = field(default_factory=dict)


def run(
    config: str | Path | Sequence[str | Path] | None = None, overrides: Mapping[str, Any] | None = None
) -> RunResult:
    """Train from Python.

    Args:
        config: one or more YAML files or preset names; later ones override earlier ones.
        overrides: values of flags, flat like ``{"total_kimg": 20, "Adam.betas": (0.0, 0.9)}`` or nested.

    Raises:
        UserError: if the input is invalid; the command line instead prints one line and exits with status 2.
    """
    resolved = resolve_overrides(config, overrides or {})
    if resolved.general.resume:
        resolved = resolve_overrides(config, overrides or {}, base=resumed_config(resolved))
    return run_config(resolved)


def resumed_config(config: Config) -> dict[str, Any]:
    """Return the stored configuration of the run given by ``--resume``, overridden by the flags of this call."""
    folder, _ = _find_run(config)
    # The flag minutes applies only to one session.
    return {name: value for name, value in stored_config(folder).items() if name != "minutes"}


def _find_run(config: Config) -> tuple[Path, Path]:
    general = config.general
    return find_run(general.resume, Path(general.result_dir), general.exp_name if config.names_experiment else None)


def changes(config: Config, state: Mapping[str, Any], dataset: DepthDataset) -> list[str]:
    """Return the differences from a checkpoint's configuration and data as text; [] if there are none."""
    differences = config.difference(dict(state["config"]))
    own = f"{config.general.dataset_class}."
    allowed = MAY_CHANGE | {own + name for name in MAY_CHANGE_IN_DATA}
    if config.general.moved_data:
        # The dataset does not declare which parameters are paths; its fingerprint shows whether the data are equal.
        allowed |= {key for key, old, new in differences if key.startswith(own) and _is_place(old) and _is_place(new)}
    found = [f"{key}: {old} -> {new}" for key, old, new in differences if not allowed & {key, key.split(".")[0]}]
    if not dataset.has_fingerprint(state["data"]):
        found.append("the data: other files or parameters than before")
    return found


def _is_place(value: object) -> bool:
    """True if a parameter's value is a path: it contains a folder, or it exists."""
    return isinstance(value, str) and (os.sep in value or Path(value).exists())


@dataclass(frozen=True)
class Start:
    """The state in which a run begins.

    Args:
        experiment: components of the run.
        folder: folder of the resumed run; None for a new run.
        state: contents of the resumed checkpoint; None for a new run.
        snapshot: checkpoint file that is resumed.
        notes: changes since the checkpoint, as text.
    """

    experiment: Experiment
    folder: Path | None = None
    state: dict[str, Any] | None = None
    notes: Sequence[str] = ()
    snapshot: Path | None = None


def prepare(config: Config, world: World | None = None, budget: Budget | None = None) -> Start:
    """Read data and checkpoints and build everything except the trainer; creates no folder.

    Args:
        config: resolved configuration.
        world: ranks of the run; by default this process alone.
        budget: wall-clock budget of this session; None for no limit.

    Raises:
        UserError: if the input is invalid.
    """
    general = config.general
    check_name(general.exp_name or "run")
    if not general.resume:
        experiment = _experiment(config, world, budget)
        if general.resume_network:
            experiment.load_weights()
        return Start(experiment)
    folder, snapshot = _find_run(config)
    check_links(folder)
    state = load_checkpoint(snapshot)
    experiment = _experiment(config, world, budget)
    notes = changes(config, state, experiment.dataset)
    if notes and not general.allow_config_change:
        raise UserError(
            f"resume: the configuration differs from the run's: {'; '.join(notes)};"
            " allowed: the same, another total_kimg, minutes, --moved_data True for the same data in another folder,"
            " or --allow_config_change True"
        )
    return Start(experiment, folder, state, notes, snapshot)


def _experiment(config: Config, world: World | None, budget: Budget | None) -> Experiment:
    """Build the experiment; seeds the global random generators and draws weights from them."""
    with GLOBAL_GENERATORS:
        return Experiment(config, world, budget)


def run_config(config: Config, age: float = 0.0) -> RunResult:
    """Train according to `config`, in a new run folder or, with resume, in the existing folder.

    Args:
        config: resolved configuration.
        age: number of seconds of the budget (general flag minutes) that have already passed.

    Raises:
        UserError: if the input is invalid; no new run folder is left behind.
    """
    world = World.from_environment()
    if restarted() and (own := find_launched(Path(config.general.result_dir), launcher())):
        config = replace(config, general=replace(config.general, resume=str(own)))
    # The ranks connect after all of them have validated their input; no file is written before.
    with ExitStack() as owner:
        if world.main and config.general.resume:
            folder, _ = _find_run(config)
            owner.enter_context(owned(folder, f"the run {folder}"))
        general = config.general
        device = choose_device(general.device, world.local_rank)
        owner.enter_context(device_settings(device, general.precision, general.deterministic))
        start = prepare(config, world, Budget.of(general.minutes, age))
        with world.connected(start.experiment.device):
            return _run(config, start, world, owner)


def _run(config: Config, start: Start, world: World, owner: ExitStack) -> RunResult:
    """Train; rank 0 first creates the files that the other ranks read. `owner` holds the lock of the run's folder."""
    general = config.general
    if world.main:
        start.experiment.dataset.prepare()
    world.barrier()
    if not world.main:
        start.experiment.dataset.prepare()
    folder = start.folder
    if folder is None:
        made = make_run_folder(Path(general.result_dir), general.exp_name or "run") if world.main else None
        if made is not None:
            owner.enter_context(owned(made, f"the run {made}"))
        folder = world.broadcast_object(made)
        assert folder is not None
    trainer: Trainer | None = None
    try:
        trainer, logger = start.experiment.trainer(folder)
        checkpoints = checkpoint_folder(folder, general.checkpoints_dir)
        if world.main:
            _own_checkpoints(checkpoints, folder, start, owner)
            # Delete the files of a killed session.
            for place in {checkpoints, folder, *(each for each in folder.iterdir() if each.is_dir())}:
                sweep(place, owned=True)
        if start.state is not None:
            continue_from(trainer, start.state)
            if trainer.complete:
                return _nothing_left(start, trainer, folder)
        world.broadcast(
            [
                each
                for network in (trainer.G, trainer.D, trainer.parts.ema.generator)
                for each in network.state_dict().values()
            ]
        )
        return _train(start, trainer, logger, folder)
    except BaseException:
        if world.main and start.folder is None and (trainer is None or trainer.iteration == 0):
            shutil.rmtree(folder, ignore_errors=True)
        raise


def _own_checkpoints(checkpoints: Path, folder: Path, start: Start, owner: ExitStack) -> None:
    """Create the checkpoint folder of the run, and lock it if it is not the run's folder.

    Raises:
        UserError: if the folder contains the checkpoints of another run, since runs in two result_dirs may have the
            same number and name, and a config may be untrusted.
    """
    checkpoints.mkdir(parents=True, exist_ok=True)
    if not checkpoints.samefile(folder):
        if snapshots(checkpoints) and (start.snapshot is None or not start.snapshot.parent.samefile(checkpoints)):
            raise UserError(
                f"checkpoints_dir: {checkpoints} has the checkpoints of another run; allowed: another checkpoints_dir,"
                " '' for the run's own folder, another exp_name or result_dir"
            )
        owner.enter_context(owned(checkpoints, f"the folder of checkpoints {checkpoints}"))


def complete_line(folder: Path, trainer: Trainer) -> str:
    """Return the message for resuming a finished run, with the command to type."""
    more = f"--resume {folder} --minutes 10"
    if trainer.nimg >= trainer.total_nimg:
        more += f", or --total_kimg above {trainer.kimg:g}"
    return f"{folder} is complete: {trainer.kimg:g} kimg are trained, nothing is left to do; to train longer: {more}"


def _nothing_left(start: Start, trainer: Trainer, folder: Path) -> RunResult:
    """Print that a resumed run is complete, with the command that extends it; writes no file."""
    experiment = start.experiment
    if experiment.world.main:
        print_lines([complete_line(folder, trainer)])
    stats = {"nimg": trainer.nimg, "kimg": trainer.kimg, "depth": trainer.depth}
    return RunResult(folder, trainer.nimg, stats, 0, _files(folder, experiment.config, experiment))


def continue_from(trainer: Trainer, state: dict[str, Any]) -> None:
    """Resume from `state`; after an allowed change, parts of it may not match the run."""
    try:
        trainer.load_state_dict(state)
    except (RuntimeError, LookupError, ValueError, TypeError, AttributeError) as error:
        detail = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
        raise UserError(f"resume: the checkpoint does not fit the changed settings: {detail[-1]}") from error


def other_machine(state: Mapping[str, Any] | None, machine: Mapping[str, str]) -> list[str]:
    """Return lines about differences from the checkpoint's environment that change the results by rounding."""
    before = (state or {}).get("machine", {})
    differing = [
        f"{name} {before[name]} -> {value}" for name, value in machine.items() if before.get(name, value) != value
    ]
    return [f"resume: not bit-exact, because of {', '.join(differing)}"] if differing else []


def _split_groups(experiment: Experiment) -> list[str]:
    """Return notes about batch sizes at which the minibatch stddev groups differ from those of a single process."""
    manager, group = experiment.manager, experiment.discriminator.stddev_group
    depths = range(experiment.dataset.growth.max_depth + 1)
    sizes = {manager.minibatch(depth) for depth in depths} if manager else {experiment.config.general.minibatch_size}
    small = sorted(size for size in sizes if experiment.world.splits_groups(size, group))
    if not small:
        return []
    batches = ", ".join(map(str, small))
    return [f"batches of {batches} have too few groups of {group} for each process: their minibatch stddev sees fewer"]


def _train(start: Start, trainer: Trainer, logger: Logger, folder: Path) -> RunResult:
    """Run the trainer; starts its loggers and always finishes them."""
    experiment = start.experiment
    config = experiment.config
    world = experiment.world
    facts, text = environment(str(experiment.device)), config.to_yaml()
    facts |= experiment.machine
    if world.size > 1:
        facts |= {"processes": str(world.size), "launcher": launcher()}
    if world.main:
        write_run_files(folder, text, facts)
    logger.start(
        RunInfo(
            directory=folder,
            name=folder.name,
            config=config.to_dict(),
            config_text=text,
            data=experiment.dataset.summary(),
            networks=Tables(Generator=experiment.generator, Discriminator=experiment.discriminator),
            total_kimg=experiment.total_kimg,
            resumed_nimg=trainer.nimg if start.state is not None else None,
            logged_nimg=trainer.tick_start_nimg,
            environment=facts,
            seconds=trainer.seconds_left if isfinite(trainer.seconds_left) else None,
            data_line=data_line(experiment.dataset),
            verbosity=config.general.verbosity,
            position=partial(_position, trainer, experiment.manager),
        )
    )
    changed = [f"configuration changed: {note}" for note in start.notes]
    changed += other_machine(start.state, experiment.machine)
    for note in [*changed, *_split_groups(experiment), *experiment.notes]:
        logger.message(note)
    status, exit_status = "failed", 1
    try:
        with stop_on_signals(trainer) as seen:
            trainer.run()
        exit_status = 128 + seen["signal"] if "signal" in seen else 0
        status = "interrupted" if exit_status else "finished"
    except DivergedError as error:
        logger.message(str(error))
        terminal.error(str(error))
    finally:
        logger.finish(status)
    return RunResult(folder, trainer.nimg, dict(trainer.stats), exit_status, _files(folder, config, experiment))


def _position(trainer: Trainer, manager: DepthManager | None) -> Position:
    """Return the position of the run, for the progress line."""
    depth, left = trainer.depth, None
    size = "x".join(map(str, trainer.G.growth.shape_at(depth)[1:]))
    if manager is not None and depth < trainer.G.max_depth:
        phases = manager.phases_left(trainer.total_nimg)
        if any(later > depth for later, _ in phases):
            left = sum(rest for (own, _), rest in phases.items() if own == depth)
    return Position(depth, size, float(trainer.G.alpha), left, manager is not None and manager.unit == "second")


def _files(folder: Path, config: Config, experiment: Experiment) -> dict[str, Path]:
    """Return the paths of images, sounds, report and log."""
    places = {}
    for name in postprocessor_names(config, experiment.dataset):
        samples_path = config.components.get(REGISTRY.get(name).name, {}).get("samples_path")
        if samples_path is not None:
            places[{"ImageSaver": "images", "SoundSaver": "sounds"}.get(name, name)] = folder / samples_path
    page = {"report": folder / REPORT} if config.components["HTMLReport"]["write"] else {}
    return {**places, **page, "log": folder / "log.txt"}
