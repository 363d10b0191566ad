"""A trained generator from a checkpoint, with all that is needed to use it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from pggan_framework.discovery import load_all
from pggan_framework.growth import Growth
from pggan_framework.networks.base import GeneratorBase
from pggan_framework.registry import REGISTRY
from pggan_framework.training.checkpoint import load_checkpoint

if TYPE_CHECKING:
    from pggan_framework.audio.base import Codec


@dataclass(frozen=True)
class Pretrained:
    """A generator out of a checkpoint.

    Args:
        generator: the averaged generator, at the depth it was trained to.
        codec: turns its pictures into sound; None for pictures.
        nimg: real images it was trained on.
        config: the configuration it was trained with.
    """

    generator: GeneratorBase
    codec: Codec | None
    nimg: int
    config: dict[str, Any]

    def sample(self, count: int, seed: int = 0, batch: int = 64) -> NDArray[np.float32]:
        """`count` pictures [count, C, h, w] in [-1, 1]; the same seed gives the same ones."""
        random = torch.Generator().manual_seed(seed)
        latents = torch.randn(count, self.generator.latent_size, generator=random)
        with torch.no_grad():
            parts = [self.generator(latents[start : start + batch]).float().numpy() for start in range(0, count, batch)]
        return np.concatenate(parts)


def load_generator(path: Path) -> Pretrained:
    """Read the averaged generator from a checkpoint onto the CPU.

    Raises:
        UserError: if the file is no whole checkpoint.
    """
    state = load_checkpoint(path)
    config = state["config"]
    load_all(config["plugin_dirs"])
    growth = Growth(
        state["growth"]["channels"],
        tuple(state["growth"]["seed"]),
        tuple((bool(down), bool(across)) for down, across in state["growth"]["doubles"]),
    )
    component = REGISTRY.get(config["generator"], "generator")
    generator = component.cls(shape=growth, **config[component.name])
    generator.load_state_dict(state["ema"])
    generator.depth = state["networks"]["depth"]
    generator.alpha = state["networks"]["alpha"]
    codec = None
    if state["codec"] is not None:
        from pggan_framework.audio import codec_from_state

        codec = codec_from_state(state["codec"])
    return Pretrained(generator.eval(), codec, state["nimg"], config)
