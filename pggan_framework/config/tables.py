"""Checks of `by_depth` and `by_progress`: which parameters may have a table, and the types of the values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import isfinite
from typing import Any, Literal

from pggan_framework.config.convert import convert
from pggan_framework.config.general import General
from pggan_framework.config.parameters import parameters
from pggan_framework.errors import UserError, nearest
from pggan_framework.registry import REGISTRY, Component

OWNERS: Mapping[str, str] = {"G_lr_max": "LRScheduler", "D_lr_max": "LRScheduler"}
"""General flags that may have a table, and the component that applies it."""

Tables = dict[str, dict[Any, Any]]
Flag = Literal["by_depth", "by_progress"]
FLAGS: tuple[Flag, ...] = ("by_depth", "by_progress")


def checked_tables(flag: Flag, general: General, used: Iterable[Component]) -> Tables:
    """Return the tables of `general` under canonical names, with values checked against the types of the parameters.

    Args:
        flag: the flag with the tables.
        general: values of the general flags.
        used: the components of the run.

    Raises:
        UserError: if a name is not a parameter that may change during training, or a value has the wrong type.
    """
    by_name = {component.name: component for component in used}
    allowed = schedulable(by_name.values()) + (["minibatch_size"] if flag == "by_progress" else [])
    tables: Tables = {}
    for given, table in getattr(general, flag).items():
        owner, _, parameter = given.rpartition(".")
        name = f"{REGISTRY.get(owner).name}.{parameter}" if owner in REGISTRY else given
        if flag == "by_depth" and name in ("minibatch_size", "DepthManager.minibatch_size"):
            raise UserError(f"by_depth: {given}: the batch size has its own table, DepthManager.minibatch_overrides")
        if name not in allowed:
            raise UserError(
                f"{flag}: {given} cannot have a table{nearest(given, allowed)}; allowed in this run:"
                f" {', '.join(allowed)}"
            )
        of_general = "." not in name
        kind = parameters(General if of_general else by_name[name.split(".")[0]].cls)[name.split(".")[-1]].kind
        if flag == "by_progress" and not (table and all(0 <= place <= 1 for place in table)):
            raise UserError(f"by_progress: {given}: {dict(table)} is given; allowed: fractions 0 to 1 and their values")
        tables[name] = {place: convert(value, kind, f"{flag}: {given}.{place}") for place, value in table.items()}
        values = [
            number for value in tables[name].values() for number in (value if isinstance(value, tuple) else [value])
        ]
        if flag == "by_progress" and not all(isinstance(n, int | float) and isfinite(n) and n >= 0 for n in values):
            raise UserError(f"by_progress: {given}: {dict(table)} is given; allowed: numbers of 0 and above")
    return tables


def schedulable(used: Iterable[Component]) -> list[str]:
    """Return the names that may have a table in a run with these components."""
    names = [*OWNERS]
    for component in used:
        flags = parameters(component.cls, component.name)
        names += [f"{component.name}.{n}" for n in getattr(component.cls, "schedulable", ()) if n in flags]
    return names
