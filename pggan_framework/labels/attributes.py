"""Labels of a dataset's images: attributes, each with categorical values or a number in a range."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pggan_framework.errors import UserError, nearest

Labels = NDArray[np.int64] | NDArray[np.float64]
"""Labels [N, A]: for each of A attributes, the index of its value, or the number itself if it is continuous.

int64 if no attribute is continuous, float64 otherwise.
"""


@dataclass(frozen=True)
class Attribute:
    """One property of every image: its name and allowed values.

    Args:
        name: name of the attribute.
        values: allowed values as text; empty if the attribute is continuous.
        span: lowest and highest allowed number, if the attribute is continuous.
    """

    name: str
    values: tuple[str, ...] = ()
    span: tuple[float, float] | None = None

    @property
    def size(self) -> int:
        """Width of the network input: one entry per value; 1 if the attribute is continuous."""
        return len(self.values) if self.span is None else 1

    def code(self, value: object) -> float:
        """Encode a value as a label entry: its index, or the number itself.

        Raises:
            UserError: if the value does not exist, or a number is outside the range.
        """
        if self.span is None:
            return self.index(value)
        low, high = self.span
        found = number(value)
        if found is None or not low <= found <= high:
            raise UserError(f"{self.name} '{value}' is not allowed; allowed: a number from {low:g} to {high:g}")
        return found

    def value(self, code: float) -> str | float:
        """Decode a label entry: the text of the value, or a number if the attribute is continuous."""
        return self.values[int(code)] if self.span is None else float(code)

    def text(self, code: float) -> str:
        """Decode a label entry as text; numbers have six digits."""
        return self.values[int(code)] if self.span is None else f"{code:.6g}"

    def index(self, value: object) -> int:
        """The index of a value; ``60``, ``"60"`` and ``60.0`` are equivalent.

        Raises:
            UserError: if the value does not exist.
        """
        for text in (str(value), _plain(value)):
            if text in self.values:
                return self.values.index(text)
        shown = ", ".join(self.values if len(self.values) <= 12 else (*self.values[:5], "...", *self.values[-2:]))
        raise UserError(f"{self.name} '{value}' is not known{nearest(str(value), self.values)}; allowed: {shown}")


@dataclass(frozen=True)
class LabelSpace:
    """The attributes of a dataset's labels, in order.

    Networks receive a label as numbers [width]: a one-hot block for each categorical attribute, and a single number for
    each continuous attribute, from -1 at the low end of its range to 1 at the high end.
    """

    attributes: tuple[Attribute, ...]

    @property
    def sizes(self) -> tuple[int, ...]:
        """Width of the network input for each attribute: its number of values, or 1 if it is continuous."""
        return tuple(attribute.size for attribute in self.attributes)

    @property
    def continuous(self) -> bool:
        """True if any attribute is continuous; labels are then float64."""
        return any(attribute.span is not None for attribute in self.attributes)

    @property
    def width(self) -> int:
        """Width of the network input."""
        return sum(self.sizes)

    def one_hot(self, labels: Labels) -> NDArray[np.float32]:
        """Convert labels [N, A] to [N, width]: one-hot blocks, and numbers in [-1, 1] for continuous attributes.

        Raises:
            ValueError: if an index is not valid for an attribute, or a number is outside its range.
        """
        rows = np.asarray(labels)
        if rows.ndim != 2 or rows.shape[1] != len(self.attributes):
            raise ValueError(f"labels of shape {rows.shape} are not [N, {len(self.attributes)}]")
        blocks = [_block(attribute, column) for attribute, column in zip(self.attributes, rows.T, strict=True)]
        return np.concatenate(blocks, axis=1)

    def condition_shape(self, count: int, size: tuple[int, int]) -> tuple[int, ...]:
        """The shape of the network input for `count` labels of images [h, w]: [N, width] at every size."""
        return count, self.width

    def condition(self, labels: Labels, size: tuple[int, int]) -> NDArray[np.float32]:
        """The network input for labels [N, A] of images of `size`, [h, w]: `one_hot` at every size."""
        return self.one_hot(labels)

    def uniform(self, chances: NDArray[np.float64]) -> Labels:
        """Convert uniform `chances` [N, A] in [0, 1) to labels [N, A] that are uniform over the values or the range."""
        columns = []
        for attribute, chance in zip(self.attributes, np.asarray(chances, np.float64).T, strict=True):
            low, high = attribute.span or (0.0, 0.0)
            drawn = np.minimum(low + chance * (high - low), high)
            columns.append(np.floor(chance * attribute.size) if attribute.span is None else drawn)
        return self.typed(np.stack(columns, axis=1))

    def counts(self, labels: Labels) -> tuple[NDArray[np.int64] | None, ...]:
        """The count of each value of each attribute in labels [N, A]; None for a continuous attribute."""
        pairs = zip(self.attributes, labels.T, strict=True)
        return tuple(
            None if attribute.span else np.bincount(column.astype(np.int64), minlength=attribute.size)
            for attribute, column in pairs
        )

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
        return self.typed(np.array([attribute.code(values[attribute.name]) for attribute in self.attributes]))

    def values(self, label: Sequence[float] | Labels) -> dict[str, str | float]:
        """The value of every attribute in a label [A]; the inverse of `find`."""
        pairs = zip(self.attributes, label, strict=True)
        return {attribute.name: attribute.value(code) for attribute, code in pairs}

    def describe(self, label: Sequence[float] | Labels) -> str:
        """A label [A] as text: ``pitch 60, brightness 0.25``."""
        pairs = zip(self.attributes, label, strict=True)
        return ", ".join(f"{attribute.name} {attribute.text(code)}" for attribute, code in pairs)

    def typed(self, labels: NDArray[Any]) -> Labels:
        """Convert labels [..., A] to the dtype of this space: float64 if an attribute is continuous."""
        typed: Labels = labels.astype(np.float64) if self.continuous else labels.astype(np.int64)
        return typed

    def state_dict(self) -> list[dict[str, Any]]:
        """The state as plain values; `from_state` restores it."""
        return [
            {"name": attribute.name, "values": list(attribute.values)}
            if attribute.span is None
            else {"name": attribute.name, "span": list(attribute.span)}
            for attribute in self.attributes
        ]

    @classmethod
    def from_state(cls, state: Sequence[Mapping[str, Any]]) -> LabelSpace:
        """Restore the space from its `state_dict`."""
        return cls(tuple(_attribute(entry) for entry in state))


def collect(
    rows: Mapping[str, Sequence[object]], continuous: Sequence[str] = (), exact: Sequence[str] = ()
) -> tuple[LabelSpace, Labels]:
    """Return the label space and the labels [N, A] of raw values, one for every attribute and image.

    Values are sorted as numbers if all are numbers, otherwise alphabetically. The range of a continuous attribute is
    the range of its numbers.

    Args:
        rows: attribute name -> the values in the order of the images.
        continuous: names of the continuous attributes.
        exact: attributes whose values are names: ``808`` and ``0808`` differ there, and are equal in other attributes.

    Raises:
        UserError: if there is no attribute, if an attribute has only one value and therefore carries no information, or
            if a value of a continuous attribute is not a number.
    """
    if not rows:
        raise UserError("no label is named; allowed: one or more")
    attributes: list[Attribute] = []
    columns: list[list[float]] = []
    for name, given in rows.items():
        if name in continuous:
            numbers = [number(value) for value in given]
            column = [value for value in numbers if value is not None]
            if len(column) < len(numbers):
                raise UserError(f"{name} '{given[numbers.index(None)]}' is not a number, and {name} is continuous")
            attributes.append(Attribute(name, span=(min(column), max(column))))
            distinct = [f"{value:g}" for value in sorted(set(column))]
        else:
            texts = [_plain(value) for value in given]
            as_written = [str(value).strip() for value in given]
            if name in exact and len(set(as_written)) > len(set(texts)):
                texts = as_written
            distinct = sorted(set(texts), key=_rank)
            places = {value: index for index, value in enumerate(distinct)}
            attributes.append(Attribute(name, tuple(distinct)))
            column = [places[text] for text in texts]
        if len(distinct) < 2:
            raise UserError(f"the label {name} is '{''.join(distinct)}' in all data; allowed: two values or more")
        columns.append(column)
    space = LabelSpace(tuple(attributes))
    return space, np.array(columns, dtype=np.float64 if space.continuous else np.int64).T.copy()


def number(value: object) -> float | None:
    """A value as a finite number; None if it is not a finite number."""
    try:
        found = float(str(value).strip())
    except ValueError:
        return None
    return found if isfinite(found) else None


def _block(attribute: Attribute, column: NDArray[Any]) -> NDArray[np.float32]:
    """The network input of one attribute, [N, size], from its column [N] of labels."""
    if attribute.span is None:
        indices = column.astype(np.int64)
        if np.any((indices != column) | (indices < 0) | (indices >= attribute.size)):
            raise ValueError(f"labels of {attribute.name} are not indices below {attribute.size}")
        return np.eye(attribute.size, dtype=np.float32)[indices]
    low, high = attribute.span
    if not np.all((column >= low) & (column <= high)):
        raise ValueError(f"labels of {attribute.name} are not numbers from {low:g} to {high:g}")
    return ((column - low) / (high - low) * 2 - 1).astype(np.float32)[:, None]


def _attribute(entry: Mapping[str, Any]) -> Attribute:
    """Restore an attribute from its state; states of older versions have no continuous attributes."""
    if (span := entry.get("span")) is not None:
        return Attribute(str(entry["name"]), span=(float(span[0]), float(span[1])))
    return Attribute(str(entry["name"]), tuple(map(str, entry["values"])))


def _plain(value: object) -> str:
    """A value as text, with normalized integers: ``060`` and ``60.0`` become ``60``."""
    text = str(value).strip()
    return str(int(float(text))) if re.fullmatch(r"-?\d{1,15}(\.0*)?", text) else text


def _rank(text: str) -> tuple[bool, float, str]:
    """Sort key of the values: numbers first."""
    try:
        return False, float(text), text
    except ValueError:
        return True, 0.0, text
