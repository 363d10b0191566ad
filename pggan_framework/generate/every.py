"""``--every class``: each value of a label in turn; ``--every class=bag,coat``: some of them."""

from __future__ import annotations

from dataclasses import dataclass

from pggan_framework.errors import UserError, nearest
from pggan_framework.labels.attributes import LabelSpace


@dataclass(frozen=True)
class Every:
    """An attribute, and the values that each seed is generated with.

    Args:
        name: name of the attribute.
        values: values in the order of generation.
    """

    name: str
    values: tuple[str, ...]


def find_every(text: str, space: LabelSpace | None) -> Every:
    """Parse ``NAME`` or ``NAME=A,B`` for a model.

    Args:
        text: value of the flag ``--every``.
        space: labels of the model.

    Raises:
        UserError: if the model has no such attribute or value, or a continuous attribute is named without values.
    """
    name, equals, listed = text.partition("=")
    if space is None:
        raise UserError(f"--every {name} is given, but the model was trained without labels")
    names = [attribute.name for attribute in space.attributes]
    if name not in names:
        raise UserError(f"--every: there is no label '{name}'{nearest(name, names)}; allowed: {', '.join(names)}")
    attribute = space.attributes[names.index(name)]
    if equals:
        values = [attribute.text(attribute.code(value.strip())) for value in listed.split(",")]
        return Every(name, tuple(dict.fromkeys(values)))
    if attribute.span is not None:
        low, high = attribute.span
        raise UserError(f"--every {name}: {name} is a number from {low:g} to {high:g}; name some: --every {name}=A,B")
    return Every(name, attribute.values)
