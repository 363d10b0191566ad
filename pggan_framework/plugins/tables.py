"""DepthTables: parameters with a value per depth."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import TYPE_CHECKING, Any

from pggan_framework.errors import UserError
from pggan_framework.schedules.growth import by_depth
from pggan_framework.training.plugin import Plugin

if TYPE_CHECKING:
    from pggan_framework.training.trainer import Trainer


class DepthTables(Plugin):
    """Sets parameters before each step to their tables' values for the depth; every run with tables has one.

    Args:
        tables: ``Class.parameter`` -> values by depth; a depth uses the value of the largest key not above it, and the
            parameter's own value below the smallest.
        components: the run's components by name, which hold the parameters as attributes.
    """

    def __init__(self, tables: Mapping[str, Mapping[int, Any]], components: Mapping[str, Any]) -> None:
        self._tables = [
            (name, table, components[name.split(".")[0]], name.split(".")[1]) for name, table in tables.items()
        ]

    def setup(self, trainer: Trainer) -> None:
        """Store the parameters' own values.

        Raises:
            UserError: if a table has a key that is not a depth of the data, its component rejects a value, or a penalty
                has weights by depth of its own.
        """
        super().setup(trainer)
        self._without = [getattr(owner, parameter) for _, _, owner, parameter in self._tables]
        for name, table, owner, parameter in self._tables:
            if parameter == "weight" and getattr(owner, "depth_weights", None):
                raise UserError(
                    f"by_depth: {name} and {type(owner).__name__}.depth_weights are given; allowed: one of them"
                )
            for depth, value in table.items():
                if depth not in range(trainer.G.max_depth + 1):
                    raise UserError(
                        f"by_depth: {name}: {depth} is not a depth; allowed: 0 to {trainer.G.max_depth} for these data"
                    )
                if isinstance(value, int | float) and not (isfinite(value) and value >= 0):
                    raise UserError(f"by_depth: {name}.{depth}: {value} is given; allowed: 0 and above")
                setattr(owner, parameter, value)
        self._set()

    def before_step(self) -> None:
        """Set all of them."""
        self._set()

    def on_tick(self) -> None:
        """Report the values of the tick's last step; learning rates are reported anyway."""
        for name, _, owner, parameter in self._tables:
            value = getattr(owner, parameter)
            if isinstance(value, int | float) and not name.startswith("LRScheduler."):
                self.trainer.stats[name] = value

    def _set(self) -> None:
        for (_, table, owner, parameter), without in zip(self._tables, self._without, strict=True):
            setattr(owner, parameter, by_depth(table, without, self.trainer.depth))
