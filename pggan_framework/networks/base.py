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
from pggan_framework.networks.execution import DEFAULT, Execution, RecomputeMode, pixels_for
from pggan_framework.networks.recompute import recomputed
from pggan_framework.registry import contract
from pggan_framework.schedules.growth import Growth


def growth_of(shape: Sequence[int] | Growth) -> Growth:
    """Return the growth of networks for images of shape [C, H, W]; a `Growth` is returned unchanged."""
    return shape if isinstance(shape, Growth) else Growth.of(shape)


@dataclass(frozen=True)
class Verdict:
    """The output of a discriminator for a batch.

    Args:
        scores: [N], unbounded, higher for images that seem real.
        features: [N, F], the penultimate features.
        logits: [N, width] of the predicted labels, one block per attribute; None without labels.
        reconstruction: [N, C, h, w] of an auto-encoder; None for other discriminators.
    """

    scores: Tensor
    features: Tensor
    logits: Tensor | None = None
    reconstruction: Tensor | None = None

    def float(self) -> Verdict:
        """The output converted to float32."""
        fields = (self.scores, self.features, self.logits, self.reconstruction)
        return Verdict(*(None if field is None else field.float() for field in fields))  # type: ignore[arg-type]

    def split(self, parts: int) -> list[Verdict]:
        """The outputs for `parts` equal batches that were processed together."""
        fields = (self.scores, self.features, self.logits, self.reconstruction)
        columns = ([None] * parts if field is None else field.chunk(parts) for field in fields)
        return [Verdict(*row) for row in zip(*columns, strict=True)]


class GrowingNetwork(nn.Module):
    """A network with a current `depth`, whose newest block has the weight `alpha`.

    Args:
        growth: image shape at each depth.
        label_space: space of the labels that condition the network, or None.
    """

    injected: ClassVar[tuple[str, ...]] = ("shape", "growth", "label_space")
    grows: ClassVar[bool] = True
    """True if the network can grow: use lower depths, and fade."""
    takes_maps: ClassVar[bool] = False
    """True if it supports label maps; otherwise it is refused for data with label maps."""
    alpha_value: Tensor
    execution: Execution = DEFAULT
    """Settings of the computation; see `execute`."""
    _known: tuple[Tensor, float] | None = None
    """The tensor of alpha, and its value."""

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
        """The available depths."""
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
        # Also stored as a number, so that forward passes need not read the tensor from the device.
        self._whole = number == 1
        with torch.no_grad():
            self.alpha_value.fill_(number)
        self._known = self.alpha_value, number

    def blend(self, old: Tensor, new: Tensor) -> Tensor:
        """Interpolate ``old + alpha (new - old)`` between the images or feature maps of the last two depths."""
        # With alpha as a number, the derivative needs fewer operations. A captured graph has a tensor as its input, so
        # one
        # graph serves a whole fade.
        if self._known is not None and self._known[0] is self.alpha_value:
            return torch.lerp(old, new, self._known[1])
        return torch.lerp(old, new, self.alpha_value.to(new.dtype))

    @property
    def fading(self) -> bool:
        """True during a fade: alpha is below 1, at depth 1 or more."""
        return self._depth > 0 and not self._whole

    def execute(self, execution: Execution) -> None:
        """Use the settings `execution` in every layer from now on."""
        for module in self.modules():
            if hasattr(type(module), "execution"):
                setattr(module, "execution", execution)  # noqa: B010  -- of nn.Module the type is another

    def checkpoint_activations(self, mode: RecomputeMode) -> None:
        """Recompute feature maps in the backward pass instead of storing them: only `LARGE` maps, all, or none."""
        self.execute(replace(self.execution, recompute_from=pixels_for(mode)))

    def recomputes(self, depth: int) -> bool:
        """True if feature maps of `depth` are recomputed in the backward pass."""
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
        """Compute ``work(*modules, *inputs)``; if `depth` is recomputed, store only the inputs for the backward pass.

        Args:
            depth: depth of the computed feature maps.
            work: a part of the network, as a function of modules and tensors.
            modules: all modules with weights or buffers that `work` uses.
            inputs: tensors [N, ...].
            apart: whether samples are independent and no random numbers are drawn, except in layers known to
                `recomputed`.
        """
        if self.execution.recompute_from is not None and self.recomputes(depth) and torch.is_grad_enabled():
            return recomputed(work, modules, *inputs, apart=apart)
        return work(*modules, *inputs)

    def used(self) -> Iterable[nn.Module]:
        """The modules in use at the current depth and alpha, and all their submodules."""
        return self.modules()

    def earlier(self) -> Sequence[nn.Module]:
        """Modules trained at earlier depths, for schedules that freeze them."""
        raise UserError(f"{type(self).__name__} has no list of blocks by depth, so none can be frozen")

    def check_labels(self, labels: Tensor | None, count: int) -> None:
        """Check that labels [count, width] or maps [count, K, h, w] are given if and only if the network needs them.

        Raises:
            ValueError: if labels are missing, unexpected or of another shape.
        """
        given = None if labels is None else tuple(labels.shape)
        wanted = None if self.label_space is None else self.label_space.condition_shape(count, self.size)
        if given != wanted:
            raise ValueError(f"{type(self).__name__} is given labels of shape {given}; due are {wanted}")

    def follow(self, other: GrowingNetwork) -> None:
        """Copy depth and alpha from a network of the same growth, without reading alpha from the device."""
        self._depth, self._whole = other._depth, other._whole
        with torch.no_grad():
            self.alpha_value.copy_(other.alpha_value)
        known = other._known
        self._known = (self.alpha_value, known[1]) if known and known[0] is other.alpha_value else None


@contract("generator")
class GeneratorBase(GrowingNetwork):
    """Base of generators.

    Args:
        growth: image shape at each depth.
        latent_size: F of the latents [N, F].
        label_space: space of the labels that condition the network, or None.
    """

    def __init__(self, growth: Growth, latent_size: int, label_space: LabelSpace | None = None) -> None:
        super().__init__(growth, label_space)
        self.latent_size = latent_size

    @abstractmethod
    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Generate images [N, C, h, w] at this depth from latents [N, F] and, if conditioned, labels [N, width]."""


@contract("discriminator")
class DiscriminatorBase(GrowingNetwork):
    """Base of discriminators: a subclass defines `judge`."""

    classifies: ClassVar[bool] = True
    """True if its output has logits when conditioned; otherwise `judge` needs the labels."""
    stddev_group: int = 1
    """Largest group of samples that are compared; 1 if none are compared, or all with all."""

    @abstractmethod
    def judge(self, images: Tensor, labels: Tensor | None = None, parts: int = 1) -> Verdict:
        """Compute scores and features of images [N, C, h, w] at the current depth.

        Args:
            images: [N, C, h, w].
            labels: [N, width] for a conditioned network.
            parts: number of equal batches in `images`; batch statistics stay within each batch.
        """

    def check_images(self, images: Tensor) -> None:
        """Check that images [N, C, h, w] have the shape of the current depth.

        Raises:
            ValueError: if they have another shape.
        """
        expected = self.growth.shape_at(self.depth)
        if tuple(images.shape[1:]) != expected:
            raise ValueError(f"images of shape {tuple(images.shape[1:])} at depth {self.depth}, not {expected}")

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Scores [N] of images [N, C, h, w] at the current depth."""
        return self.judge(images, labels).scores


@dataclass(frozen=True)
class FeatureMaps:
    """Number of feature maps by stage: ``min(base / 2 ** (stage * decay), maximum)``.

    Depth d is stage d + 1 if the shorter side of the seed block is 4, and one stage more for each doubling of that
    side.
    """

    growth: Growth
    base: int
    decay: float
    maximum: int

    def __post_init__(self) -> None:
        if self.base < 1 or self.maximum < 1:
            raise UserError(f"fmap_base {self.base} and fmap_max {self.maximum} must be above 0")

    def at(self, depth: int) -> int:
        """Number of feature maps at `depth`; depth -1 is the dense layer before the seed block."""
        first = max(int(log2(min(self.growth.seed))) - 1, 1)
        return max(min(int(self.base / 2.0 ** ((first + depth) * self.decay)), self.maximum), 1)
