"""Candidate labels of a target: those the user gives, and otherwise those of the training data."""

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
    """The labels a target may have.

    Args:
        space: the label space; None for an unconditional model.
        rows: [K, A], distinct; None for an unconditional model.
        numbers: indices of continuous attributes that are not given, so that they are optimised.
    """

    space: LabelSpace | None = None
    rows: Labels | None = None
    numbers: tuple[int, ...] = ()

    @classmethod
    def of(cls, model: Pretrained, given: Mapping[str, str]) -> Candidates:
        """The labels of the training data that match the values `given`, by name.

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
        """Whether several classes are possible, apart from continuous attributes."""
        return self.rows is not None and len({self.key(row) for row in self.rows}) > 1

    def key(self, label: Labels) -> Hashable:
        """A key that is equal for labels [A] that differ in continuous attributes only."""
        return tuple(value for place, value in enumerate(label.tolist()) if place not in self.numbers)

    def only(self, label: Labels) -> Candidates:
        """Those that differ from `label` [A] in continuous attributes only."""
        assert self.rows is not None
        same = [row for row in self.rows if self.key(row) == self.key(label)]
        return Candidates(self.space, np.stack(same), self.numbers)

    def deal(self, count: int, seed: int) -> Labels | None:
        """`count` labels [count, A], with equal frequencies, in random order."""
        if self.rows is None:
            return None
        order = np.random.default_rng(seed).permutation(len(self.rows))
        assert self.space is not None
        return self.space.typed(self.rows[np.resize(order, count)])

    @property
    def columns(self) -> list[int]:
        """The columns of the network input that belong to `numbers`."""
        if self.space is None:
            return []
        starts = np.cumsum([0, *self.space.sizes])
        return [int(starts[place]) for place in self.numbers]

    def with_numbers(self, labels: Labels | None, seen: Tensor) -> Labels | None:
        """Labels [N, A] with the network inputs of `columns`, [N, columns] in [-1, 1], converted back."""
        if self.space is None or labels is None or not self.numbers:
            return labels
        changed: Labels = labels.copy()
        for place, column in zip(self.numbers, seen.double().numpy().T, strict=True):
            low, high = self.space.attributes[place].span or (0.0, 0.0)
            changed[:, place] = np.clip(low + (column + 1) / 2 * (high - low), low, high)
        return changed
