"""Build single components from a resolved Config: data, networks, loss, augmentations, schedule."""

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

_WEIGHTS = 3  # which stream of the seed initialises the networks


def make(config: Config, name: str, **known: Any) -> Any:
    """Build the component `name` from its resolved parameters and what it lists as `injected`.

    Args:
        config: the resolved configuration.
        name: the component's.
        known: what can be injected, besides the general flags that name no component.

    Raises:
        UserError: if its constructor lacks a parameter or refuses one, by this or by a ValueError.
    """
    component = REGISTRY.get(name)
    flags = {flag: value for flag, value in vars(config.general).items() if flag not in CHOSEN}
    passed = {n: value for n, value in {**flags, **known}.items() if n in injected(component.cls)}
    given = {**passed, **config.components[component.name]}
    try:
        inspect.signature(component.cls).bind(**given)
    except TypeError as error:
        raise UserError(
            f"{component.name} in {component.module} cannot be made: {error};"
            f" what can be injected here: {', '.join(sorted({*known, *flags}))}"
        ) from error
    try:
        made = component.cls(**given)
    except ValueError as error:
        raise UserError(f"{component.name} cannot be made: {error}") from error
    if component.kind == "penalty" and not hasattr(made, "terms"):
        component.check(Penalty)
    return made


def choose_device(name: str, local_rank: int = 0) -> torch.device:
    """The device `name` means; ``auto`` is CUDA where there is one.

    Args:
        name: auto, cpu, cuda, cuda:1 or mps (an Apple GPU, which auto does not choose: nothing was tried on one).
        local_rank: number of this process among those of this machine; ``cuda`` is the GPU of that number.

    Raises:
        UserError: if it is not there.
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
    """The dataset: prepared (load_dataset) or built by its class; written to save_dataset if requested."""
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
    """Both networks for the shapes of `dataset`, their weights drawn by the run's seed.

    Raises:
        UserError: if one cannot be conditioned though the data are labelled, or is to grow and cannot.
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
    """A network for the data; labels are a matter only of those that know them."""
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
    """The adversarial loss, the penalties, and the auxiliary classifier's terms where the data are labelled.

    A penalty that is a loss itself is made last, about all the others.

    Args:
        config: the resolved configuration.
        dataset: the data.
        made: receives what was made, by name.

    Raises:
        UserError: if the classifier is requested something and there are no labels or D does not classify, or two
            terms are the same.
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
    """The parameters of a component that are not at their defaults."""
    flags = parameters(REGISTRY.get(name).cls, name)
    return [parameter for parameter, value in config.components[name].items() if value != flags[parameter].default]


def _further_terms(penalty: str, loss: Loss, terms: Sequence[Term]) -> Sequence[Term]:
    """`terms`, unless the loss has one of the same name already: their values could not be distinguished."""
    taken = {term.name for term in loss.terms}
    for term in terms:
        if term.name in taken:
            raise UserError(
                f"penalties: {penalty} is given, but there is a term '{term.name}' already; omit one of them"
                " (WGANGP has a gradient penalty and a drift; iwass_lambda 0, iwass_epsilon 0 turn them off)"
            )
    return terms


def build_augmentations(config: Config, dataset: DepthDataset) -> Augmentations:
    """The augmentations requested, in order.

    Raises:
        UserError: if one does not suit the data.
    """
    augmentations = Augmentations([make(config, name) for name in config.general.augmentations], dataset.range_out)
    augmentations.check(dataset.codec, dataset.label_space)
    return augmentations


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
    manager: DepthManager = make(config, "DepthManager", schedule=schedule)
    if schedule is not None and manager.phases_given and general.minutes is None:
        print(f"note: DepthManager.lod_... is given but {general.schedule} is used", file=sys.stderr)
    return manager
