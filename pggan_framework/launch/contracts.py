"""Interface checks of datasets and networks at construction; each error is one line with the class and the fault."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pggan_framework.data.base import DepthDataset
from pggan_framework.errors import UserError
from pggan_framework.labels.attributes import LabelSpace
from pggan_framework.networks.base import DiscriminatorBase, GeneratorBase, GrowingNetwork, Verdict

_EXAMPLES = 8
"""Number of images that are checked, evenly spaced in the data."""
_BATCH = 2


def check_dataset(dataset: DepthDataset) -> None:
    """Check that some images have the declared shape and value range, and that all images of labelled data have labels.

    Raises:
        UserError: if the check fails.
    """
    name = type(dataset).__name__
    if not hasattr(dataset, "growth"):
        raise UserError(f"{name} does not call super().__init__(shape) in its constructor")
    if not len(dataset):
        raise UserError(f"{name} has no images; allowed: one or more")
    if dataset.label_space is not None and (dataset.labels is None or len(dataset.labels) != len(dataset)):
        found = "none" if dataset.labels is None else f"{len(dataset.labels)}"
        raise UserError(f"{name} has a label_space, but {found} labels for {len(dataset)} images; allowed: one each")
    here = dataset.present(np.arange(len(dataset)))
    low, high = dataset.range_in
    for index in here[np.unique(np.linspace(0, len(here) - 1, _EXAMPLES).astype(int))].tolist() if len(here) else []:
        image = dataset.image(index)
        if image.shape != dataset.shape or image.dtype not in (np.uint8, np.float16, np.float32):
            raise UserError(
                f"{name}: image {index} is {image.dtype} {list(image.shape)}; allowed: uint8, float16 or float32"
                f" {list(dataset.shape)}, the shape given to super().__init__"
            )
        if not (image.min() >= low and image.max() <= high):
            raise UserError(
                f"{name}: image {index} has values from {image.min():g} to {image.max():g}; allowed: range_in,"
                f" {low:g} to {high:g}; give the range of the values as range_in to super().__init__"
            )


def check_generator(G: GeneratorBase) -> None:
    """Check that a generator outputs images of the declared shape at its lowest depth.

    Raises:
        UserError: if the check fails.
    """
    _check_built(G, "GeneratorBase")
    name = type(G).__name__
    with _at_lowest_depth(G) as labels:
        latents = torch.zeros(_BATCH, G.latent_size)
        made = _call(f"{name}.forward(latents [{_BATCH}, {G.latent_size}]{_and(labels)})", G, latents, labels)
        wanted = [_BATCH, *G.growth.shape_at(G.depth)]
    if not isinstance(made, Tensor) or list(made.shape) != wanted:
        raise UserError(
            f"{name}.forward returns {_shown(made)} at depth {G.depths[0]}; allowed: images {wanted}, as"
            " in self.growth.shape_at(self.depth)"
        )


def check_discriminator(D: DiscriminatorBase) -> None:
    """Check a discriminator's outputs at its lowest depth: scores [N] and features [N, F].

    Raises:
        UserError: if the check fails.
    """
    _check_built(D, "DiscriminatorBase")
    name = type(D).__name__
    with _at_lowest_depth(D) as labels:
        images = torch.zeros(_BATCH, *D.growth.shape_at(D.depth))
        verdict = _call(f"{name}.judge(images {list(images.shape)}{_and(labels)})", D.judge, images, labels)
    if not isinstance(verdict, Verdict):
        raise UserError(f"{name}.judge returns {_shown(verdict)}; allowed: a networks.base.Verdict")
    if list(verdict.scores.shape) != [_BATCH] or verdict.features.dim() != 2 or len(verdict.features) != _BATCH:
        raise UserError(
            f"{name}.judge returns scores {_shown(verdict.scores)} and features {_shown(verdict.features)} for"
            f" {_BATCH} images; allowed: scores [{_BATCH}] and features [{_BATCH}, F]"
        )


def _check_built(network: GrowingNetwork, base: str) -> None:
    if not hasattr(network, "growth"):
        raise UserError(f"{type(network).__name__} does not call super().__init__ of {base} in its constructor")


@contextmanager
def _at_lowest_depth(network: GrowingNetwork) -> Iterator[Tensor | None]:
    """A context with the network at its lowest depth and without gradients; yields labels if the network uses them."""
    depth, training = network.depth, network.training
    try:
        with torch.random.fork_rng([]), torch.no_grad():
            network.depth = network.depths[0]
            yield _labels(network.eval(), network.label_space)
    finally:
        network.train(training)
        network.depth = depth


def _labels(network: GrowingNetwork, space: LabelSpace | None) -> Tensor | None:
    if space is None:
        return None
    rows = space.uniform(np.zeros((_BATCH, len(space.attributes))))
    return torch.from_numpy(space.condition(rows, network.size)).float()


def _call(what: str, function: Any, *arguments: Any) -> Any:
    try:
        return function(*arguments)
    except Exception as error:
        raise UserError(f"{what} fails: {type(error).__name__}: {error}") from error


def _and(labels: Tensor | None) -> str:
    return ", None" if labels is None else f", labels {list(labels.shape)}"


def _shown(value: Any) -> str:
    return f"{list(value.shape)}" if isinstance(value, Tensor) else f"a {type(value).__name__}"
