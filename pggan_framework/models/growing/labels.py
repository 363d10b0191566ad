"""Mappings of labels: matched by name; new values start at the mean."""

from __future__ import annotations

from math import sqrt

import torch
from torch import Tensor

from pggan_framework.labels.attributes import Attribute, LabelSpace
from pggan_framework.models.growing.spaces import SAME, Space, diagonal

Slices = dict[str, slice]


def blocks(space: LabelSpace | None) -> Slices:
    """Where each attribute's numbers are in what a network sees of a label."""
    found, start = {}, 0
    for attribute in space.attributes if space else ():
        found[attribute.name] = slice(start, start + attribute.size)
        start += attribute.size
    return found


def _alike(old: Attribute, new: Attribute) -> bool:
    """Whether an attribute of one name is of one kind in both: one of several values, or a number."""
    return (old.span is None) == (new.span is None)


def shared(source: LabelSpace | None, target: LabelSpace | None) -> list[str]:
    """The attributes that both have."""
    old = {attribute.name: attribute for attribute in source.attributes} if source else {}
    return [new.name for new in target.attributes if new.name in old and _alike(old[new.name], new)] if target else []


def label_space(source: LabelSpace | None, target: LabelSpace | None) -> Space:
    """Numbers of a label, source to target; those of an attribute that was dropped are held at their mean.

    A value of the source is the same value in the target; a new one is the mean of the source's values; an attribute
    that is new has no effect at first. A number whose range differs is rescaled.
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
    """[T, S] of one attribute, and what is added to the source's number."""
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
    """What the generator's first layer reads: latents, then labels.

    Where both are normalised together, the numbers are smaller the more there are; the weights make up for it. That is
    exact where as many attributes are normalised as before.

    Args:
        latents: how many both have.
        labels: the labels' own space.
        spaces: of the labels of source and target.
        plain: the attributes that source and target join after the normalisation.
        normalized: whether both normalise their inputs.
    """
    if labels is SAME:
        return SAME
    assert labels.into is not None and labels.held is not None
    sizes = [torch.ones(latents + (space.width if space else 0), dtype=torch.float64) for space in spaces]
    if normalized:
        for space, own, size in zip(spaces, plain, sizes, strict=True):
            counted = [a for a in space.attributes if a.name not in own] if space else []
            # The mean square of latents is 1, and a block of labels has one 1.
            gain = sqrt((latents + sum(a.size for a in counted)) / (latents + len(counted)))
            size[:latents] = gain
            for name, place in blocks(space).items():
                size[latents + place.start : latents + place.stop] = gain if name not in own else 1.0
    into = diagonal(torch.eye(latents, dtype=torch.float64), labels.into)
    held = torch.cat([torch.zeros(latents, dtype=torch.float64), labels.held]) * sizes[0]
    return Space(into, into * sizes[0] / sizes[1][:, None], "mapped", held=held)


def plain_labels(source: LabelSpace | None, target: LabelSpace | None, plain: list[str]) -> list[str]:
    """The attributes of the target to join after the normalisation: the source's such ones, and new ones."""
    both = shared(source, target)
    return [a.name for a in target.attributes if a.name not in both or a.name in plain] if target else []
