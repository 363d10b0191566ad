"""Build generators from a file's description, after checking that the weights in the file match it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from pggan_framework.errors import UserError
from pggan_framework.networks.base import GeneratorBase


def build_generator(path: Path, cls: type, arguments: Mapping[str, Any], weights: Mapping[str, Any]) -> GeneratorBase:
    """Build a generator and load its weights.

    A few bytes of an untrusted file can describe a network of any size. The network is therefore first built on the
    meta device, which needs no memory, and its sizes are compared with the weights.

    Args:
        path: path of the file, for messages.
        cls: class of the generator.
        arguments: arguments of the constructor.
        weights: tensors of the generator by name.

    Raises:
        UserError: if the weights do not fit the network.
    """
    with torch.device("meta"):
        sizes = {name: tuple(value.shape) for name, value in cls(**arguments).state_dict().items()}
    stored = {name: tuple(value.shape) for name, value in weights.items()}
    wrong = [name for name in {**sizes, **stored} if sizes.get(name) != stored.get(name)]
    if wrong:
        name = wrong[0]
        raise UserError(
            f"{path} does not describe its generator: {name} has {stored.get(name, 'no values')}, and the description"
            f" makes it {sizes.get(name, 'no part of the network')}"
        )
    generator: GeneratorBase = cls(**arguments)
    generator.load_state_dict(weights)
    return generator
