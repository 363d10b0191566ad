"""The base class of schedules, and the input of a plan."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from pggan_framework.errors import UserError
from pggan_framework.registry import contract
from pggan_framework.schedules.plan import Plan

Value = TypeVar("Value")


@dataclass(frozen=True)
class Facts:
    """Properties of networks and data that a plan can depend on.

    Args:
        max_depth: index of the deepest block of the networks.
        pictures: number of training images, the length of an epoch.
        minibatch: batch size by depth.
        repeats: batches of reals per step, `Trainer.D_training_repeats`.
        seconds: training time left in the run's budget; None without a budget.
        step_seconds: estimated time of a step by depth; None if unknown.
    """

    max_depth: int
    pictures: int
    minibatch: Callable[[int], int]
    repeats: int = 1
    seconds: float | None = None
    step_seconds: Callable[[int], float] | None = None

    @property
    def depths(self) -> range:
        """The depths of the networks, from 0 on."""
        return range(self.max_depth + 1)

    def step(self, depth: int) -> int:
        """Return the real images per step (iteration, one update of G) at `depth`."""
        return self.minibatch(depth) * self.repeats


@contract("schedule")
class Schedule(ABC):
    """Base class of schedules. Subclasses are registered with ``@register("schedule")`` and implement `plan`."""

    @abstractmethod
    def plan(self, facts: Facts) -> Plan:
        """Create the plan for networks and data with these `facts`.

        Raises:
            UserError: if a parameter does not fit them.
        """

    def refuse(self, parameter: str, given: object, allowed: str) -> UserError:
        """Return the error for an invalid `parameter`, with the given value and the allowed ones."""
        return UserError(f"{type(self).__name__}.{parameter}: {given} is given; allowed: {allowed}")

    def check(self, parameter: str, values: Iterable[float], least: float = 0) -> None:
        """Check that no value is below `least`.

        Raises:
            UserError: if a value is below `least`.
        """
        for value in values:
            if not value >= least:
                raise self.refuse(parameter, value, f"{least:g} and above")

    def table(
        self, parameter: str, given: Mapping[int, Value], facts: Facts, default: Mapping[int, Value] | None = None
    ) -> Mapping[int, Value]:
        """Return the table `given` after checking that it begins with depth 0 and no key exceeds the data's depths.

        Keys of an unchanged `default` may exceed them.

        Raises:
            UserError: if the check fails.
        """
        for depth in given:
            if depth not in facts.depths and given != default:
                raise self.refuse(parameter, f"depth {depth}", f"0 to {facts.max_depth} for these data")
        if 0 not in given:
            raise self.refuse(parameter, dict(given), "a table that begins with depth 0")
        return given
