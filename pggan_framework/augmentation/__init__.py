"""Augmentations: random transforms of D's input images that reduce overfitting on small data sets."""

from pggan_framework.augmentation.ada import ADA
from pggan_framework.augmentation.base import Augmentation, Augmentations
from pggan_framework.augmentation.diffaugment import DiffAugment
from pggan_framework.augmentation.jitter import ColourJitter
from pggan_framework.augmentation.spectrogram import SpectrogramAugment

__all__ = ["ADA", "Augmentation", "Augmentations", "ColourJitter", "DiffAugment", "SpectrogramAugment"]
