"""Networks: generators and discriminators."""

from pggan_framework.networks.autoencoder import AutoencoderDiscriminator
from pggan_framework.networks.base import DiscriminatorBase, GeneratorBase, GrowingNetwork, Verdict
from pggan_framework.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from pggan_framework.networks.describe import describe
from pggan_framework.networks.pggan import Discriminator, Generator
from pggan_framework.networks.projected import ProjectedDiscriminator
from pggan_framework.networks.projection import ProjectionDiscriminator
from pggan_framework.networks.r3gan import R3GANDiscriminator, R3GANGenerator
from pggan_framework.networks.spade import MapDiscriminator, SPADEGenerator
from pggan_framework.networks.stylegan2 import StyleGAN2Discriminator, StyleGAN2Generator

__all__ = [
    "AutoencoderDiscriminator",
    "DCGANDiscriminator",
    "DCGANGenerator",
    "Discriminator",
    "DiscriminatorBase",
    "Generator",
    "GeneratorBase",
    "GrowingNetwork",
    "MapDiscriminator",
    "ProjectedDiscriminator",
    "ProjectionDiscriminator",
    "R3GANDiscriminator",
    "R3GANGenerator",
    "SPADEGenerator",
    "StyleGAN2Discriminator",
    "StyleGAN2Generator",
    "Verdict",
    "describe",
]
