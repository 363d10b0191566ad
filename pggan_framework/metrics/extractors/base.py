"""What a feature extractor is: a fixed network that turns pictures into numbers which say what they show."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from pggan_framework.errors import UserError

COLOURS = (1, 3, 4)
"""Channels a picture may have: grey, RGB, RGBA."""
_SHOWN = 16
"""Hexadecimal digits of a digest."""


class Outputs(NamedTuple):
    """What one pass through an extractor gives.

    Args:
        maps: inner layers, the finest first, [N, C_k, h_k, w_k] each.
        features: [N, F].
        logits: of the classes the network was trained on, [N, K]; None if it was trained on none.
    """

    maps: list[Tensor]
    features: Tensor
    logits: Tensor | None


class Extractor(nn.Module, ABC):
    """Base of all extractors: pictures [N, C, H, W] in [-1, 1], C 1, 3 or 4, of any size, to features [N, F].

    The network is frozen and always in evaluation mode; gradients flow to the pictures. Grey pictures are shown as RGB,
    transparent ones on middle grey. Each extractor resizes them itself.

    Args:
        missing: what it lacks, as `missing()` says; empty if nothing.

    Raises:
        UserError: if it lacks something.
    """

    name: ClassVar[str]
    """Its registered name."""

    def __init__(self, missing: str = "") -> None:
        super().__init__()
        if missing:
            raise UserError(f"the extractor {self.name} {missing}")
        self._identity = ""

    @classmethod
    def missing(cls) -> str:
        """What must be installed, how, and under which licence it comes; empty if all is there."""
        return ""

    @classmethod
    def available(cls) -> bool:
        """Whether it can be built here with its defaults."""
        return not cls.missing()

    @abstractmethod
    def outputs(self, images: Tensor) -> Outputs:
        """Everything in one pass.

        Args:
            images: float [N, C, H, W] in [-1, 1].

        Raises:
            UserError: if they are no pictures of 1, 3 or 4 channels.
        """

    def features(self, images: Tensor) -> Tensor:
        """Features [N, F] of pictures [N, C, H, W] in [-1, 1]."""
        return self.outputs(images).features

    def maps(self, images: Tensor) -> list[Tensor]:
        """Inner layers [N, C_k, h_k, w_k] of pictures [N, C, H, W] in [-1, 1], the finest first."""
        return self.outputs(images).maps

    def logits(self, images: Tensor) -> Tensor | None:
        """Logits [N, K] of pictures [N, C, H, W] in [-1, 1]; None if the network knows no classes."""
        return self.outputs(images).logits

    def forward(self, images: Tensor) -> Tensor:
        """The same as `features`."""
        return self.features(images)

    def identity(self) -> str:
        """Name, settings and a digest of the weights: two extractors of the same identity give the same features."""
        if not self._identity:
            digest = hashlib.sha256()
            for name, tensor in sorted(self.state_dict().items()):
                values = tensor.detach().cpu().contiguous()
                digest.update(f"{name} {values.dtype} {tuple(values.shape)};".encode())
                digest.update(values.reshape(-1).view(torch.uint8).numpy().tobytes())
            self._identity = f"{self.name}{self.settings()}:{digest.hexdigest()[:_SHOWN]}"
        return self._identity

    def settings(self) -> str:
        """What else than its weights decides its features, as part of its `identity`."""
        return ""

    def train(self, mode: bool = True) -> Extractor:
        """Stay in evaluation mode, whatever is asked."""
        super().train(False)
        return self

    def freeze(self) -> None:
        """Take the weights as they are for good; to be called once they are loaded."""
        self.requires_grad_(False)
        self.train(False)


def rgb(images: Tensor) -> Tensor:
    """Pictures [N, C, H, W] in [-1, 1] as RGB [N, 3, H, W]: grey repeated, transparency shown on middle grey.

    Raises:
        UserError: if they are no floating-point pictures of 1, 3 or 4 channels.
    """
    if images.ndim != 4 or not images.is_floating_point() or images.shape[1] not in COLOURS:
        raise UserError(
            f"pictures are {images.dtype} {list(images.shape)}; allowed for an extractor: floating point [N, C, H, W] "
            "with 1 (grey), 3 (RGB) or 4 (RGBA) channels"
        )
    if images.shape[1] == 4:
        return images[:, :3] * ((images[:, 3:] + 1) / 2)
    return images.expand(-1, 3, -1, -1)
