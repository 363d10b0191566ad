"""The base classes of metrics of sounds and images: features per sample, and values from two sets of features."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from pggan_framework.audio.base import Codec
from pggan_framework.errors import UserError, plural

Features = NDArray[Any]
"""[N, F]: F values for each of N clips, float64; for images, the data that the metric needs of each, [N, ...]."""


def as_array(values: Any) -> NDArray[Any]:
    """Convert an array, or a torch tensor on any device, to an array."""
    return np.asanyarray(values.detach().cpu() if hasattr(values, "detach") else values)


def as_images(values: Any) -> NDArray[np.uint8]:
    """Convert an array or a tensor to images [N, C, H, W] of uint8.

    Raises:
        UserError: if they have a different dtype or shape, or there are none.
    """
    images = as_array(values)
    if images.dtype != np.uint8 or images.ndim != 4 or not len(images):
        raise UserError(f"images are {images.dtype} {list(images.shape)}; allowed: uint8 [N, C, H, W]")
    return images


@dataclass(frozen=True)
class Clips:
    """Sounds of one length, with optional images, codec and pitches. Tensors are accepted wherever arrays are.

    Args:
        waves: float32 [N, T] or [N, channels, T], full scale 1.
        sample_rate: samples per second.
        images: the images [N, C, H, W] in [-1, 1] that the clips were decoded from.
        codec: the codec that decoded them.
        midi: the intended pitch of each clip, MIDI numbers [N], 69 for 440 Hz.
        decoded: the waves before `audio.finish.finished`, if that changed them; `images` are compared with these.

    Raises:
        ValueError: if a shape does not fit, or a sample is not finite.
    """

    waves: NDArray[np.float32]
    sample_rate: int
    pictures: NDArray[np.float32] | None = None
    codec: Codec | None = None
    midi: NDArray[np.float64] | None = None
    decoded: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        for name in ("waves", "pictures", "midi", "decoded"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, as_array(getattr(self, name)))
        if self.waves.ndim not in (2, 3) or self.waves.shape[-1] == 0:
            raise ValueError(f"waves of shape {self.waves.shape} are not [N, T] or [N, channels, T]")
        if not np.all(np.isfinite(self.waves)):
            raise ValueError("the waves hold samples that are not finite")
        for name in ("pictures", "midi", "decoded"):
            given = getattr(self, name)
            if given is not None and len(given) != len(self):
                raise ValueError(f"{len(given)} {name} do not fit {len(self)} waves")

    def __len__(self) -> int:
        return len(self.waves)

    def __getitem__(self, part: slice) -> Clips:
        """A slice of the clips."""
        pictures = None if self.pictures is None else self.pictures[part]
        midi = None if self.midi is None else self.midi[part]
        decoded = None if self.decoded is None else self.decoded[part]
        return Clips(self.waves[part], self.sample_rate, pictures, self.codec, midi, decoded)

    @property
    def mono(self) -> NDArray[np.float32]:
        """The mean of the channels, [N, T]."""
        return self.waves if self.waves.ndim == 2 else self.waves.mean(axis=1)


@dataclass(frozen=True)
class Pictures:
    """Images of one size.

    Args:
        images: uint8 [N, C, H, W], an array or a tensor.

    Raises:
        ValueError: if they have a different dtype or shape.
    """

    images: NDArray[np.uint8]

    def __post_init__(self) -> None:
        object.__setattr__(self, "images", as_array(self.images))
        if self.images.dtype != np.uint8 or self.images.ndim != 4:
            raise ValueError(f"images of {self.images.dtype} {self.images.shape} are not uint8 [N, C, H, W]")

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, part: slice) -> Pictures:
        """A slice of the images."""
        return Pictures(self.images[part])


SMALLEST = 16
"""Side in pixels of the smallest images compared at several scales; MS-SSIM's fifth scale is then one pixel."""
Batch = TypeVar("Batch", Clips, Pictures)


class BaseMetric(ABC, Generic[Batch]):
    """Base of all metrics, of sounds (`Metric`) and of images (`PictureMetric`).

    `features` is called per batch, so that batches need not be kept in memory; `compare` is called once, with the
    features of all batches. Calling the metric does both.
    """

    what: ClassVar[str]
    """The measured type: clips or images."""
    name: ClassVar[str]
    """Registered name; the names of the values are this name, or start with it and a dot."""
    default: ClassVar[bool] = True
    """True if the metric is used by default."""
    alone: ClassVar[bool] = False
    """True if the values depend on one set only; the reals are then not measured."""
    minimum: int = 2
    """Smallest number of clips per side that gives a meaningful value."""
    device: str = "cpu"
    """Device of torch computations."""
    limit: int | None = None
    """Largest number of clips measured per set, for slow metrics."""

    def lacks(self, clips: Batch) -> str:
        """Return the missing requirements of these clips as text; empty if nothing is missing."""
        return ""

    @abstractmethod
    def features(self, clips: Batch) -> Features:
        """Return the features of each clip, [N, F]."""

    @abstractmethod
    def compare(self, reals: Features, others: Features) -> dict[str, float]:
        """Compare the features of `others` with those of `reals`, both [N, F]; a value is nan if undefined.

        Raises:
            UserError: if there are too few clips.
        """

    def __call__(self, reals: Batch, fakes: Batch) -> dict[str, float]:
        """Compare `fakes` with `reals`.

        Raises:
            UserError: if there are too few clips, or a requirement of the metric is missing.
        """
        for clips in (reals, fakes):
            if lacking := self.lacks(clips):
                raise UserError(f"{self.name} needs {lacking}")
        measured = [self.features(clips[: self.limit]) for clips in (reals, fakes)]
        return self.compare(measured[0], measured[1])

    def check_count(self, *sets: NDArray[Any]) -> None:
        """Check that sets have enough clips.

        Raises:
            UserError: if a set has too few clips.
        """
        fewest = min(map(len, sets))
        if fewest < self.minimum:
            few = plural(fewest, self.what.removesuffix("s"))
            raise UserError(f"{self.name}: {few} per side given; allowed: {self.minimum} and up")


class Metric(BaseMetric[Clips]):
    """Base of all metrics of sounds."""

    what: ClassVar[str] = "clips"


class PictureMetric(BaseMetric[Pictures]):
    """Base of all metrics of images."""

    what: ClassVar[str] = "images"


class WholePictures(PictureMetric):
    """Base of metrics that compare the images themselves, whose sides must have at least `SMALLEST` pixels."""

    def lacks(self, clips: Pictures) -> str:
        """Require images of 16 pixels or more."""
        small = min(clips.images.shape[2:]) < SMALLEST
        return f"images of {SMALLEST} pixels or more a side" if small else ""

    def features(self, clips: Pictures) -> NDArray[np.uint8]:
        """Return the images themselves, which need less memory than their patches or all pairs."""
        return clips.images
