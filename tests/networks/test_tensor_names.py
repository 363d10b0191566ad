"""Checkpoints name tensors by the attributes of the networks: tensor_names.json has the names and shapes of a version
whose checkpoints must load. A change that renames one needs a mapping of the old names, not another file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from maps import random_maps, space_of

from pggan_framework.labels.attributes import Attribute, LabelSpace
from pggan_framework.models.pretrained import load_for_models
from pggan_framework.registry import REGISTRY
from pggan_framework.schedules.growth import Growth

STORED: dict[str, dict[str, list[int]]] = json.loads(Path(__file__).with_name("tensor_names.json").read_text())
LABELS = LabelSpace((Attribute("kind", ("a", "b")), Attribute("age", span=(0.0, 4.0))))
MAPS = space_of(random_maps(2, 8, 8))
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "Generator": ("Generator", {"fmap_max": 4, "latent_size": 4}),
    "Generator, all options": (
        "Generator",
        {
            "fmap_max": 4,
            "norm": "batch",
            "spectral_norm": True,
            "excitation": 1,
            "position_bias": True,
            "label_space": LABELS,
            "plain_labels": ["kind"],
        },
    ),
    "Generator, layer norm": ("Generator", {"fmap_max": 4, "norm": "layer", "upsampling": "filtered"}),
    "Discriminator": ("Discriminator", {"fmap_max": 4}),
    "Discriminator, all options": (
        "Discriminator",
        {
            "fmap_max": 4,
            "norm": "instance",
            "spectral_norm": True,
            "row_statistics": True,
            "residual": True,
            "filtered_downscale": True,
            "decoders": True,
            "label_space": LABELS,
        },
    ),
    "ProjectionDiscriminator": ("ProjectionDiscriminator", {"fmap_max": 4, "label_space": LABELS}),
    "ProjectedDiscriminator": (
        "ProjectedDiscriminator",
        {"extractor": "random", "size": 32, "fmap_base": 2, "fmap_max": 4, "label_space": LABELS},
    ),
    "AutoencoderDiscriminator": ("AutoencoderDiscriminator", {"fmap_max": 4, "norm": "layer"}),
    "DCGANGenerator": ("DCGANGenerator", {"fmap_base": 4, "fmap_max": 4, "latent_size": 4, "label_space": LABELS}),
    "DCGANDiscriminator": ("DCGANDiscriminator", {"fmap_base": 4, "fmap_max": 4, "norm": "batch"}),
    "R3GANGenerator": ("R3GANGenerator", {"fmap_max": 16, "latent_size": 4, "label_space": LABELS}),
    "R3GANDiscriminator": ("R3GANDiscriminator", {"fmap_max": 16}),
    "StyleGAN2Generator": ("StyleGAN2Generator", {"fmap_max": 4, "latent_size": 4, "label_space": LABELS}),
    "StyleGAN2Discriminator": ("StyleGAN2Discriminator", {"fmap_max": 4}),
    "SPADEGenerator": ("SPADEGenerator", {"fmap_max": 4, "latent_size": 4, "label_space": MAPS}),
    "SPADEGenerator, batch": (
        "SPADEGenerator",
        {"fmap_max": 4, "latent_size": 4, "label_space": MAPS, "norm": "batch"},
    ),
    "MapDiscriminator": ("MapDiscriminator", {"fmap_max": 4, "label_space": MAPS}),
}


def named(case: str) -> dict[str, list[int]]:
    """The names and shapes of a network's tensors."""
    name, options = CASES[case]
    load_for_models()
    network = REGISTRY.get(name).cls(Growth.of((1, 8, 8)), **options)
    return {name: list(tensor.shape) for name, tensor in network.state_dict().items()}


@pytest.mark.parametrize("case", CASES)
def test_a_checkpoint_of_an_earlier_version_fits(case: str) -> None:
    assert named(case) == STORED[case]


def test_every_network_is_listed() -> None:
    load_for_models()
    networks = {each.name for each in REGISTRY if each.kind in ("generator", "discriminator") and each.is_own}
    assert {name for name, _ in CASES.values()} == networks
