"""Build all components of a run from a resolved Config."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pggan_framework import cpu
from pggan_framework.config import Config
from pggan_framework.config.general import TOTAL_KIMG
from pggan_framework.config.tables import OWNERS
from pggan_framework.cpu.memory import bytes_at_hand
from pggan_framework.cpu.transfer import to_device
from pggan_framework.data.base import DepthDataset
from pggan_framework.data.loader import BatchLoader, Part
from pggan_framework.errors import UserError
from pggan_framework.launch.build import (
    build_augmentations,
    build_dataset,
    build_loss,
    build_networks,
    choose_device,
    depth_manager,
    make,
)
from pggan_framework.loggers.base import UNLIMITED_KIMG, Logger
from pggan_framework.loggers.group import LoggerGroup
from pggan_framework.models.growing.grow import grow
from pggan_framework.models.growing.settings import grown_config
from pggan_framework.models.growing.source import Source, read_source
from pggan_framework.networks.execution import Execution
from pggan_framework.plugins.reporter import Reporter
from pggan_framework.plugins.run_state import RunState
from pggan_framework.plugins.tables import DepthTables, ProgressTables
from pggan_framework.postprocessors.base import Postprocessor
from pggan_framework.registry import REGISTRY
from pggan_framework.runs.folders import checkpoint_folder, inside
from pggan_framework.schedules.plan import Plan
from pggan_framework.training.budget import Budget, BudgetKeeper, training_seconds
from pggan_framework.training.compiling import Phase, gradient_source
from pggan_framework.training.distributed import World
from pggan_framework.training.estimate import Training
from pggan_framework.training.parts import Parts
from pggan_framework.training.plugin import Plugin
from pggan_framework.training.portions import micro_batch_notes
from pggan_framework.training.precision import AGREES, choose_precision
from pggan_framework.training.recomputing import recompute_from
from pggan_framework.training.selfcheck import check_gradients, deviation
from pggan_framework.training.step import GradientSource, TrainingStep
from pggan_framework.training.trainer import Trainer


def postprocessor_names(config: Config, dataset: DepthDataset) -> list[str]:
    """Return the names of the configured postprocessors; by default those that suit the data."""
    if config.general.postprocessors is not None:
        return config.general.postprocessors
    return ["ImageSaver", "SoundSaver"] if dataset.codec is not None else ["ImageSaver"]


def logger_names(config: Config) -> list[str]:
    """Return the names of the configured loggers, with CometLogger if its key is given."""
    names = list(config.general.loggers)
    if config.general.comet_key and "CometLogger" not in names:
        names.append("CometLogger")
    return names


def check_paths(config: Config) -> None:
    """Check that output paths of an untrusted config are inside the run's folder.

    Raises:
        UserError: if a path of a postprocessor, plugin or logger is outside the folder.
    """
    for name, values in config.components.items():
        component = REGISTRY.get(name)
        own = component.module.startswith("pggan_framework.") and component.kind in (
            "postprocessor",
            "plugin",
            "logger",
        )
        for parameter in ("samples_path", "filename", "directory") if own else ():
            if isinstance(values.get(parameter), str):
                inside(f"{name}.{parameter}", values[parameter])


class Experiment:
    """All components of a run.

    Args:
        config: resolved configuration.
        world: ranks of the run.
        budget: time limit of this command; None for no limit.
    """

    def __init__(self, config: Config, world: World | None = None, budget: Budget | None = None) -> None:
        general = config.general
        self.config = config
        self.budget = budget
        check_paths(config)
        self.world = world or World()
        self.device = choose_device(general.device, self.world.local_rank)
        if general.minibatch_size < 1 or general.num_data_workers < 0 or not general.total_kimg > 0:
            raise UserError("minibatch_size, total_kimg: allowed: above 0; num_data_workers: 0 and up")
        self.dataset = build_dataset(config)
        self.source: Source | None = None
        self.origin: list[dict[str, Any]] = []
        """The models that the weights come from, oldest first."""
        if general.resume_network and not general.resume:
            self.source = read_source(Path(general.resume_network))
            self.config = config = grown_config(config, self.source, self.dataset.label_space)
        self.manager = depth_manager(config)
        self.total_kimg = self._total_kimg()
        generator, discriminator = build_networks(config, self.dataset)
        self.generator, self.discriminator = generator.to(self.device), discriminator.to(self.device)
        precision, precision_note = choose_precision(general.precision, self.device)
        execution = Execution(precision, general.kernels, 0 if general.activation_checkpointing == "always" else None)
        for network in (self.generator, self.discriminator):
            network.execute(execution)
        self._made: dict[str, Any] = {}
        self.loss = build_loss(config, self.dataset, self._made)
        self.loss.check(self.generator, self.discriminator)
        self._check_label_sampling()
        optimizer = self._made[general.optimizer] = make(config, general.optimizer)
        self.step = TrainingStep(
            self.generator,
            self.discriminator,
            self.loss,
            optimizer.build(self.generator.parameters(), general.G_lr_max),
            optimizer.build(self.discriminator.parameters(), general.D_lr_max, "D"),
            self.latents,
            labels=None if self.dataset.label_space is None else self.labels,
            augmentations=build_augmentations(config, self.dataset),
            guard=optimizer.guard,
            world=self.world,
            micro_batch=general.micro_batch,
        )
        networks = self.generator, self.discriminator
        self.notes = micro_batch_notes(self.loss, *networks, self.world, general.micro_batch, self.batches().values())
        """Notes to print at the start."""
        kernels = [p.shape[0] for network in networks for p in network.parameters() if p.dim() == 4]
        convolutions = cpu.note(self.device, max(kernels, default=0), general.kernels)
        self.machine = cpu.facts(max(kernels, default=0), general.kernels) if self.device.type == "cpu" else {}
        """Everything except the configuration that bit-exact results depend on."""
        self.notes += [note for note in (precision_note, convolutions) if note]
        if self.device.type == "cpu":
            cpu.keep_freed_memory(pool=general.kernels != "torch")
        try:
            check_gradients(self.step)
        except RuntimeError as error:
            if not (general.deterministic and "deterministic" in str(error)):
                raise
            what = str(error).split(maxsplit=1)[0]
            raise UserError(
                f"deterministic: '{what}' has no deterministic form on this device; allowed: False, or without the"
                " augmentation that interpolates (ADA, rotations of ColourJitter)"
            ) from error
        self._check_precision()
        self._recompute_what_does_not_fit()
        self.ema = self._made["EMA"] = make(config, "EMA")
        self.ema.attach(self.generator)

    def batches(self) -> dict[int, int]:
        """Return the global batch size at each trained depth."""
        growth = self.dataset.growth
        if self.manager is None:
            return {growth.max_depth: self.config.general.minibatch_size}
        plan, end = self.plan(), self.total_kimg * 1000
        assert plan is not None
        depths = range(growth.max_depth + 1)
        return {d: self.manager.minibatch(d) for d in depths if plan.unit != "image" or plan.start(d) < end}

    def _check_precision(self) -> None:
        """Check that losses in bfloat16 are close to losses in float32; otherwise, train in float32."""
        if self.generator.execution.precision == torch.float32:
            return
        off = deviation(self.step)
        said = f"precision: bf16; its losses differ from those in fp32 by {off:.1%}"
        if not off <= AGREES:
            said = f"precision: fp32, because losses in bf16 differ by {off:.1%}; allowed: {AGREES:.0%}"
            for network in (self.generator, self.discriminator):
                network.execute(replace(network.execution, precision=torch.float32))
        self.notes.append(said)

    def _recompute_what_does_not_fit(self) -> None:
        """Enable activation checkpointing, largest feature maps first, if a step would not fit into memory."""
        if self.config.general.activation_checkpointing != "auto":
            return
        step, at_hand = self.step, bytes_at_hand(self.device)
        training = Training(step.loss, step.G_optimizer, step.D_optimizer, micro_batch=step.micro_batch)
        own = {depth: -(-batch // self.world.size) for depth, batch in self.batches().items()}
        pixels = recompute_from(self.generator, self.discriminator, own, training, at_hand)
        if pixels is None:
            return
        for network in (self.generator, self.discriminator):
            network.execute(replace(network.execution, recompute_from=pixels))
        which = f"of {pixels:,} pixels and more" if pixels else "at every depth"
        self.notes.append(
            f"activation checkpointing: feature maps {which} are recomputed, because {(at_hand or 0) >> 20:,} MiB are"
            " at hand; --activation_checkpointing never keeps all"
        )

    def plan(self) -> Plan | None:
        """The growth plan; None if the networks do not grow."""
        if self.manager is None:
            return None
        repeats = self.config.components["Trainer"]["D_training_repeats"]
        return self.manager.plan(
            self.dataset.growth.max_depth, len(self.dataset), repeats, training_seconds(self.budget)
        )

    def _total_kimg(self) -> float:
        """Return `total_kimg`, or less if the schedule ends earlier, or infinity if only a clock ends the run."""
        plan, general = self.plan(), self.config.general
        epochs = general.total_epochs
        given = bool(self.config.explicit & {"total_kimg", "total_epochs"})
        longer = self.budget is not None and bool(general.resume) and not given
        total = general.total_kimg if epochs is None else epochs * len(self.dataset) / 1000
        by_clock = plan is not None and plan.unit == "second"
        if longer or (by_clock and epochs is None and total == TOTAL_KIMG):
            total = UNLIMITED_KIMG
        return total if longer or plan is None or plan.unit != "image" else min(total, plan.end / 1000)

    def latents(self, count: int) -> Tensor:
        """Draw latents [count, latent_size] with the global random generator, on the device."""
        source = self.world.generator(self.device)
        return torch.randn(count, self.generator.latent_size, device=self.device, generator=source)

    def labels(self, count: int) -> Tensor:
        """Draw labels [count, width] or maps [count, K, h, w] with the global random generator, on the device."""
        return to_device(self.drawn_labels(count), self.device)

    def drawn_labels(self, count: int) -> Tensor:
        """Draw labels in host memory, with the data's frequencies or uniformly (`Trainer.label_sampling`)."""
        space, labels = self.dataset.label_space, self.dataset.labels
        assert space is not None and labels is not None
        source = self.world.generator(torch.device("cpu"))
        if self.config.components["Trainer"]["label_sampling"] == "uniform":
            uniform = torch.rand(count, len(space.attributes), dtype=torch.float64, generator=source)
            drawn = space.uniform(uniform.numpy())
        else:
            drawn = labels[torch.randint(len(labels), (count,), generator=source).numpy()]
        return torch.from_numpy(space.condition(drawn, self.generator.size))

    def _check_label_sampling(self) -> None:
        """Check that uniform label sampling is possible: the data have labels, and G's update uses no reals."""
        if self.config.components["Trainer"]["label_sampling"] == "data":
            return
        why = "" if self.dataset.label_space is not None else "the data have no labels; name some of the dataset's"
        if not why and self.loss.needs_reals_for_G:
            why = f"{self.config.general.loss} compares G's fakes with reals, and they have their labels; allowed: data"
        if why:
            raise UserError(f"Trainer.label_sampling 'uniform' is given, but {why}")

    def trainer(self, folder: Path) -> tuple[Trainer, Logger]:
        """Build a trainer that writes to `folder`, with its plugins and loggers; this does not yet write any file.

        Raises:
            UserError: if a component rejects its parameters or the data.
        """
        config, general = self.config, self.config.general
        loggers = [make(config, name) for name in logger_names(config)]
        logger = LoggerGroup(loggers) if self.world.main else Logger()
        postprocessors: list[Postprocessor] = [make(config, name) for name in postprocessor_names(config, self.dataset)]
        for postprocessor in postprocessors:
            postprocessor.setup(folder, self.dataset.growth, self.dataset.codec)
        schedule: list[Plugin] = [self.manager] if self.manager is not None else []
        known = {
            "postprocessors": postprocessors,
            "logger": logger,
            "directory": checkpoint_folder(folder, general.checkpoints_dir),
        }
        lr_scheduler: Plugin = make(config, "LRScheduler")
        given: tuple[Mapping[str, Mapping[Any, Any]], ...] = (general.by_depth, general.by_progress)
        by_depth, by_progress = (
            {name if name not in OWNERS else f"{OWNERS[name]}.{name}": table for name, table in tables.items()}
            for tables in given
        )
        owners = {**self._made, "LRScheduler": lr_scheduler}
        plugins: list[Plugin] = [
            *schedule,
            *([BudgetKeeper(self.budget)] if self.budget is not None else []),
            *([DepthTables(by_depth, owners)] if by_depth else []),
            *([ProgressTables(by_progress, owners, by_depth)] if by_progress else []),
            lr_scheduler,
            *(make(config, name, **known) for name in ("EfficientLossMonitor", "AbsoluteTimeMonitor")),
            *(make(config, name, **known) for name in (*general.plugins, "QualityMonitor")),
            Reporter(logger),
            *(make(config, name, **known) for name in ("OutputGenerator", "SaverPlugin")),
            RunState(),
            make(config, "HTMLReport", **known),
        ]
        loader = BatchLoader(
            self.dataset,
            general.random_seed,
            general.num_data_workers,
            pin_memory=self.device.type == "cuda",
            part=None if self.world.size == 1 else partial(self.world.part, group=self.discriminator.stddev_group),
            machine_part=self._machine_part(),
        )
        parts = Parts(
            dataset=self.dataset,
            loader=loader,
            step=self.step,
            ema=self.ema,
            plugins=plugins,
            device=self.device,
            minibatch_size=general.minibatch_size,
            total_kimg=self.total_kimg,
            seed=general.random_seed,
            config=config.to_dict(),
            directory=folder,
            logger=logger,
            budget=self.budget,
            machine=self.machine,
            origin=self.origin,
        )
        trainer: Trainer = make(config, "Trainer", parts=parts)
        trainer.setup()
        self.step.gradients = self._gradients(trainer)
        return trainer, logger

    def _machine_part(self) -> Part | None:
        """Return the part of each batch that belongs to this machine, if it reads only its own shards."""
        own = self.dataset.own
        return None if own is None else partial(self.world.parts, own.processes, group=self.discriminator.stddev_group)

    def _gradients(self, trainer: Trainer) -> GradientSource:
        """Return the gradient computation: compiled graphs if the flag ``compile`` enables them."""
        general, manager, plan = self.config.general, self.manager, self.plan()
        total, depth = self.total_kimg * 1000, self.dataset.growth.max_depth
        lengths: dict[Phase, float] = {(depth, False): total} if plan is None else plan.phases(0, total)
        by_clock = plan is not None and plan.unit == "second"
        batches = {depth: manager.minibatch(depth) if manager else general.minibatch_size for depth, _ in lengths}
        repeats = trainer.D_training_repeats
        return gradient_source(
            general.compile,
            self.loss,
            self.device,
            steps={} if by_clock else {phase: n / (batches[phase[0]] * repeats) for phase, n in lengths.items()},
            seconds=lengths if by_clock else {},
            seconds_left=lambda: trainer.seconds_left,
            augmented=bool(self.step.augmentations.parts),
            say=trainer.parts.logger.message,
            ranks=self.world.size,
        )

    def load_weights(self) -> None:
        """Load the matching layers of the model ``resume_network``, and record how each layer was initialized.

        Raises:
            UserError: if the model cannot be mapped to these networks.
        """
        source = self.source
        assert source is not None
        grown = grow(
            source,
            self.generator,
            self.discriminator,
            self.dataset.codec,
            self.dataset.range_out,
            self.config.to_dict(),
        )
        for network, tensors in (
            (self.generator, grown.generator),
            (self.discriminator, grown.discriminator),
            (self.ema.generator, grown.ema),
        ):
            network.load_state_dict({**network.state_dict(), **tensors})
        start = self.config.components["Trainer"]["resume_nimg"]
        # Keep the EMA of trained weights.
        self.ema.births = {name: min(birth + start, 0.0) for name, birth in grown.births.items()}
        for side, optimizer in (("G", self.step.G_optimizer), ("D", self.step.D_optimizer)):
            network = self.generator if side == "G" else self.discriminator
            indices = {name: index for index, (name, _) in enumerate(network.named_parameters())}
            moments = {indices[name]: state for name, state in grown.moments[side].items()}
            optimizer.load_state_dict({**optimizer.state_dict(), "state": moments})
        self.origin = [*source.state.get("origin", []), {"model": source.name, **grown.facts(source)}]
        self.notes = [*self.notes, f"from {source.name}, {source.state['nimg'] / 1000:g} kimg: {grown.summary}"]
        self.notes += [] if grown.all_kept else grown.table()
        self.notes += grown.notes
        self.source = None
