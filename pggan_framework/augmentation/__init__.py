"""Augmentations: random changes of D's input images, against overfitting on little data."""

from pggan_framework.augmentation.ada import ADA
from pggan_framework.augmentation.base import Augmentation, Augmentations
from pggan_framework.augmentation.diffaugment import DiffAugment
from pggan_framework.augmentation.jitter import ColourJitter
from pggan_framework.augmentation.spectrogram import SpectrogramAugment

__all__ = ["ADA", "Augmentation", "Augmentations", "ColourJitter", "DiffAugment", "SpectrogramAugment"]
