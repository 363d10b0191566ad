"""A source model: both networks of a checkpoint, and the description of their images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from pggan_framework.audio.base import Codec
from pggan_framework.config.discovery import load_all
from pggan_framework.errors import UserError
from pggan_framework.labels.maps import space_from_state
from pggan_framework.networks.base import DiscriminatorBase, GeneratorBase
from pggan_framework.registry import REGISTRY
from pggan_framework.schedules.growth import Growth
from pggan_framework.storage.limits import value_range
from pggan_framework.training.checkpoint import load_checkpoint


@dataclass(frozen=True)
class Source:
    """A model to start from.

    Args:
        path: path of the checkpoint.
        state: contents of the checkpoint.
        generator: raw generator, with its weights.
        discriminator: discriminator, with its weights.
        codec: codec that converts its images to sound; None for images.
    """

    path: Path
    state: dict[str, Any]
    generator: GeneratorBase
    discriminator: DiscriminatorBase
    codec: Codec | None

    @property
    def progress(self) -> float:
        """The trained depth: 2 if depth 2 is complete, 2.4 if depth 3 is at alpha 0.4."""
        networks = self.state["networks"]
        depth, alpha = int(networks["depth"]), float(networks["alpha"])
        return float(depth) if depth == 0 or alpha == 1 else depth - 1 + alpha

    @property
    def range_out(self) -> tuple[float, float]:
        """The value range of the model's images."""
        return value_range(self.state["growth"].get("range_out", (-1.0, 1.0)), self.path)

    @property
    def name(self) -> str:
        """The name for messages, such as ``007-piano/network-snapshot-000120.pt``."""
        return "/".join(self.path.resolve().parts[-2:])


def read_source(path: Path) -> Source:
    """Read a checkpoint, which may be from `pggan import`.

    Raises:
        UserError: if the file is not a complete checkpoint, or the classes of its networks are not available.
    """
    state = load_checkpoint(path)
    config, stored = state["config"], state["growth"]
    load_all(config["plugin_dirs"])
    doubles = tuple((bool(down), bool(across)) for down, across in stored["doubles"])
    growth = Growth(stored["channels"], tuple(stored["seed"]), doubles)
    labels = state.get("labels")
    space = None if labels is None else space_from_state(labels["space"])
    made = []
    # The random weights drawn here are overwritten; the random generators of the run are not used.
    with torch.random.fork_rng(devices=[]):
        for kind, weights in (("generator", state["networks"]["G"]), ("discriminator", state["networks"]["D"])):
            component = REGISTRY.get(config[kind], kind)
            own = config.get(component.name, config.get(config[kind], {}))
            extra = {} if space is None else {"label_space": space}
            try:
                network = component.cls(shape=growth, **own, **extra)
                network.load_state_dict(weights)
            except (RuntimeError, TypeError) as error:
                raise UserError(f"resume_network: {path} does not contain the {kind} that it lists: {error}") from error
            made.append(network)
    codec = None
    if state["codec"] is not None:
        from pggan_framework.audio import codec_from_state

        codec = codec_from_state(state["codec"])
    return Source(path, state, made[0], made[1], codec)
