"""Generators and discriminators that grow."""

from pggan_framework.networks.autoencoder import AutoencoderDiscriminator
from pggan_framework.networks.base import DiscriminatorBase, GeneratorBase, GrowingNetwork, Verdict
from pggan_framework.networks.describe import describe
from pggan_framework.networks.pggan import Discriminator, Generator

__all__ = [
    "AutoencoderDiscriminator",
    "Discriminator",
    "DiscriminatorBase",
    "Generator",
    "GeneratorBase",
    "GrowingNetwork",
    "Verdict",
    "describe",
]
