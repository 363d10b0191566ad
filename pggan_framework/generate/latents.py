"""Stored latents with their labels, and a player that uses them instead of random latents."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pggan_framework.errors import UserError
from pggan_framework.generate.player import Decoding, Player, label_words
from pggan_framework.labels.maps import MAP, Map, MapSpace
from pggan_framework.models.pretrained import Pretrained
from pggan_framework.storage.zips import RAISED

if TYPE_CHECKING:
    from torch import Tensor

    from pggan_framework.labels.attributes import Labels

Values = dict[str, str | float]
"""A label as a value for each attribute."""


@dataclass(frozen=True)
class StoredLatents:
    """Latents with labels, label maps and metadata.

    Args:
        latents: [K, F].
        labels: for each latent, the value of every attribute; empty if the model is not conditioned.
        maps: [K, H, W], for a model conditioned on label maps.
        about: origin of the latents as plain values.
    """

    latents: NDArray[np.float32]
    labels: Sequence[Values] = ()
    maps: Map | None = None
    about: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.latents)

    def save(self, path: Path) -> None:
        """Write an npz file without pickles: the arrays, and all other values as JSON in the array ``about``."""
        text = json.dumps({**self.about, "labels": list(self.labels)})
        arrays: dict[str, Any] = {"latents": self.latents, "about": np.array(text)}
        if self.maps is not None:
            arrays["maps"] = self.maps
        with path.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)


def read_latents(path: Path) -> StoredLatents:
    """Read a file written by `StoredLatents.save`, or any npz file with an array ``latents`` [K, F].

    Raises:
        UserError: if the file cannot be read, or has no latents or non-finite latents.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files if name in ("latents", "about", "maps")}
        about = json.loads(str(arrays["about"])) if "about" in arrays else {}
        latents, labels = np.asarray(arrays["latents"], np.float32), about.pop("labels", [])
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
    except (*RAISED, AttributeError, TypeError) as error:
        raise UserError(f"{path} is not a file of latents: an npz file with an array 'latents'") from error
    if (
        latents.ndim != 2
        or not len(latents)
        or not np.all(np.isfinite(latents))
        or len(labels) not in (0, len(latents))
    ):
        raise UserError(f"{path} is not a file of latents: they are {list(latents.shape)}; allowed: finite [K, F]")
    return StoredLatents(latents, labels, arrays.get("maps"), about)


def joined(several: Sequence[StoredLatents], about: Mapping[str, Any]) -> StoredLatents:
    """Concatenate stored latents of the same model."""
    labels = [label for stored in several for label in stored.labels]
    maps = [stored.maps for stored in several if stored.maps is not None]
    latents = np.concatenate([stored.latents for stored in several])
    return StoredLatents(latents, labels, np.concatenate(maps) if maps else None, about)


class StoredPlayer(Player):
    """A player of stored latents: seed 0 is the first latent, seed 1 the second.

    Args:
        stored: stored latents.
        model: model of the latents, or another model with the same latent size and labels.
        decoding: settings of the decoder.
        fixed: values of attributes that replace the stored ones.
        every: see `Player`.

    Raises:
        UserError: if the model has another latent size, or lacks a label.
    """

    def __init__(
        self,
        stored: StoredLatents,
        model: Pretrained,
        decoding: Decoding | None = None,
        fixed: Mapping[str, str] | None = None,
        every: str | None = None,
    ) -> None:
        size = model.generator.latent_size
        if stored.latents.shape[1] != size:
            raise UserError(f"the stored latents have {stored.latents.shape[1]} numbers, this model's {size}")
        if stored.maps is not None and isinstance(model.label_space, MapSpace):
            try:
                model = model.with_maps(stored.maps)
            except ValueError as error:
                raise UserError(f"the stored label maps do not fit this model: {error}") from error
        self.stored = stored
        super().__init__(model, decoding, fixed, every=every)

    def seeds(self, asked: Sequence[int] | None) -> list[int]:
        """Return the numbers of the requested latents, or of all latents.

        Raises:
            UserError: if a number is too large.
        """
        for seed in asked or ():
            if seed >= len(self.stored):
                raise UserError(f"seed {seed} is requested; allowed of these latents: 0 to {len(self.stored) - 1}")
        return list(range(len(self.stored))) if asked is None else list(asked)

    def label(self, seed: int, values: Mapping[str, object] | None = None) -> Labels | None:
        """Return the stored label [A] of a latent; `values` and the user's fixed values take precedence."""
        if self.space is None or not (self.stored.labels or self.stored.maps is not None):
            return super().label(seed, values)
        own = {MAP: str(seed)} if self.stored.maps is not None else self.stored.labels[seed]
        return self.space.find({**own, **self.fixed, **(values or {})})

    def latent(self, seed: int) -> Tensor:
        """Return a stored latent [F]."""
        import torch

        return torch.from_numpy(self.stored.latents[seed])

    def stem(self, seed: int, label: Labels | None) -> str:
        """Return a file name without extension: ``latent0007_pitch60``."""
        return "_".join([f"latent{seed:04d}", *label_words(self.space, label)])
