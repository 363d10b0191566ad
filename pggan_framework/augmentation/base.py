"""The base class of augmentations, and the chain of a run's augmentations."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch
from torch import Tensor

from pggan_framework.errors import UserError
from pggan_framework.registry import REGISTRY, contract

if TYPE_CHECKING:
    from pggan_framework.audio.base import Codec
    from pggan_framework.labels.attributes import LabelSpace


@contract("augmentation")
class Augmentation(ABC):
    """Base class of augmentations: a random change of a batch, drawn separately for each image.

    Subclasses are registered with ``@register("augmentation")``. They use torch's global random generator on the
    batch's device; the trainer seeds it for each step, so that a resumed run draws the same values.
    """

    applies_to: ClassVar[Literal["both", "reals"]] = "both"
    """``both``: reals and fakes, in D's and G's updates, so that G does not learn the change (arXiv 2006.10738).
    ``reals``: an extension of the data set, which G learns."""
    spectrogram_safe: ClassVar[bool] = False
    """True if spectrograms stay valid: no mirroring, rotation, frequency shift or colour change."""

    @property
    def geometric(self) -> bool:
        """True if image contents move."""
        return False

    def setup(self, codec: Codec | None) -> None:  # noqa: B027  -- most have no use for it
        """Called once before training with the codec of sounds, or None for images.

        Raises:
            UserError: if the augmentation does not support these data.
        """

    @abstractmethod
    def __call__(self, images: Tensor) -> Tensor:
        """Augment images [N, C, h, w] of range [-1, 1]; differentiable with respect to them."""

    def observe(self, scores: Tensor) -> Mapping[str, Tensor]:  # noqa: ARG002
        """Called with D's scores [N] of the reals in its last update.

        Returns:
            Scalars to log, by name, on the device.
        """
        return {}

    def state_dict(self) -> dict[str, Any]:
        """Return the state for an exact resume: plain values and tensors."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:  # noqa: B027
        """Restore the state of `state_dict`."""

    def require(self, name: str, holds: bool, allowed: str) -> None:
        """Check that the condition on the parameter `name` is true (`holds`).

        Raises:
            UserError: if the condition is false.
        """
        if not holds:
            raise UserError(f"{type(self).__name__}.{name} {getattr(self, name)} is not allowed; allowed: {allowed}")


class Augmentations:
    """The augmentations of a run in sequence; without any, images are unchanged.

    Augmentations of reals only are always applied first; all others must process reals and fakes in the same way.

    Args:
        parts: augmentations in order of application.
        value_range: value range of the networks; each augmentation receives [-1, 1].
    """

    def __init__(self, parts: Sequence[Augmentation] = (), value_range: tuple[float, float] = (-1, 1)) -> None:
        self.parts = tuple(parts)
        self.value_range = value_range

    def check(self, codec: Codec | None, label_space: LabelSpace | None) -> None:
        """Check that every augmentation supports the data; called once, before training.

        Raises:
            UserError: if an augmentation would corrupt spectrograms, or move images relative to their label maps.
        """
        for part in self.parts:
            name = type(part).__name__
            if codec is not None and not part.spectrogram_safe:
                safe = [c.name for c in REGISTRY if c.kind == "augmentation" and c.cls.spectrogram_safe]  # type: ignore[attr-defined]
                raise UserError(
                    f"augmentations: {name} is given, but the data are spectrograms, which it would corrupt;"
                    f" allowed: {', '.join(safe)}"
                )
            # Labels as vectors [N, width] apply to the whole image, label maps [N, K, h, w] to each pixel.
            if part.geometric and label_space is not None and len(label_space.condition_shape(1, (1, 1))) > 2:
                raise UserError(
                    f"augmentations: {name} moves image contents, but the data are labelled with maps, which"
                    " would not move; allowed: augmentations that move nothing"
                )
            part.setup(codec)

    def of_reals(self, images: Tensor) -> Tensor:
        """Augment faded reals [N, C, h, w] for D."""
        return self._apply(images, sorted(self.parts, key=lambda part: part.applies_to == "both"))

    def of_fakes(self, images: Tensor) -> Tensor:
        """Augment fakes [N, C, h, w] for D; differentiable."""
        return self._apply(images, [part for part in self.parts if part.applies_to == "both"])

    def observe(self, scores: Tensor) -> dict[str, Tensor]:
        """Pass D's scores [N] of the last batch of reals to the augmentations; return scalars to log."""
        return {name: value for part in self.parts for name, value in part.observe(scores).items()}

    def state_dict(self) -> dict[str, Any]:
        """Return the states of all parts that have one, by name."""
        states = {type(part).__name__: part.state_dict() for part in self.parts}
        return {name: state for name, state in states.items() if state}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the state of `state_dict`; augmentations without an entry are unchanged."""
        for part in self.parts:
            if type(part).__name__ in state:
                part.load_state_dict(state[type(part).__name__])

    def _apply(self, images: Tensor, parts: Sequence[Augmentation]) -> Tensor:
        if not parts:
            return images
        low, high = self.value_range
        centre, half = (low + high) / 2, (high - low) / 2
        plain = (centre, half) == (0, 1)
        images = images if plain else (images - centre) / half
        for part in parts:
            images = part(images)
        images = images if plain else images * half + centre
        return images.contiguous(memory_format=torch.channels_last)
