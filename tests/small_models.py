"""Models of random weights as `models.growing` takes them, without a training."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from pggan_framework.audio.base import Codec
from pggan_framework.config import resolve_overrides
from pggan_framework.labels.attributes import Attribute, LabelSpace
from pggan_framework.models.growing.grow import Grown, grow
from pggan_framework.models.growing.labels import plain_labels
from pggan_framework.models.growing.networks import plain_of
from pggan_framework.models.growing.source import Source
from pggan_framework.networks.base import DiscriminatorBase, GeneratorBase
from pggan_framework.networks.pggan import Discriminator, Generator
from pggan_framework.networks.projection import ProjectionDiscriminator
from pggan_framework.schedules.growth import Growth

CONFIG = resolve_overrides(None, {}).to_dict()


@dataclass(frozen=True)
class Model:
    """What networks are made of.

    Args:
        growth: of the images.
        labels: what they are conditioned on.
        codec: what the images are.
        options: of both networks.
        generator: of the generator alone.
        discriminator: of the discriminator alone.
        told: whether the discriminator receives the labels.
    """

    growth: Growth
    labels: LabelSpace | None = None
    codec: Codec | None = None
    options: dict[str, Any] = field(default_factory=dict)
    generator: dict[str, Any] = field(default_factory=dict)
    discriminator: dict[str, Any] = field(default_factory=dict)
    told: bool = False

    def networks(self, seed: int, dtype: torch.dtype = torch.float64, **more: Any) -> tuple[Generator, Discriminator]:
        """Both, with biases that are not 0, as a training leaves them; in float64, so that only mappings differ."""
        torch.manual_seed(seed)
        own = {"fmap_base": 32, "fmap_max": 8, **self.options}
        G = Generator(self.growth, label_space=self.labels, latent_size=6, **own, **self.generator, **more)
        cls = ProjectionDiscriminator if self.told else Discriminator
        D = cls(self.growth, label_space=self.labels, **own, **self.discriminator)
        with torch.no_grad():
            for network in (G, D):
                for name, weight in network.named_parameters():
                    if name.endswith("bias"):
                        weight.normal_(0, 0.3)
        return G.to(dtype), D.to(dtype)


def source_of(G: GeneratorBase, D: DiscriminatorBase, codec: Codec | None = None) -> Source:
    """The model, whole at full depth, as a checkpoint would give it."""
    state = {
        "config": CONFIG,
        "nimg": 4000,
        "networks": {"G": G.state_dict(), "D": D.state_dict(), "depth": G.depth, "alpha": float(G.alpha)},
        "ema": {name: value * 0.9 for name, value in G.state_dict().items()},
        "optimizers": {},
        "growth": {},
    }
    return Source(Path("results/000-old/network-snapshot-000004.pt"), state, G, D, codec)


def grown(source: Source, model: Model, seed: int = 7) -> tuple[Generator, Discriminator, Grown]:
    """New networks of another model with what they take from the source."""
    assert isinstance(source.generator, Generator)
    old = source.generator
    more: dict[str, Any] = {}
    if model.labels != old.label_space or old.normalized is not None:
        space = old.label_space
        more["plain_labels"] = plain_labels(space, model.labels, plain_of(old)) or None
        names = {a.name for a in model.labels.attributes} if model.labels else set()
        if space and {a.name for a in space.attributes} - names:
            more["position_bias"] = True
    G, D = model.networks(seed, **more)
    taken = grow(source, G, D, model.codec)
    G.load_state_dict({**G.state_dict(), **deepcopy(taken.generator)})
    D.load_state_dict({**D.state_dict(), **deepcopy(taken.discriminator)})
    return G.eval(), D.eval(), taken


def instruments(*names: str, brightness: bool = False) -> LabelSpace:
    """Labels of instruments, and perhaps a number."""
    more = (Attribute("brightness", span=(0.0, 1.0)),) if brightness else ()
    return LabelSpace((Attribute("instrument", names), *more))
