"""Build individual components from a resolved Config: data, networks, loss, augmentations, schedule."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from pggan_framework.augmentation.base import Augmentations
from pggan_framework.config import Config
from pggan_framework.config.parameters import injected, parameters
from pggan_framework.config.used import CHOSEN
from pggan_framework.data.base import DepthDataset
from pggan_framework.errors import UserError
from pggan_framework.labels.maps import MapSpace
from pggan_framework.launch.contracts import check_dataset, check_discriminator, check_generator
from pggan_framework.losses.base import Loss, Term
from pggan_framework.losses.penalty import Penalty
from pggan_framework.plugins.depth import DepthManager
from pggan_framework.registry import REGISTRY
from pggan_framework.training.randomness import derive, seed_step

if TYPE_CHECKING:
    from pggan_framework.losses.auxiliary import AuxiliaryClassifier
    from pggan_framework.networks.base import DiscriminatorBase, GeneratorBase

_WEIGHTS = 3  # random stream of the seed that initializes the networks


def make(config: Config, name: str, **known: Any) -> Any:
    """Build the component `name` from its resolved parameters and the objects in its list `injected`.

    Args:
        config: resolved configuration.
        name: name of the component.
        known: objects that can be injected, in addition to general flags that do not select a component.

    Raises:
        UserError: if a parameter of its constructor is missing or rejected (by a UserError or ValueError).
    """
    component = REGISTRY.get(name)
    flags = {flag: value for flag, value in vars(config.general).items() if flag not in CHOSEN}
    passed = {n: value for n, value in {**flags, **known}.items() if n in injected(component.cls)}
    given = {**passed, **config.components[component.name]}
    try:
        inspect.signature(component.cls).bind(**given)
    except TypeError as error:
        raise UserError(
            f"{component.name} in {component.module} cannot be created: {error};"
            f" what can be injected here: {', '.join(sorted({*known, *flags}))}"
        ) from error
    try:
        made = component.cls(**given)
    except ValueError as error:
        raise UserError(f"{component.name} cannot be created: {error}") from error
    if component.kind == "penalty" and not hasattr(made, "terms"):
        component.check(Penalty)
    return made


def choose_device(name: str, local_rank: int = 0) -> torch.device:
    """Return the device `name`; ``auto`` is CUDA if it is available.

    Args:
        name: auto, cpu, cuda, cuda:1 or mps (Apple GPU; auto never chooses it, since it is untested).
        local_rank: rank of this process on this machine, which is the index of the GPU for ``cuda``.

    Raises:
        UserError: if the device is not available.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and local_rank:
        name = f"cuda:{local_rank}"
    try:
        device = torch.device(name)
    except RuntimeError:
        device = torch.device("meta")
    if device.type not in ("cpu", "cuda", "mps"):
        raise UserError(f"device: '{name}' is given; allowed: auto, cpu, cuda, cuda:1, mps")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise UserError(f"device: '{name}' is given, but torch finds no Apple GPU here; allowed: auto, cpu")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device.type == "cuda" and (device.index or 0) >= count:
        there = f"there are {count} CUDA devices" if count else "there is no CUDA device here"
        raise UserError(f"device: '{name}' is given, but {there}; allowed: auto, cpu" + (", cuda" if count else ""))
    return device


def build_dataset(config: Config) -> DepthDataset:
    """Load a prepared dataset (load_dataset) or build a dataset by its class; write it to save_dataset if requested."""
    from pggan_framework.data.store.prepared import load_prepared, save_prepared

    general = config.general
    if general.load_dataset:
        dataset: DepthDataset = load_prepared(Path(general.load_dataset))
    else:
        dataset = make(config, general.dataset_class)
    check_dataset(dataset)
    if general.save_dataset and not general.dry_run:
        dataset.prepare()
        save_prepared(dataset, Path(general.save_dataset))
    return dataset


def build_networks(config: Config, dataset: DepthDataset) -> tuple[GeneratorBase, DiscriminatorBase]:
    """Build both networks for the shapes of `dataset`, with random weights from the run's seed.

    Raises:
        UserError: if the data are labelled but a network does not support labels, or if growing is enabled but a
            network does not support it.
    """
    seed_step(derive(config.general.random_seed, _WEIGHTS), 0, 0)
    generator = _make_network(config, config.general.generator, dataset)
    discriminator = _make_network(config, config.general.discriminator, dataset)
    if not REGISTRY.get(config.general.generator).is_own:
        check_generator(generator)
    if not REGISTRY.get(config.general.discriminator).is_own:
        check_discriminator(discriminator)
    return generator, discriminator


def _make_network(config: Config, name: str, dataset: DepthDataset) -> Any:
    """Build a network for the data; labels are passed only to networks that support them."""
    space, cls = dataset.label_space, REGISTRY.get(name).cls
    if config.general.progressive_growing and not getattr(cls, "grows", True):
        raise UserError(f"{name} cannot grow: set progressive_growing to False, or choose another network")
    if space is None:
        return make(config, name, shape=dataset.growth)
    if "label_space" not in inspect.signature(cls).parameters:
        names = ", ".join(attribute.name for attribute in space.attributes)
        raise UserError(f"{name} cannot be conditioned, but the data are labelled with {names}; omit the labels")
    if isinstance(space, MapSpace) and not getattr(cls, "takes_maps", False):
        raise UserError(
            f"{name} does not support label maps, but the data have them; allowed: generator SPADEGenerator with"
            " discriminator MapDiscriminator, or a custom network with takes_maps = True"
        )
    return make(config, name, shape=dataset.growth, label_space=space)


def build_loss(config: Config, dataset: DepthDataset, made: dict[str, Any] | None = None) -> Loss:
    """Build the loss: adversarial loss, penalties and, for labelled data, the terms of the auxiliary classifier.

    A penalty that wraps a loss is built last, around all other terms.

    Args:
        config: resolved configuration.
        dataset: training data.
        made: dict that receives the built components by name.

    Raises:
        UserError: if the classifier is configured but there are no labels or D does not classify, or if two terms are
            equal.
    """
    made = {} if made is None else made
    space, labels = dataset.label_space, dataset.labels
    counts = None if space is None or labels is None else space.counts(labels)
    loss: Loss = make(config, config.general.loss, label_counts=counts)
    made[config.general.loss] = loss
    names = config.general.penalties
    around = [name for name in names if "loss" in injected(REGISTRY.get(name).cls)]
    for name in names:
        if name not in around:
            made[name] = make(config, name, label_counts=counts)
            loss = loss + _further_terms(name, loss, made[name].terms)
    classifier: AuxiliaryClassifier = make(config, "AuxiliaryClassifier", label_counts=counts)
    made["AuxiliaryClassifier"] = classifier
    classifies = getattr(REGISTRY.get(config.general.discriminator).cls, "classifies", True)
    given = _changed(config, "AuxiliaryClassifier")
    if space is not None and classifies:
        loss = loss + classifier.terms
    elif given:
        why = f"{config.general.discriminator} receives the labels and has no classifier; choose another discriminator"
        if classifies:
            why = "the data have no labels; name some of the dataset's"
        raise UserError(f"AuxiliaryClassifier.{given[0]} is given, but {why}")
    for name in around:
        loss = made[name] = make(config, name, loss=loss)
    return loss


def _changed(config: Config, name: str) -> list[str]:
    """Return the parameters of a component with non-default values."""
    flags = parameters(REGISTRY.get(name).cls, name)
    return [parameter for parameter, value in config.components[name].items() if value != flags[parameter].default]


def _further_terms(penalty: str, loss: Loss, terms: Sequence[Term]) -> Sequence[Term]:
    """Return `terms`; raises an error if the loss has a term of the same name, since their values would be mixed up."""
    taken = {term.name for term in loss.terms}
    for term in terms:
        if term.name in taken:
            raise UserError(
                f"penalties: {penalty} is given, but there is a term '{term.name}' already; omit one of them"
                " (WGANGP has a gradient penalty and a drift; iwass_lambda 0, iwass_epsilon 0 turn them off)"
            )
    return terms


def build_augmentations(config: Config, dataset: DepthDataset) -> Augmentations:
    """Build the configured augmentations, in order.

    Raises:
        UserError: if an augmentation does not support the data.
    """
    augmentations = Augmentations([make(config, name) for name in config.general.augmentations], dataset.range_out)
    augmentations.check(dataset.codec, dataset.label_space)
    return augmentations


def depth_manager(config: Config) -> DepthManager | None:
    """Build the DepthManager with its schedule, unless growing is disabled.

    Raises:
        UserError: if there is a schedule but growing is disabled.
    """
    if not config.general.progressive_growing:
        if config.general.schedule is not None:
            raise UserError(
                f"schedule: {config.general.schedule} is given, but progressive_growing is False; allowed: one of them"
            )
        return None
    general = config.general
    schedule = None if general.schedule is None else make(config, general.schedule)
    manager: DepthManager = make(config, "DepthManager", schedule=schedule)
    if schedule is not None and manager.phases_given and general.minutes is None:
        print(f"note: DepthManager.lod_... is given but {general.schedule} is used", file=sys.stderr)
    return manager
