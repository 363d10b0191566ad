"""A resolved Config -> objects. Nothing else builds components."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from pggan_framework.config import Config, resolve_overrides
from pggan_framework.data.base import DepthDataset
from pggan_framework.data.loader import BatchLoader
from pggan_framework.errors import DivergedError, UserError
from pggan_framework.loggers.base import Logger, RunInfo
from pggan_framework.loggers.group import LoggerGroup
from pggan_framework.networks.describe import describe
from pggan_framework.plugins.depth import DepthManager
from pggan_framework.plugins.reporter import Reporter
from pggan_framework.postprocessors.base import Postprocessor
from pggan_framework.registry import REGISTRY
from pggan_framework.runs import (
    check_name,
    checkpoint_folder,
    environment,
    find_run,
    make_run_folder,
    stored_config,
    write_run_files,
)
from pggan_framework.training.checkpoint import load_checkpoint
from pggan_framework.training.plugin import Plugin
from pggan_framework.training.randomness import derive, seed_step
from pggan_framework.training.signals import stop_on_signals
from pggan_framework.training.step import TrainingStep
from pggan_framework.training.trainer import Parts, Trainer

if TYPE_CHECKING:
    from pggan_framework.networks.base import DiscriminatorBase, GeneratorBase

MAY_CHANGE = frozenset(
    {
        "exp_name", "result_dir", "checkpoints_dir", "total_kimg", "num_data_workers", "device", "comet_key",
        "comet_project_name", "save_dataset", "load_dataset", "resume", "resume_network", "allow_config_change",
        "dry_run", "debug", "plugin_dirs",
    }
)  # fmt: skip
"""General flags a resumed run may change: they say where and how long, not what."""
_WEIGHTS = 3  # which stream of the seed initialises the networks


@dataclass(frozen=True)
class RunResult:
    """How a run ended.

    Args:
        path: its folder.
        nimg: real images shown.
        stats: the last tick's figures.
        exit_status: 0, or 130 after Ctrl-C, 143 after SIGTERM, 1 after diverging.
        files: what a person wants to look at first, by what it is.
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
        config: a YAML file, or several; a later one overrides an earlier one.
        overrides: flags, as ``{"total_kimg": 20, "Adam.betas": (0.0, 0.9)}`` or nested.

    Raises:
        UserError: where the command line would print one line and exit with status 2.
    """
    resolved = resolve_overrides(config, overrides or {})
    if resolved.general.resume:
        resolved = resolve_overrides(config, overrides or {}, base=resumed_config(resolved))
    return run_config(resolved)


def resumed_config(config: Config) -> dict[str, Any]:
    """The stored configuration of the run that ``--resume`` names, to lie under the flags given now."""
    folder, _ = _find_run(config)
    return stored_config(folder)


def _find_run(config: Config) -> tuple[Path, Path]:
    general = config.general
    return find_run(general.resume, Path(general.result_dir), general.exp_name if config.names_experiment else None)


def make(config: Config, name: str, **injected: Any) -> Any:
    """Build the component `name` from its resolved parameters and what is only known now.

    Raises:
        UserError: if it refuses a parameter, by this or by a ValueError.
    """
    component = REGISTRY.get(name)
    try:
        return component.cls(**injected, **config.components[component.name])
    except ValueError as error:
        raise UserError(f"{component.name} cannot be made: {error}") from error


def choose_device(name: str) -> torch.device:
    """The device `name` means; ``auto`` is CUDA where there is one.

    Raises:
        UserError: if it is not there.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        device = torch.device("meta")
    if device.type not in ("cpu", "cuda"):
        raise UserError(f"device: '{name}' is given; allowed: auto, cpu, cuda, cuda:1")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device.type == "cuda" and (device.index or 0) >= count:
        there = f"there are {count} CUDA devices" if count else "there is no CUDA device here"
        raise UserError(f"device: '{name}' is given, but {there}; allowed: auto, cpu" + (", cuda" if count else ""))
    return device


def build_dataset(config: Config) -> DepthDataset:
    """The dataset: prepared (load_dataset) or built by its class; written to save_dataset if that is wished."""
    from pggan_framework.data.prepared import load_prepared, save_prepared

    general = config.general
    if general.load_dataset:
        dataset: DepthDataset = load_prepared(Path(general.load_dataset))
    else:
        dataset = make(config, general.dataset_class)
    if general.save_dataset and not general.dry_run:
        save_prepared(dataset, Path(general.save_dataset))
    return dataset


def build_networks(config: Config, dataset: DepthDataset) -> tuple[GeneratorBase, DiscriminatorBase]:
    """Both networks for the shapes of `dataset`, their weights drawn by the run's seed."""
    seed_step(derive(config.general.random_seed, _WEIGHTS), 0, 0)
    generator = make(config, config.general.generator, shape=dataset.growth)
    discriminator = make(config, config.general.discriminator, shape=dataset.growth)
    return generator, discriminator


def postprocessor_names(config: Config, dataset: DepthDataset) -> list[str]:
    """The postprocessors asked for; by default those that fit the data."""
    if config.general.postprocessors is not None:
        return config.general.postprocessors
    return ["ImageSaver", "SoundSaver"] if dataset.codec is not None else ["ImageSaver"]


def logger_names(config: Config) -> list[str]:
    """The loggers asked for, and CometLogger where its key is given."""
    names = list(config.general.loggers)
    if config.general.comet_key and "CometLogger" not in names:
        names.append("CometLogger")
    return names


def depth_manager(config: Config) -> DepthManager | None:
    """The DepthManager, unless growing is off."""
    if not config.general.progressive_growing:
        return None
    manager: DepthManager = make(config, "DepthManager", minibatch_size=config.general.minibatch_size)
    return manager


class Experiment:
    """Everything a run is made of.

    Args:
        config: the resolved configuration.
    """

    def __init__(self, config: Config) -> None:
        general = config.general
        self.config = config
        self.device = choose_device(general.device)
        if general.minibatch_size < 1 or general.num_data_workers < 0 or not general.total_kimg > 0:
            raise UserError("minibatch_size, total_kimg: allowed: above 0; num_data_workers: 0 and up")
        self.dataset = build_dataset(config)
        self.manager = depth_manager(config)
        if self.manager is not None:
            self.manager.plan(self.dataset.growth.max_depth)
        generator, discriminator = build_networks(config, self.dataset)
        self.generator, self.discriminator = generator.to(self.device), discriminator.to(self.device)
        self.loss = make(config, general.loss)
        adam = make(config, "Adam")
        self.step = TrainingStep(
            self.generator,
            self.discriminator,
            self.loss,
            adam.build(self.generator.parameters(), general.G_lr_max),
            adam.build(self.discriminator.parameters(), general.D_lr_max),
            self.latents,
        )
        self.ema = make(config, "EMA")
        self.ema.attach(self.generator)

    def latents(self, count: int) -> Tensor:
        """Latents [count, latent_size] from the global generator, on the device."""
        return torch.randn(count, self.generator.latent_size, device=self.device)

    def trainer(self, folder: Path) -> tuple[Trainer, LoggerGroup]:
        """A trainer with its plugins, which is to write to `folder`, and its loggers; nothing is written yet.

        Raises:
            UserError: if one of them refuses its parameters or the data.
        """
        config, general = self.config, self.config.general
        logger = LoggerGroup([_make_logger(config, name) for name in logger_names(config)])
        postprocessors: list[Postprocessor] = [make(config, name) for name in postprocessor_names(config, self.dataset)]
        for postprocessor in postprocessors:
            postprocessor.setup(folder, self.dataset.growth, self.dataset.codec)
        schedule: list[Plugin] = [self.manager] if self.manager is not None else []
        plugins: list[Plugin] = [
            *schedule,
            make(
                config,
                "LRScheduler",
                lr_rampup_kimg=general.lr_rampup_kimg,
                G_lr_max=general.G_lr_max,
                D_lr_max=general.D_lr_max,
            ),
            make(config, "EfficientLossMonitor"),
            make(config, "AbsoluteTimeMonitor"),
            *(make(config, name) for name in general.plugins),
            Reporter(logger),
            make(config, "OutputGenerator", postprocessors=postprocessors, logger=logger),
            make(config, "SaverPlugin", directory=checkpoint_folder(folder, general.checkpoints_dir)),
        ]
        loader = BatchLoader(
            self.dataset, general.random_seed, general.num_data_workers, pin_memory=self.device.type == "cuda"
        )
        parts = Parts(
            dataset=self.dataset,
            loader=loader,
            step=self.step,
            ema=self.ema,
            plugins=plugins,
            device=self.device,
            minibatch_size=general.minibatch_size,
            total_kimg=general.total_kimg,
            seed=general.random_seed,
            config=config.to_dict(),
        )
        trainer: Trainer = make(config, "Trainer", parts=parts)
        trainer.setup()
        return trainer, logger

    def load_weights(self, path: Path) -> None:
        """Take the weights, and nothing else, from a checkpoint.

        Raises:
            UserError: if they do not fit these networks.
        """
        state = load_checkpoint(path)
        try:
            self.generator.load_state_dict(state["networks"]["G"])
            self.discriminator.load_state_dict(state["networks"]["D"])
            self.ema.load_state_dict(state["ema"])
        except (RuntimeError, KeyError) as error:
            detail = [line.strip() for line in str(error).splitlines() if line.strip()]
            raise UserError(f"resume_network: {path} does not fit these networks: {detail[-1]}") from error


def changes(config: Config, state: Mapping[str, Any], dataset: DepthDataset) -> list[str]:
    """What differs from the configuration and the data a checkpoint was made with, in words; [] when nothing does."""
    stored = dict(state["config"])
    found = [
        f"{key}: {old} -> {new}" for key, old, new in config.difference(stored) if key.split(".")[0] not in MAY_CHANGE
    ]
    if state["data"] != dataset.fingerprint():
        found.append("the data: other files or parameters than before")
    return found


@dataclass(frozen=True)
class Start:
    """Where a run begins.

    Args:
        experiment: what it is made of.
        folder: the folder of the run that is resumed; None for a new run.
        state: the checkpoint it goes on from; None for a new run.
        notes: what has changed since then, in words.
    """

    experiment: Experiment
    folder: Path | None = None
    state: dict[str, Any] | None = None
    notes: Sequence[str] = ()


def prepare(config: Config) -> Start:
    """Read data and checkpoints and build everything but the trainer; makes no folder.

    Raises:
        UserError: if something in the input is wrong.
    """
    general = config.general
    check_name(general.exp_name or "run")
    if not general.resume:
        experiment = Experiment(config)
        if general.resume_network:
            experiment.load_weights(Path(general.resume_network))
        return Start(experiment)
    folder, snapshot = _find_run(config)
    state = load_checkpoint(snapshot)
    experiment = Experiment(config)
    notes = changes(config, state, experiment.dataset)
    if notes and not general.allow_config_change:
        raise UserError(
            f"resume: the configuration differs from the run's: {'; '.join(notes)};"
            " allowed: the same, another total_kimg, or --allow_config_change True"
        )
    return Start(experiment, folder, state, notes)


def run_config(config: Config) -> RunResult:
    """Train as `config` says, in a new run folder or, with resume, in the old one.

    Raises:
        UserError: if something in the input is wrong; no new run folder is left behind then.
    """
    general = config.general
    start = prepare(config)
    folder = start.folder or make_run_folder(Path(general.result_dir), general.exp_name or "run")
    trainer: Trainer | None = None
    try:
        trainer, logger = start.experiment.trainer(folder)
        checkpoint_folder(folder, general.checkpoints_dir).mkdir(parents=True, exist_ok=True)
        if start.state is not None:
            _load_state(trainer, start.state)
        return _train(start, trainer, logger, folder)
    except BaseException:
        if start.folder is None and (trainer is None or trainer.iteration == 0):
            shutil.rmtree(folder, ignore_errors=True)
        raise


def _load_state(trainer: Trainer, state: dict[str, Any]) -> None:
    """Go on from `state`, which after an allowed change need not fit."""
    try:
        trainer.load_state_dict(state)
    except (RuntimeError, KeyError, ValueError) as error:
        detail = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise UserError(f"resume: the checkpoint does not fit what has changed: {detail[-1]}") from error


def _make_logger(config: Config, name: str) -> Any:
    """A logger; Comet's alone is given the key, which is in no configuration."""
    if name != "CometLogger":
        return make(config, name)
    general = config.general
    return make(config, name, comet_key=general.comet_key, comet_project_name=general.comet_project_name)


def _train(start: Start, trainer: Trainer, logger: Logger, folder: Path) -> RunResult:
    """Run the trainer with its loggers started, and see that they end."""
    experiment = start.experiment
    config = experiment.config
    facts = environment(str(experiment.device))
    write_run_files(folder, config.to_yaml(), facts)
    logger.start(
        RunInfo(
            directory=folder,
            name=folder.name,
            config=config.to_dict(),
            config_text=config.to_yaml(),
            data=experiment.dataset.summary(),
            networks={"Generator": describe(experiment.generator), "Discriminator": describe(experiment.discriminator)},
            total_kimg=config.general.total_kimg,
            resumed_nimg=trainer.nimg if start.state is not None else None,
            logged_nimg=trainer.tick_start_nimg,
            environment=facts,
        )
    )
    for note in start.notes:
        logger.message(f"configuration changed: {note}")
    status, exit_status = "failed", 1
    try:
        with stop_on_signals(trainer) as seen:
            trainer.run()
        exit_status = 128 + seen["signal"] if "signal" in seen else 0
        status = "interrupted" if exit_status else "finished"
    except DivergedError as error:
        logger.message(str(error))
        print(f"error: {error}", file=sys.stderr)
    finally:
        logger.finish(status)
    return RunResult(folder, trainer.nimg, dict(trainer.stats), exit_status, _files(folder, config, experiment))


def _files(folder: Path, config: Config, experiment: Experiment) -> dict[str, Path]:
    """Where the pictures, the sounds and the log are."""
    places = {}
    for name in postprocessor_names(config, experiment.dataset):
        samples_path = config.components.get(REGISTRY.get(name).name, {}).get("samples_path")
        if samples_path is not None:
            places[{"ImageSaver": "pictures", "SoundSaver": "sounds"}.get(name, name)] = folder / samples_path
    return {**places, "log": folder / "log.txt"}
