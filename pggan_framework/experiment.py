"""A resolved Config -> objects. Nothing else builds components."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from pggan_framework.augmentation.base import Augmentations
from pggan_framework.config import Config
from pggan_framework.config.parameters import parameters
from pggan_framework.config.tables import OWNERS
from pggan_framework.data.base import DepthDataset
from pggan_framework.data.loader import BatchLoader
from pggan_framework.errors import UserError
from pggan_framework.label_maps import MapSpace
from pggan_framework.loggers.group import LoggerGroup
from pggan_framework.losses.base import Loss, Term
from pggan_framework.plugins.depth import DepthManager
from pggan_framework.plugins.reporter import Reporter
from pggan_framework.plugins.tables import DepthTables
from pggan_framework.postprocessors.base import Postprocessor
from pggan_framework.registry import REGISTRY
from pggan_framework.runs import checkpoint_folder
from pggan_framework.schedules.plan import Plan
from pggan_framework.training.checkpoint import load_checkpoint
from pggan_framework.training.plugin import Plugin
from pggan_framework.training.randomness import derive, seed_step
from pggan_framework.training.selfcheck import check_gradients
from pggan_framework.training.step import TrainingStep
from pggan_framework.training.trainer import Parts, Trainer

if TYPE_CHECKING:
    from pggan_framework.losses.auxiliary import AuxiliaryClassifier
    from pggan_framework.networks.base import DiscriminatorBase, GeneratorBase

_WEIGHTS = 3  # which stream of the seed initialises the networks


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
        dataset.prepare()
        save_prepared(dataset, Path(general.save_dataset))
    return dataset


def build_networks(config: Config, dataset: DepthDataset) -> tuple[GeneratorBase, DiscriminatorBase]:
    """Both networks for the shapes of `dataset`, their weights drawn by the run's seed.

    Raises:
        UserError: if one cannot be conditioned though the data are labelled, or is to grow and cannot.
    """
    seed_step(derive(config.general.random_seed, _WEIGHTS), 0, 0)
    generator = _make_network(config, config.general.generator, dataset)
    discriminator = _make_network(config, config.general.discriminator, dataset)
    return generator, discriminator


def _make_network(config: Config, name: str, dataset: DepthDataset) -> Any:
    """A network for the data; labels are a matter only of those that know them."""
    space, cls = dataset.label_space, REGISTRY.get(name).cls
    if config.general.progressive_growing and not getattr(cls, "grows", True):
        raise UserError(f"{name} cannot grow: set progressive_growing to False, or choose another network")
    if space is None:
        return make(config, name, shape=dataset.growth)
    if "label_space" not in inspect.signature(cls).parameters:
        names = ", ".join(attribute.name for attribute in space.attributes)
        raise UserError(f"{name} cannot be conditioned, but the data are labelled with {names}; leave the labels out")
    if isinstance(space, MapSpace) and not getattr(cls, "takes_maps", False):
        raise UserError(
            f"{name} knows no label maps, but the data have them; allowed: generator SPADEGenerator with discriminator"
            " MapDiscriminator, or a network of your own with takes_maps = True"
        )
    return make(config, name, shape=dataset.growth, label_space=space)


def build_loss(config: Config, dataset: DepthDataset, made: dict[str, Any] | None = None) -> Loss:
    """The adversarial loss, the penalties, and the auxiliary classifier's terms where the data are labelled.

    A penalty that is a loss itself is made last, about all the others.

    Args:
        config: the resolved configuration.
        dataset: the data.
        made: receives what was made, by name.

    Raises:
        UserError: if the classifier is asked for something and there are no labels or D does not classify, or two
            terms are the same.
    """
    made = {} if made is None else made
    loss: Loss = make(config, config.general.loss)
    made[config.general.loss] = loss
    names = config.general.penalties
    around = [name for name in names if issubclass(REGISTRY.get(name).cls, Loss)]
    for name in names:
        if name not in around:
            made[name] = make(config, name)
            loss = loss + _further_terms(name, loss, made[name].terms)
    space, labels = dataset.label_space, dataset.labels
    counts = None if space is None or labels is None else space.counts(labels)
    classifier: AuxiliaryClassifier = make(config, "AuxiliaryClassifier", label_counts=counts)
    made["AuxiliaryClassifier"] = classifier
    classifies = getattr(REGISTRY.get(config.general.discriminator).cls, "classifies", True)
    given = _changed(config, "AuxiliaryClassifier")
    if space is not None and classifies:
        loss = loss + classifier.terms
    elif given:
        why = f"{config.general.discriminator} is told the labels and does not find them; choose another discriminator"
        if classifies:
            why = "the data have no labels; name some of the dataset's"
        raise UserError(f"AuxiliaryClassifier.{given[0]} is given, but {why}")
    for name in around:
        loss = made[name] = make(config, name, loss=loss)
    return loss


def _changed(config: Config, name: str) -> list[str]:
    """The parameters of a component that are not at their defaults."""
    flags = parameters(REGISTRY.get(name).cls, name)
    return [parameter for parameter, value in config.components[name].items() if value != flags[parameter].default]


def _further_terms(penalty: str, loss: Loss, terms: Sequence[Term]) -> Sequence[Term]:
    """`terms`, unless the loss has one of the same name already: their figures could not be told apart."""
    taken = {term.name for term in loss.terms}
    for term in terms:
        if term.name in taken:
            raise UserError(
                f"penalties: {penalty} is given, but there is a term '{term.name}' already; leave one of them out"
                " (WGANGP has a gradient penalty and a drift; iwass_lambda 0, iwass_epsilon 0 turn them off)"
            )
    return terms


def build_augmentations(config: Config, dataset: DepthDataset) -> Augmentations:
    """The augmentations asked for, in order.

    Raises:
        UserError: if one does not suit the data.
    """
    augmentations = Augmentations([make(config, name) for name in config.general.augmentations], dataset.range_out)
    augmentations.check(dataset.codec, dataset.label_space)
    return augmentations


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
    """The DepthManager with its schedule, unless growing is off.

    Raises:
        UserError: if there is a schedule though nothing grows.
    """
    if not config.general.progressive_growing:
        if config.general.schedule is not None:
            raise UserError(
                f"schedule: {config.general.schedule} is given, but progressive_growing is False; allowed: one of them"
            )
        return None
    general = config.general
    schedule = None if general.schedule is None else make(config, general.schedule)
    manager: DepthManager = make(config, "DepthManager", minibatch_size=general.minibatch_size, schedule=schedule)
    if schedule is not None and manager.phases_given:
        print(f"note: DepthManager.lod_... is given but {general.schedule} is used", file=sys.stderr)
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
        self.total_kimg = self._total_kimg()
        generator, discriminator = build_networks(config, self.dataset)
        self.generator, self.discriminator = generator.to(self.device), discriminator.to(self.device)
        self._made: dict[str, Any] = {}
        self.loss = build_loss(config, self.dataset, self._made)
        self.loss.check(self.generator, self.discriminator)
        self._check_label_sampling()
        adam = make(config, "Adam")
        self.step = TrainingStep(
            self.generator,
            self.discriminator,
            self.loss,
            adam.build(self.generator.parameters(), general.G_lr_max),
            adam.build(self.discriminator.parameters(), general.D_lr_max, "D"),
            self.latents,
            labels=None if self.dataset.label_space is None else self.labels,
            augmentations=build_augmentations(config, self.dataset),
            guard=adam.guard,
        )
        check_gradients(self.step)
        self.ema = self._made["EMA"] = make(config, "EMA")
        self.ema.attach(self.generator)

    def plan(self) -> Plan | None:
        """When the networks grow; None where they do not."""
        if self.manager is None:
            return None
        repeats = self.config.components["Trainer"]["D_training_repeats"]
        return self.manager.plan(self.dataset.growth.max_depth, len(self.dataset), repeats)

    def _total_kimg(self) -> float:
        """As the general flags have it, or less where the schedule ends before."""
        plan, general = self.plan(), self.config.general
        epochs = general.total_epochs
        total = general.total_kimg if epochs is None else epochs * len(self.dataset) / 1000
        return total if plan is None or plan.unit != "image" else min(total, plan.end / 1000)

    def latents(self, count: int) -> Tensor:
        """Latents [count, latent_size] from the global generator, on the device."""
        return torch.randn(count, self.generator.latent_size, device=self.device)

    def labels(self, count: int) -> Tensor:
        """Labels [count, width] or maps [count, K, h, w], drawn by the global generator, on the device.

        As `Trainer.label_sampling` says: as often as the data have them, or every value as often as any other.
        """
        space, labels = self.dataset.label_space, self.dataset.labels
        assert space is not None and labels is not None
        if self.config.components["Trainer"]["label_sampling"] == "uniform":
            drawn = space.uniform(torch.rand(count, len(space.attributes), dtype=torch.float64).numpy())
        else:
            drawn = labels[torch.randint(len(labels), (count,)).numpy()]
        return torch.from_numpy(space.condition(drawn, self.generator.size)).to(self.device)

    def _check_label_sampling(self) -> None:
        """See that G's labels are drawn at all where it is said how."""
        if self.config.components["Trainer"]["label_sampling"] == "data":
            return
        why = "" if self.dataset.label_space is not None else "the data have no labels; name some of the dataset's"
        if not why and self.loss.needs_reals_for_G:
            why = f"{self.config.general.loss} compares G's fakes with reals, and they have their labels; allowed: data"
        if why:
            raise UserError(f"Trainer.label_sampling 'uniform' is given, but {why}")

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
        rates = {name: getattr(general, name) for name in ("lr_rampup_kimg", "G_lr_max", "D_lr_max")}
        lr_scheduler: Plugin = make(config, "LRScheduler", **rates)
        tables = {name if "." in name else f"{OWNERS[name]}.{name}": table for name, table in general.by_depth.items()}
        plugins: list[Plugin] = [
            *schedule,
            *([DepthTables(tables, {**self._made, "LRScheduler": lr_scheduler})] if tables else []),
            lr_scheduler,
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
            total_kimg=self.total_kimg,
            seed=general.random_seed,
            config=config.to_dict(),
            directory=folder,
            logger=logger,
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


def _make_logger(config: Config, name: str) -> Any:
    """A logger; Comet's alone is given the key, which is in no configuration."""
    if name != "CometLogger":
        return make(config, name)
    general = config.general
    return make(config, name, comet_key=general.comet_key, comet_project_name=general.comet_project_name)
