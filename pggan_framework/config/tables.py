"""`by_depth`: check which parameters may have a value for each depth, and the types of the values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pggan_framework.config.convert import convert
from pggan_framework.config.general import General
from pggan_framework.config.parameters import parameters
from pggan_framework.errors import UserError, nearest
from pggan_framework.registry import REGISTRY, Component

OWNERS: Mapping[str, str] = {"G_lr_max": "LRScheduler", "D_lr_max": "LRScheduler"}
"""General flags that may have a table, and the component that applies it."""

Tables = dict[str, dict[int, Any]]


def checked_tables(general: General, used: Iterable[Component]) -> Tables:
    """The tables of `general` under canonical names, values checked against the parameters' types.

    Args:
        general: the general flags.
        used: the components of the run.

    Raises:
        UserError: if a name is not a parameter that may change during training, or a value has the wrong type.
    """
    by_name = {component.name: component for component in used}
    allowed = schedulable(by_name.values())
    tables: Tables = {}
    for given, table in general.by_depth.items():
        owner, _, parameter = given.rpartition(".")
        name = f"{REGISTRY.get(owner).name}.{parameter}" if owner in REGISTRY else given
        if name in ("minibatch_size", "DepthManager.minibatch_size"):
            raise UserError(f"by_depth: {given}: the batch size has its own table, DepthManager.minibatch_overrides")
        if name not in allowed:
            raise UserError(
                f"by_depth: {given} cannot have a table{nearest(given, allowed)}; allowed in this run:"
                f" {', '.join(allowed)}"
            )
        kind = parameters(General if name in OWNERS else by_name[name.split(".")[0]].cls)[name.split(".")[-1]].kind
        tables[name] = {depth: convert(value, kind, f"by_depth: {given}.{depth}") for depth, value in table.items()}
    return tables


def schedulable(used: Iterable[Component]) -> list[str]:
    """The names that may have a table in a run of these components."""
    names = [*OWNERS]
    for component in used:
        flags = parameters(component.cls, component.name)
        names += [f"{component.name}.{n}" for n in getattr(component.cls, "schedulable", ()) if n in flags]
    return names
