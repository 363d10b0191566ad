"""The base class of feature extractors: fixed networks that turn images into features."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from pggan_framework.errors import UserError

COLOURS = (1, 3, 4)
"""Allowed numbers of image channels: grey, RGB, RGBA."""
_SHOWN = 16
"""Hexadecimal digits of a digest."""


class Outputs(NamedTuple):
    """The outputs of one pass through an extractor.

    Args:
        maps: feature maps of inner layers, the finest first, [N, C_k, h_k, w_k] each.
        features: [N, F], pooled features.
        logits: [N, K], for the classes of the network's training data; None if it is not a classifier.
    """

    maps: list[Tensor]
    features: Tensor
    logits: Tensor | None


class Extractor(nn.Module, ABC):
    """Base of all extractors: images [N, C, H, W] in [-1, 1], C 1, 3 or 4, of any size, to features [N, F].

    The network is frozen and always in evaluation mode; gradients flow to the images. Grey images are converted to RGB,
    images with transparency are composited on middle grey. Each extractor resizes its images itself.

    Args:
        missing: missing requirements, from `missing()`; empty if there are none.

    Raises:
        UserError: if a requirement is missing.
    """

    name: ClassVar[str]
    """Registered name."""

    def __init__(self, missing: str = "") -> None:
        super().__init__()
        if missing:
            raise UserError(f"the extractor {self.name} {missing}")
        self._identity = ""

    @classmethod
    def missing(cls) -> str:
        """Return the packages and files to install, with instructions and licences; empty if nothing is missing."""
        return ""

    @classmethod
    def available(cls) -> bool:
        """True if the extractor can be built on this machine with its defaults."""
        return not cls.missing()

    @abstractmethod
    def outputs(self, images: Tensor) -> Outputs:
        """Compute all outputs in one pass.

        Args:
            images: float [N, C, H, W] in [-1, 1].

        Raises:
            UserError: if they are not images of 1, 3 or 4 channels.
        """

    def features(self, images: Tensor) -> Tensor:
        """Features [N, F] of images [N, C, H, W] in [-1, 1]."""
        return self.outputs(images).features

    def maps(self, images: Tensor) -> list[Tensor]:
        """Inner layers [N, C_k, h_k, w_k] of images [N, C, H, W] in [-1, 1], the finest first."""
        return self.outputs(images).maps

    def logits(self, images: Tensor) -> Tensor | None:
        """Logits [N, K] of images [N, C, H, W] in [-1, 1]; None if the network is not a classifier."""
        return self.outputs(images).logits

    def forward(self, images: Tensor) -> Tensor:
        """The same as `features`."""
        return self.features(images)

    def identity(self) -> str:
        """Return name, settings and a digest of the weights: extractors of equal identity return equal features."""
        if not self._identity:
            digest = hashlib.sha256()
            for name, tensor in sorted(self.state_dict().items()):
                values = tensor.detach().cpu().contiguous()
                digest.update(f"{name} {values.dtype} {tuple(values.shape)};".encode())
                digest.update(values.reshape(-1).view(torch.uint8).numpy().tobytes())
            self._identity = f"{self.name}{self.settings()}:{digest.hexdigest()[:_SHOWN]}"
        return self._identity

    def settings(self) -> str:
        """Return the settings that determine the features, without the weights; part of `identity`."""
        return ""

    def train(self, mode: bool = True) -> Extractor:
        """Stay in evaluation mode, whatever `mode` is."""
        super().train(False)
        return self

    def freeze(self) -> None:
        """Freeze the weights; call it once they are loaded."""
        self.requires_grad_(False)
        self.train(False)


def rgb(images: Tensor) -> Tensor:
    """Convert images [N, C, H, W] in [-1, 1] to RGB [N, 3, H, W]: grey repeated, transparency on middle grey.

    Raises:
        UserError: if they are not floating-point images of 1, 3 or 4 channels.
    """
    if images.ndim != 4 or not images.is_floating_point() or images.shape[1] not in COLOURS:
        raise UserError(
            f"images are {images.dtype} {list(images.shape)}; allowed for an extractor: floating point [N, C, H, W] "
            "with 1 (grey), 3 (RGB) or 4 (RGBA) channels"
        )
    if images.shape[1] == 4:
        return images[:, :3] * ((images[:, 3:] + 1) / 2)
    return images.expand(-1, 3, -1, -1)
