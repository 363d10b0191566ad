"""What the pictures of a dataset are labelled with: attributes, each one of several values."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pggan_framework.errors import UserError, nearest

Labels = NDArray[np.int64]
"""[N, A]: for each of A attributes the index of its value."""


@dataclass(frozen=True)
class Attribute:
    """One thing that is known of every picture: its name, and the values it can have, as text."""

    name: str
    values: tuple[str, ...]

    def index(self, value: object) -> int:
        """The index of a value; ``60``, ``"60"`` and ``60.0`` are the same.

        Raises:
            UserError: if there is no such value.
        """
        for text in (str(value), _plain(value)):
            if text in self.values:
                return self.values.index(text)
        shown = ", ".join(self.values if len(self.values) <= 12 else (*self.values[:5], "...", *self.values[-2:]))
        raise UserError(f"{self.name} '{value}' is not known{nearest(str(value), self.values)}; allowed: {shown}")


@dataclass(frozen=True)
class LabelSpace:
    """The attributes a dataset is labelled with, in order.

    Networks see a label as numbers [width]: for each attribute a block with 1 at its value and 0 elsewhere.
    """

    attributes: tuple[Attribute, ...]

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many values each attribute has."""
        return tuple(len(attribute.values) for attribute in self.attributes)

    @property
    def width(self) -> int:
        """How many numbers a network sees."""
        return sum(self.sizes)

    def one_hot(self, labels: Labels) -> NDArray[np.float32]:
        """Labels [N, A] -> [N, width], a one-hot block for each attribute.

        Raises:
            ValueError: if an index is none of an attribute's.
        """
        indices = np.asarray(labels)
        sizes = np.array(self.sizes)
        if indices.ndim != 2 or indices.shape[1] != len(sizes) or np.any((indices < 0) | (indices >= sizes)):
            raise ValueError(f"labels of shape {indices.shape} are not [N, {len(sizes)}] of indices below {self.sizes}")
        blocks = [np.eye(size, dtype=np.float32)[column] for size, column in zip(sizes, indices.T, strict=True)]
        return np.concatenate(blocks, axis=1)

    def find(self, values: Mapping[str, object]) -> Labels:
        """The label [A] with these values, one for every attribute.

        Raises:
            UserError: if an attribute or a value is unknown, or an attribute is missing.
        """
        names = [attribute.name for attribute in self.attributes]
        for name in values:
            if name not in names:
                raise UserError(f"there is no label '{name}'{nearest(name, names)}; allowed: {', '.join(names)}")
        missing = [name for name in names if name not in values]
        if missing:
            raise UserError(f"the label {', '.join(missing)} is not given; needed: {', '.join(names)}")
        return np.array([attribute.index(values[attribute.name]) for attribute in self.attributes], dtype=np.int64)

    def describe(self, label: Sequence[int]) -> str:
        """A label [A] in words: ``pitch 60, program 0``."""
        pairs = zip(self.attributes, label, strict=True)
        return ", ".join(f"{attribute.name} {attribute.values[index]}" for attribute, index in pairs)

    def state_dict(self) -> list[dict[str, Any]]:
        """Plain values; `from_state` reads them."""
        return [{"name": attribute.name, "values": list(attribute.values)} for attribute in self.attributes]

    @classmethod
    def from_state(cls, state: Sequence[Mapping[str, Any]]) -> LabelSpace:
        """The space `state_dict` described."""
        return cls(tuple(Attribute(str(entry["name"]), tuple(map(str, entry["values"]))) for entry in state))


def collect(rows: Mapping[str, Sequence[object]]) -> tuple[LabelSpace, Labels]:
    """The space and the labels [N, A] of what was read: for each attribute the value of every picture.

    Values that are all numbers are in the order of the numbers, others in that of the alphabet.

    Raises:
        UserError: if there is no attribute, or one has a single value only, which tells nothing.
    """
    if not rows:
        raise UserError("no label is named; allowed: one or more")
    attributes, columns = [], []
    for name, given in rows.items():
        texts = [_plain(value) for value in given]
        values = tuple(sorted(set(texts), key=_rank))
        if len(values) < 2:
            raise UserError(f"the label {name} is '{''.join(values)}' everywhere; allowed: two values or more")
        places = {value: index for index, value in enumerate(values)}
        attributes.append(Attribute(name, values))
        columns.append([places[text] for text in texts])
    return LabelSpace(tuple(attributes)), np.array(columns, dtype=np.int64).T.copy()


def _plain(value: object) -> str:
    """A value as text; whole numbers lose what they do not need: ``060`` and ``60.0`` are ``60``."""
    text = str(value).strip()
    return str(int(float(text))) if re.fullmatch(r"-?\d{1,15}(\.0*)?", text) else text


def _rank(text: str) -> tuple[bool, float, str]:
    """Order of the values: numbers first."""
    try:
        return False, float(text), text
    except ValueError:
        return True, 0.0, text
