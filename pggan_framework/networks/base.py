"""The common interface of networks: depth, alpha, shapes, and a discriminator's output."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from math import log2
from typing import ClassVar

import torch
from torch import Tensor, nn

from pggan_framework.errors import UserError
from pggan_framework.labels.attributes import LabelSpace
from pggan_framework.networks.execution import DEFAULT, Execution, RecomputeWish, pixels_for
from pggan_framework.networks.recompute import recomputed
from pggan_framework.registry import contract
from pggan_framework.schedules.growth import Growth


def growth_of(shape: Sequence[int] | Growth) -> Growth:
    """The growth of networks for images of a shape [C, H, W], if it is not one already."""
    return shape if isinstance(shape, Growth) else Growth.of(shape)


@dataclass(frozen=True)
class Verdict:
    """The output of a discriminator for a batch.

    Args:
        scores: [N], unbounded, higher for what it takes for real.
        features: [N, F], the penultimate features.
        logits: [N, width], what it takes the labels to be, a block for each attribute; None without labels.
        reconstruction: [N, C, h, w], what an auto-encoder makes of the images; None of any other discriminator.
    """

    scores: Tensor
    features: Tensor
    logits: Tensor | None = None
    reconstruction: Tensor | None = None

    def float(self) -> Verdict:
        """The same in float32 where it was in less."""
        fields = (self.scores, self.features, self.logits, self.reconstruction)
        return Verdict(*(None if field is None else field.float() for field in fields))  # type: ignore[arg-type]

    def split(self, parts: int) -> list[Verdict]:
        """The outputs for `parts` equal batches that were processed together."""
        fields = (self.scores, self.features, self.logits, self.reconstruction)
        columns = ([None] * parts if field is None else field.chunk(parts) for field in fields)
        return [Verdict(*row) for row in zip(*columns, strict=True)]


class GrowingNetwork(nn.Module):
    """A network that is as deep as `depth` says, its newest block weighted by `alpha`.

    Args:
        growth: the shapes it grows through.
        label_space: what it is conditioned on, if it is.
    """

    injected: ClassVar[tuple[str, ...]] = ("shape", "growth", "label_space")
    grows: ClassVar[bool] = True
    """Whether it can be at a lower depth than the deepest, and fade."""
    takes_maps: ClassVar[bool] = False
    """Whether it can be conditioned on label maps; one that does not is refused where the data have them."""
    alpha_value: Tensor
    execution: Execution = DEFAULT
    """How it computes; see `execute`."""

    def __init__(self, growth: Growth, label_space: LabelSpace | None = None) -> None:
        super().__init__()
        self.growth = growth
        self.label_space = label_space
        self._depth = growth.max_depth
        self._whole = True
        # Alpha follows from the schedule, so it is not part of the weights.
        self.register_buffer("alpha_value", torch.ones(()), persistent=False)

    @property
    def max_depth(self) -> int:
        """Index of the deepest block."""
        return self.growth.max_depth

    @property
    def depths(self) -> range:
        """The depths it can be at."""
        return range(0 if self.grows else self.max_depth, self.max_depth + 1)

    @property
    def depth(self) -> int:
        """Index of the newest block in use.

        Raises:
            ValueError: if set to a depth the network does not have.
        """
        return self._depth

    @depth.setter
    def depth(self, value: int) -> None:
        if value not in self.depths:
            raise ValueError(f"depth {value} is outside {self.depths[0]} to {self.max_depth}")
        self._depth = value

    @property
    def size(self) -> tuple[int, int]:
        """[h, w] of the images at the current depth."""
        _, height, width = self.growth.shape_at(self._depth)
        return height, width

    @property
    def alpha(self) -> Tensor:
        """Weight of the newest block, a scalar tensor in [0, 1]."""
        return self.alpha_value

    @alpha.setter
    def alpha(self, value: float | Tensor) -> None:
        number = float(value)
        if not 0 <= number <= 1:
            raise ValueError(f"alpha {number} is outside 0 to 1")
        # Remembered here, so that no forward pass has to read the tensor back from its device.
        self._whole = number == 1
        with torch.no_grad():
            self.alpha_value.fill_(number)

    @property
    def fading(self) -> bool:
        """Whether the block before the newest still has weight: alpha below 1, at depth 1 or more."""
        return self._depth > 0 and not self._whole

    def execute(self, execution: Execution) -> None:
        """Compute as `execution` says from now on, in every layer."""
        for module in self.modules():
            if hasattr(type(module), "execution"):
                setattr(module, "execution", execution)  # noqa: B010  -- of nn.Module the type is another

    def checkpoint_activations(self, wish: RecomputeWish) -> None:
        """Recompute feature maps in the backward pass, rather than keep them: those that are `LARGE`, all, or none."""
        self.execute(replace(self.execution, recompute_from=pixels_for(wish)))

    def recomputes(self, depth: int) -> bool:
        """Whether feature maps of `depth` are recomputed in the backward pass."""
        pixels, (_, height, width) = self.execution.recompute_from, self.growth.shape_at(depth)
        return pixels is not None and height * width >= pixels

    def run(
        self,
        depth: int,
        work: Callable[..., Tensor],
        modules: Sequence[nn.Module],
        *inputs: Tensor,
        apart: bool = False,
    ) -> Tensor:
        """``work(*modules, *inputs)``; where `depth` recomputes, only the inputs are kept for the backward pass.

        Args:
            depth: that of its feature maps.
            work: a part of the network, as a function of modules and tensors.
            modules: those it uses, which have weights or buffers.
            inputs: tensors [N, ...].
            apart: whether it draws nothing and sees each sample by itself, but for layers that `recomputed` knows.
        """
        if self.execution.recompute_from is not None and self.recomputes(depth) and torch.is_grad_enabled():
            return recomputed(work, modules, *inputs, apart=apart)
        return work(*modules, *inputs)

    def used(self) -> Iterable[nn.Module]:
        """The modules in use at the current depth and alpha, and all that are in them."""
        return self.modules()

    def earlier(self) -> Sequence[nn.Module]:
        """What an earlier depth than the current one has trained, for a schedule that holds it fixed."""
        raise UserError(f"{type(self).__name__} does not know its blocks by depth, so that none can be frozen")

    def check_labels(self, labels: Tensor | None, count: int) -> None:
        """Check that labels, [count, width] or maps [count, K, h, w], are given if the network needs them.

        Raises:
            ValueError: if they are not.
        """
        given = None if labels is None else tuple(labels.shape)
        wanted = None if self.label_space is None else self.label_space.condition_shape(count, self.size)
        if given != wanted:
            raise ValueError(f"{type(self).__name__} is given labels of shape {given}; due are {wanted}")

    def follow(self, other: GrowingNetwork) -> None:
        """Take over the depth and alpha of a network of the same growth, without reading alpha back."""
        self._depth, self._whole = other._depth, other._whole
        with torch.no_grad():
            self.alpha_value.copy_(other.alpha_value)


@contract("generator")
class GeneratorBase(GrowingNetwork):
    """Base of generators.

    Args:
        growth: the shapes it grows through.
        latent_size: F of the latents [N, F].
        label_space: what it is conditioned on, if it is.
    """

    def __init__(self, growth: Growth, latent_size: int, label_space: LabelSpace | None = None) -> None:
        super().__init__(growth, label_space)
        self.latent_size = latent_size

    @abstractmethod
    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Latents [N, F], and labels [N, width] where it is conditioned -> images [N, C, h, w] at this depth."""


@contract("discriminator")
class DiscriminatorBase(GrowingNetwork):
    """Base of discriminators: a subclass defines `judge`."""

    classifies: ClassVar[bool] = True
    """Whether its output has logits if it is conditioned; else `judge` needs the labels themselves."""
    stddev_group: int = 1
    """Most samples of a batch in a group that is compared; 1 where none are, or all with all."""

    @abstractmethod
    def judge(self, images: Tensor, labels: Tensor | None = None, parts: int = 1) -> Verdict:
        """Scores and features of images [N, C, h, w] at the current depth.

        Args:
            images: [N, C, h, w].
            labels: [N, width], for a network that is conditioned.
            parts: how many equal batches `images` are; what is computed over a batch stays within each.
        """

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Scores [N] of images [N, C, h, w] at the current depth."""
        return self.judge(images, labels).scores


@dataclass(frozen=True)
class FeatureMaps:
    """How many feature maps each stage has: ``min(base / 2 ** (stage * decay), maximum)``.

    Depth d is stage d + 1 for a seed block of 4 on its shorter side, one more or less for each doubling of that.
    """

    growth: Growth
    base: int
    decay: float
    maximum: int

    def __post_init__(self) -> None:
        if self.base < 1 or self.maximum < 1:
            raise UserError(f"fmap_base {self.base} and fmap_max {self.maximum} must be above 0")

    def at(self, depth: int) -> int:
        """Feature maps at `depth`; -1 is the dense layer beyond the seed block."""
        first = max(int(log2(min(self.growth.seed))) - 1, 1)
        return max(min(int(self.base / 2.0 ** ((first + depth) * self.decay)), self.maximum), 1)
