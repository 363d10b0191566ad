"""What a schedule is: it lays out a plan for the networks and data of a run."""

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
    """What a plan can depend on.

    Args:
        max_depth: the deepest block of the networks.
        pictures: how many the data are; an epoch is as many real images.
        minibatch: real images a batch, by depth.
        repeats: batches of reals a step, `Trainer.D_training_repeats`.
        seconds: what the run's budget leaves for training; None where there is no budget.
        step_seconds: depth -> about how long a step takes there; None where that is not known.
    """

    max_depth: int
    pictures: int
    minibatch: Callable[[int], int]
    repeats: int = 1
    seconds: float | None = None
    step_seconds: Callable[[int], float] | None = None

    @property
    def depths(self) -> range:
        """All of them."""
        return range(self.max_depth + 1)

    def step(self, depth: int) -> int:
        """Real images a step at `depth`: an iteration, one update of G."""
        return self.minibatch(depth) * self.repeats


@contract("schedule")
class Schedule(ABC):
    """Base of schedules. A subclass is registered with ``@register("schedule")`` and gives `plan`."""

    @abstractmethod
    def plan(self, facts: Facts) -> Plan:
        """The plan for networks and data with these `facts`.

        Raises:
            UserError: if a parameter does not fit them.
        """

    def refuse(self, parameter: str, given: object, allowed: str) -> UserError:
        """The error that says what of `parameter` is given, and what is allowed."""
        return UserError(f"{type(self).__name__}.{parameter}: {given} is given; allowed: {allowed}")

    def check(self, parameter: str, values: Iterable[float], least: float = 0) -> None:
        """Refuse a value below `least`.

        Raises:
            UserError: if there is one.
        """
        for value in values:
            if not value >= least:
                raise self.refuse(parameter, value, f"{least:g} and above")

    def table(
        self, parameter: str, given: Mapping[int, Value], facts: Facts, default: Mapping[int, Value] | None = None
    ) -> Mapping[int, Value]:
        """The table `given`, which begins with depth 0 and has no key that is no depth of the data.

        An untouched `default` may lie beyond them.

        Raises:
            UserError: if it does not, or has one.
        """
        for depth in given:
            if depth not in facts.depths and given != default:
                raise self.refuse(parameter, f"depth {depth}", f"0 to {facts.max_depth} for these data")
        if 0 not in given:
            raise self.refuse(parameter, dict(given), "a table that begins with depth 0")
        return given
