"""Mappings of labels, which are matched by name; new values start at the mean."""

from __future__ import annotations

from math import sqrt

import torch
from torch import Tensor

from pggan_framework.labels.attributes import Attribute, LabelSpace
from pggan_framework.models.growing.spaces import SAME, Space, diagonal

Slices = dict[str, slice]


def blocks(space: LabelSpace | None) -> Slices:
    """The position of each attribute in a network's label input."""
    found, start = {}, 0
    for attribute in space.attributes if space else ():
        found[attribute.name] = slice(start, start + attribute.size)
        start += attribute.size
    return found


def _alike(old: Attribute, new: Attribute) -> bool:
    """True if attributes of the same name are both categorical or both continuous."""
    return (old.span is None) == (new.span is None)


def shared(source: LabelSpace | None, target: LabelSpace | None) -> list[str]:
    """The names of the attributes that source and target have in common."""
    old = {attribute.name: attribute for attribute in source.attributes} if source else {}
    return [new.name for new in target.attributes if new.name in old and _alike(old[new.name], new)] if target else []


def label_space(source: LabelSpace | None, target: LabelSpace | None) -> Space:
    """Map label inputs from source to target.

    Values are matched by name. A new value starts as the mean of the source's values; a new attribute has no effect
    at first; a dropped attribute is replaced by its mean effect. A continuous label with another range is rescaled.
    """
    if (source and source.state_dict()) == (target and target.state_dict()):
        return SAME
    old, new = blocks(source), blocks(target)
    widths = source.width if source else 0, target.width if target else 0
    into = torch.zeros(widths[1], widths[0], dtype=torch.float64)
    out, offset = into.clone(), torch.zeros(widths[1], dtype=torch.float64)
    held = torch.zeros(widths[0], dtype=torch.float64)
    known = {attribute.name: attribute for attribute in source.attributes} if source else {}
    names = shared(source, target)
    for attribute in target.attributes if target else ():
        if attribute.name in names:
            matrix, constant = _values(known[attribute.name], attribute)
            numeric = attribute.span is not None
            into[new[attribute.name], old[attribute.name]] = matrix
            out[new[attribute.name], old[attribute.name]] = 1 / matrix if numeric else matrix
            held[old[attribute.name]] = constant
            if numeric:
                offset[new[attribute.name]] = -constant / float(matrix)
    for name, attribute in known.items():
        if name not in names and attribute.span is None:
            held[old[name]] = 1 / attribute.size
    return Space(out, into, "mapped", offset=offset if bool(offset.any()) else None, held=held)


def _values(old: Attribute, new: Attribute) -> tuple[Tensor, float]:
    """The matrix [T, S] of one attribute, and the offset that is added to a continuous source value."""
    if old.span is not None and new.span is not None:
        (low, high), (start, stop) = old.span, new.span
        scale = (stop - start) / (high - low)
        return torch.tensor([[scale]], dtype=torch.float64), (start + stop - low - high) / (high - low)
    matrix = torch.full((new.size, old.size), 1 / old.size, dtype=torch.float64)
    for row, value in enumerate(new.values):
        if value in old.values:
            matrix[row] = torch.eye(old.size, dtype=torch.float64)[old.values.index(value)]
    return matrix, 0.0


def input_space(
    latents: int,
    labels: Space,
    spaces: tuple[LabelSpace | None, LabelSpace | None],
    plain: tuple[list[str], list[str]],
    normalized: bool,
) -> Space:
    """Map the input of the generator's first layer: latents, then labels.

    If both are normalized together, more numbers make each of them smaller, and the weights compensate for this. The
    compensation is exact if the number of normalized attributes does not change.

    Args:
        latents: number of latents in both networks.
        labels: mapping of the labels.
        spaces: label spaces of source and target.
        plain: attributes that source and target append after the normalization.
        normalized: whether both networks normalize their inputs.
    """
    if labels is SAME:
        return SAME
    assert labels.into is not None and labels.held is not None
    sizes = [torch.ones(latents + (space.width if space else 0), dtype=torch.float64) for space in spaces]
    if normalized:
        for space, own, size in zip(spaces, plain, sizes, strict=True):
            counted = [a for a in space.attributes if a.name not in own] if space else []
            # The mean square of latents is 1, and a block of labels contains a single 1.
            gain = sqrt((latents + sum(a.size for a in counted)) / (latents + len(counted)))
            size[:latents] = gain
            for name, place in blocks(space).items():
                size[latents + place.start : latents + place.stop] = gain if name not in own else 1.0
    into = diagonal(torch.eye(latents, dtype=torch.float64), labels.into)
    held = torch.cat([torch.zeros(latents, dtype=torch.float64), labels.held]) * sizes[0]
    return Space(into, into * sizes[0] / sizes[1][:, None], "mapped", held=held)


def plain_labels(source: LabelSpace | None, target: LabelSpace | None, plain: list[str]) -> list[str]:
    """The target's attributes to append after the normalization: new ones, and those appended in the source."""
    both = shared(source, target)
    return [a.name for a in target.attributes if a.name not in both or a.name in plain] if target else []
