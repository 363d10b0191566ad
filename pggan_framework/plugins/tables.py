"""Parameters with a value per depth (DepthTables), or per fraction of the training (ProgressTables)."""

from __future__ import annotations

from collections.abc import Mapping
from math import cos, inf, isfinite, pi
from typing import TYPE_CHECKING, Any

from pggan_framework.errors import UserError
from pggan_framework.plugins.depth import DepthManager
from pggan_framework.schedules.growth import by_depth
from pggan_framework.training.budget import Budget, BudgetKeeper
from pggan_framework.training.clock import Clock
from pggan_framework.training.plugin import Plugin

if TYPE_CHECKING:
    from pggan_framework.training.trainer import Trainer


class DepthTables(Plugin):
    """Sets parameters before each step to their table's value for the depth; every run with such tables uses it.

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
        """Store the initial values of the parameters.

        Raises:
            UserError: if a table has a key that is not a depth of the data, its component rejects a value, or a penalty
                already has weights by depth.
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
        """Set all parameters."""
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


def between(table: Mapping[float, Any], place: float) -> Any:
    """Interpolate the table at `place` with a half cosine between values; tuples element-wise."""
    places = sorted(table)
    after = next((index for index, other in enumerate(places) if other > place), len(places))
    first, last = table[places[max(after - 1, 0)]], table[places[min(after, len(places) - 1)]]
    if first == last or after in (0, len(places)):
        return last if after else first
    gone = (place - places[after - 1]) / (places[after] - places[after - 1])
    part = (1 - cos(pi * gone)) / 2
    if isinstance(first, tuple):
        return tuple(a + part * (b - a) for a, b in zip(first, last, strict=True))
    value = first + part * (last - first)
    return round(value) if isinstance(first, int) and isinstance(last, int) else value


class ProgressTables(Plugin):
    """Sets parameters before each step to their table's value for the progress; every run with such tables uses it.

    The progress is the fraction of `total_kimg` or, if larger, of the training time set by a schedule in minutes or by
    the budget of the run.

    Args:
        tables: ``Class.parameter`` or ``minibatch_size`` -> values by fraction of the training.
        components: the run's components by name, which hold the parameters as attributes.
        by_depth: names that also have a table by depth.

    Raises:
        UserError: if a parameter has tables of both kinds.
    """

    def __init__(
        self, tables: Mapping[str, Mapping[float, Any]], components: Mapping[str, Any], by_depth: Mapping[str, Any]
    ) -> None:
        for name in tables:
            if name in by_depth:
                raise UserError(f"by_depth and by_progress both have {name}; allowed: one of them")
        self._tables, self._components = tables, components
        self._seconds = 0.0
        self._clock: Clock | None = None
        self.values: dict[str, Any] = {}

    def setup(self, trainer: Trainer) -> None:
        """Validate all values in their components.

        Raises:
            UserError: if a component rejects a value.
        """
        super().setup(trainer)
        for name, table in self._tables.items():
            owner, _, parameter = name.rpartition(".")
            for value in table.values() if owner else ():
                setattr(self._components[owner], parameter, value)

    @property
    def fraction(self) -> float:
        """The training progress, 0 to 1."""
        trainer = self.trainer
        images = trainer.nimg / trainer.total_nimg
        gone, left = 0.0, inf
        for plugin in trainer.plugins:
            if isinstance(plugin, DepthManager) and plugin.unit == "second":
                gone, left = plugin.position, plugin.seconds_left()
                break
            if isinstance(plugin, BudgetKeeper) and self._clock is not None:
                gone, left = self._clock.seconds, plugin.seconds_left()
        return min(max(images, gone / (gone + max(left, 0.0)) if gone else 0.0), 1.0)

    def before_step(self) -> None:
        """Set all parameters."""
        self._clock = self._clock or Clock(self._seconds, Budget.now)
        place = self.fraction
        self.values = {name: between(table, place) for name, table in self._tables.items()}
        for name, value in self.values.items():
            owner, _, parameter = name.rpartition(".")
            if owner:
                setattr(self._components[owner], parameter, value)
            else:
                self.trainer.minibatch_size = max(round(value), 1)

    def on_tick(self) -> None:
        """Report the values of the tick's last step; learning rates and the batch are reported anyway."""
        for name, value in self.values.items():
            if isinstance(value, int | float) and "." in name and not name.startswith("LRScheduler."):
                self.trainer.stats[name] = value

    def state_dict(self) -> dict[str, Any]:
        """Return the seconds trained."""
        return {"seconds": self._clock.seconds if self._clock else self._seconds}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the clock."""
        self._clock, self._seconds = None, state.get("seconds", 0.0)
