"""What an augmentation is, and the chain of those a run has."""

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
    """A random change of a batch, drawn anew for each picture.

    A subclass is registered with ``@register("augmentation")``. It draws from torch's global generator, on the batch's
    device: the trainer seeds that for each step, so that a resumed run draws the same.
    """

    applies_to: ClassVar[Literal["both", "reals"]] = "both"
    """``both``: all that D judges, reals and fakes, in its own updates and in G's, so that G is not to learn the change
    (arXiv 2006.10738). ``reals``: an enlargement of the data set, which G is to learn as part of it."""
    spectrogram_safe: ClassVar[bool] = False
    """Whether a changed spectrogram still is one: no mirroring, no turning, no shift of frequencies, no colours."""

    @property
    def geometric(self) -> bool:
        """Whether it moves what is in a picture."""
        return False

    def setup(self, codec: Codec | None) -> None:  # noqa: B027  -- most have no use for it
        """Learn, once, what made the pictures: the codec of sounds, None for other pictures.

        Raises:
            UserError: if it cannot augment these.
        """

    @abstractmethod
    def __call__(self, images: Tensor) -> Tensor:
        """Pictures [N, C, h, w], full range [-1, 1] -> as many changed ones; differentiable in them."""

    def observe(self, scores: Tensor) -> Mapping[str, Tensor]:  # noqa: ARG002
        """Take note of D's scores [N] of the reals, which the update of D just made has seen.

        Returns:
            Scalars for the logs, by name, on the device.
        """
        return {}

    def state_dict(self) -> dict[str, Any]:
        """What it keeps from one update to the next, for an exact resume: plain values and tensors."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:  # noqa: B027
        """Take back what `state_dict` gave."""

    def require(self, name: str, holds: bool, allowed: str) -> None:
        """Refuse the parameter `name` unless what is allowed `holds`.

        Raises:
            UserError: if it does not.
        """
        if not holds:
            raise UserError(f"{type(self).__name__}.{name} {getattr(self, name)} is not allowed; allowed: {allowed}")


class Augmentations:
    """The augmentations of a run, one after the other; without any, pictures stay as they are.

    Those for reals come first, whatever the order they are listed in: what follows must meet both kinds alike.

    Args:
        parts: in the order they are applied.
        value_range: the networks' value range; each part sees it as [-1, 1].
    """

    def __init__(self, parts: Sequence[Augmentation] = (), value_range: tuple[float, float] = (-1, 1)) -> None:
        self.parts = tuple(parts)
        self.value_range = value_range

    def check(self, codec: Codec | None, label_space: LabelSpace | None) -> None:
        """See that every part suits the data; called once, before training.

        Raises:
            UserError: if one would spoil spectrograms, or move pictures away from the maps they are labelled with.
        """
        for part in self.parts:
            name = type(part).__name__
            if codec is not None and not part.spectrogram_safe:
                safe = [c.name for c in REGISTRY if c.kind == "augmentation" and c.cls.spectrogram_safe]  # type: ignore[attr-defined]
                raise UserError(
                    f"augmentations: {name} is given, but the data are spectrograms, which it would spoil;"
                    f" allowed: {', '.join(safe)}"
                )
            # Labels that networks see as [N, width] hold for all of a picture, as [N, K, h, w] for each pixel of it.
            if part.geometric and label_space is not None and len(label_space.condition_shape(1, (1, 1))) > 2:
                raise UserError(
                    f"augmentations: {name} moves what is in a picture, but the data are labelled with maps, which"
                    " would stay; allowed: augmentations that move nothing"
                )
            part.setup(codec)

    def of_reals(self, images: Tensor) -> Tensor:
        """Reals [N, C, h, w], faded, as D is to see them."""
        return self._apply(images, sorted(self.parts, key=lambda part: part.applies_to == "both"))

    def of_fakes(self, images: Tensor) -> Tensor:
        """Fakes [N, C, h, w] as D is to see them; differentiable."""
        return self._apply(images, [part for part in self.parts if part.applies_to == "both"])

    def observe(self, scores: Tensor) -> dict[str, Tensor]:
        """Tell the parts D's scores [N] of the reals it was just trained with; returns scalars for the logs."""
        return {name: value for part in self.parts for name, value in part.observe(scores).items()}

    def state_dict(self) -> dict[str, Any]:
        """The state of every part that has one, by its name."""
        states = {type(part).__name__: part.state_dict() for part in self.parts}
        return {name: state for name, state in states.items() if state}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave; a part that is not in it stays as it is."""
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
