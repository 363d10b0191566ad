"""Candidate labels of a target: the given labels, completed by labels of the training data."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from pggan_framework.errors import UserError
from pggan_framework.labels.attributes import Labels, LabelSpace
from pggan_framework.labels.maps import MAP, MapSpace
from pggan_framework.models.pretrained import Pretrained


@dataclass(frozen=True)
class Candidates:
    """The possible labels of a target.

    Args:
        space: label space of the model; None for an unconditional model.
        rows: [K, A], distinct labels; None for an unconditional model.
        numbers: indices of continuous attributes that are not given and are therefore optimized.
    """

    space: LabelSpace | None = None
    rows: Labels | None = None
    numbers: tuple[int, ...] = ()

    @classmethod
    def of(cls, model: Pretrained, given: Mapping[str, str]) -> Candidates:
        """Return the labels of the training data that match the values in `given`, by name.

        Raises:
            UserError: if a name or a value is unknown, or the model needs a label map and none is given.
        """
        space, rows = model.label_space, model.label_rows
        if space is None or rows is None:
            if given:
                raise UserError(f"the label {', '.join(given)} is given, but the model was trained without labels")
            return cls()
        if isinstance(space, MapSpace) and MAP not in given:
            raise UserError(
                "the model draws label maps, and the target's map is not given; give it with --maps FILE,"
                f" or one of the model's own with --label {MAP}=0"
            )
        named = np.stack([space.find({**space.values(row), **given}) for row in rows])
        names = [attribute.name for attribute in space.attributes]
        numbers = [
            place for place, name in enumerate(names) if space.attributes[place].span is not None and name not in given
        ]
        return cls(space, space.typed(np.unique(named, axis=0)), tuple(numbers))

    @property
    def open(self) -> bool:
        """True if several classes are possible; continuous attributes are ignored."""
        return self.rows is not None and len({self.key(row) for row in self.rows}) > 1

    def key(self, label: Labels) -> Hashable:
        """Return a key that is equal for labels [A] that differ only in continuous attributes."""
        return tuple(value for place, value in enumerate(label.tolist()) if place not in self.numbers)

    def only(self, label: Labels) -> Candidates:
        """Return the candidates that differ from `label` [A] only in continuous attributes."""
        assert self.rows is not None
        same = [row for row in self.rows if self.key(row) == self.key(label)]
        return Candidates(self.space, np.stack(same), self.numbers)

    def deal(self, count: int, seed: int) -> Labels | None:
        """Draw `count` labels [count, A] with equal frequencies, in random order."""
        if self.rows is None:
            return None
        order = np.random.default_rng(seed).permutation(len(self.rows))
        assert self.space is not None
        return self.space.typed(self.rows[np.resize(order, count)])

    @property
    def columns(self) -> list[int]:
        """Return the columns of the network input that belong to `numbers`."""
        if self.space is None:
            return []
        starts = np.cumsum([0, *self.space.sizes])
        return [int(starts[place]) for place in self.numbers]

    def with_numbers(self, labels: Labels | None, seen: Tensor) -> Labels | None:
        """Replace continuous values of labels [N, A]; the new values are network inputs [N, columns] in [-1, 1]."""
        if self.space is None or labels is None or not self.numbers:
            return labels
        changed: Labels = labels.copy()
        for place, column in zip(self.numbers, seen.double().numpy().T, strict=True):
            low, high = self.space.attributes[place].span or (0.0, 0.0)
            changed[:, place] = np.clip(low + (column + 1) / 2 * (high - low), low, high)
        return changed
