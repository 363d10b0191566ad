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
from pggan_framework.training.checkpoint import load_checkpoint


@dataclass(frozen=True)
class Source:
    """A model to start from.

    Args:
        path: its checkpoint.
        state: what the checkpoint holds.
        generator: the raw generator, with its weights.
        discriminator: the discriminator, with its weights.
        codec: turns its images into sound; None for images.
    """

    path: Path
    state: dict[str, Any]
    generator: GeneratorBase
    discriminator: DiscriminatorBase
    codec: Codec | None

    @property
    def progress(self) -> float:
        """The depth it was trained to: 2 if depth 2 is complete, 2.4 if depth 3 is at alpha 0.4."""
        networks = self.state["networks"]
        depth, alpha = int(networks["depth"]), float(networks["alpha"])
        return float(depth) if depth == 0 or alpha == 1 else depth - 1 + alpha

    @property
    def range_out(self) -> tuple[float, float]:
        """The value range of its images."""
        low, high = self.state["growth"].get("range_out", (-1.0, 1.0))
        return float(low), float(high)

    @property
    def name(self) -> str:
        """``007-piano/network-snapshot-000120.pt``."""
        return "/".join(self.path.resolve().parts[-2:])


def read_source(path: Path) -> Source:
    """Read a checkpoint, one of `pggan import` among them.

    Raises:
        UserError: if it is not a complete checkpoint, or its networks are unavailable here.
    """
    state = load_checkpoint(path)
    config, stored = state["config"], state["growth"]
    load_all(config["plugin_dirs"])
    doubles = tuple((bool(down), bool(across)) for down, across in stored["doubles"])
    growth = Growth(stored["channels"], tuple(stored["seed"]), doubles)
    labels = state.get("labels")
    space = None if labels is None else space_from_state(labels["space"])
    made = []
    # What is drawn here is overwritten: the run's own randomness is not touched.
    with torch.random.fork_rng(devices=[]):
        for kind, weights in (("generator", state["networks"]["G"]), ("discriminator", state["networks"]["D"])):
            component = REGISTRY.get(config[kind], kind)
            own = config.get(component.name, config.get(config[kind], {}))
            extra = {} if space is None else {"label_space": space}
            try:
                network = component.cls(shape=growth, **own, **extra)
                network.load_state_dict(weights)
            except (RuntimeError, TypeError) as error:
                raise UserError(f"resume_network: {path} does not hold the {kind} that it names: {error}") from error
            made.append(network)
    codec = None
    if state["codec"] is not None:
        from pggan_framework.audio import codec_from_state

        codec = codec_from_state(state["codec"])
    return Source(path, state, made[0], made[1], codec)
