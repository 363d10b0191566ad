"""A plan: depth and alpha as pure functions of the training progress."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import Literal

Unit = Literal["image", "second"]
"""The unit of a plan: real images shown, or seconds trained."""


@dataclass(frozen=True)
class Curve:
    """A function through points (position, value).

    It is constant before the first and after the last point.

    Args:
        points: ordered by position; of several points at the same position, the last applies from there on.
        steps: True for piecewise constant; else piecewise linear.
    """

    points: tuple[tuple[float, float], ...]
    steps: bool = False

    def at(self, position: float) -> float:
        """Return the value at `position`."""
        passed = [index for index, (place, _) in enumerate(self.points) if place <= position]
        if not passed:
            return self.points[0][1]
        place, value = self.points[passed[-1]]
        if self.steps or passed[-1] == len(self.points) - 1:
            return value
        next_place, next_value = self.points[passed[-1] + 1]
        return value + (position - place) / (next_place - place) * (next_value - value)


WHOLE = Curve(((0.0, 1.0),))
"""Alpha is always 1."""


def linear_fade(length: float) -> Curve:
    """Return alpha from 0 to 1 over `length`; 1 immediately if `length` is 0."""
    return Curve(((0.0, 0.0), (length, 1.0))) if length > 0 else WHOLE


@dataclass(frozen=True)
class Stage:
    """The stage of one depth.

    Args:
        length: length of the stage.
        fade: alpha as a function of the position in the stage.
        lr_factor: factor of both learning rates as a function of the position in the stage.
    """

    length: float
    fade: Curve = WHOLE
    lr_factor: Curve = WHOLE


def trained(stages: Sequence[Stage], progress: float) -> list[Stage]:
    """Return the stages of a run that starts from a model: depths that are already trained have length 0.

    Args:
        stages: the stages of a run from scratch.
        progress: the depth that the model was trained to: 2 if depth 2 is complete, so that the next one fades in
            immediately; 2.4 if depth 3 is at alpha 0.4. The deepest depth, if complete, keeps its length without a
            transition.
    """
    whole, alpha = int(progress), progress % 1
    last = len(stages) - 1
    found = [Stage(0.0) if depth <= whole else stage for depth, stage in enumerate(stages)]
    if whole >= last:
        found[last] = Stage(stages[last].length, WHOLE, stages[last].lr_factor)
    elif alpha:
        stage = found[whole + 1]
        end = stage.fade.points[-1][0]
        found[whole + 1] = Stage(stage.length, Curve(((0.0, alpha), (end * (1 - alpha), 1.0))), stage.lr_factor)
    return found


@dataclass(frozen=True)
class Plan:
    """One stage per depth, from depth 0 on.

    Args:
        stages: the stage of each depth.
        ends: True if training ends with the last stage; else the last depth continues.
        unit: unit of lengths and positions.
        freeze: True if the blocks of earlier depths are frozen.

    Raises:
        ValueError: if there is no stage, or a length is negative.
    """

    stages: Sequence[Stage]
    ends: bool = False
    unit: Unit = "image"
    freeze: bool = False

    def __post_init__(self) -> None:
        if not self.stages or min(stage.length for stage in self.stages) < 0:
            raise ValueError(f"a plan needs stages, none of negative length: {self.stages}")

    @property
    def max_depth(self) -> int:
        """Index of the deepest block."""
        return len(self.stages) - 1

    @property
    def end(self) -> float:
        """The end of training; infinity if the plan has no end."""
        return sum(stage.length for stage in self.stages) if self.ends else inf

    def start(self, depth: int) -> float:
        """Return the position where `depth` begins (to fade in, from depth 1 on).

        Raises:
            ValueError: if the depth does not exist.
        """
        if not 0 <= depth <= self.max_depth:
            raise ValueError(f"depth {depth} is outside 0 to {self.max_depth}")
        return sum(stage.length for stage in self.stages[:depth])

    def faded_in(self, depth: int) -> float:
        """Return the position from which `depth` has alpha 1."""
        points = self.stages[depth].fade.points
        return self.start(depth) + next((place for place, alpha in points if alpha == 1), inf)

    def phases(self, position: float, total: float) -> dict[tuple[int, bool], float]:
        """Return the rest of each phase from `position` on, by depth and True for a fade-in.

        Args:
            position: current position in the plan.
            total: the end, in images; a plan in seconds ends with its last stage.
        """
        end = min(self.end, total) if self.unit == "image" else sum(stage.length for stage in self.stages)
        found = {}
        for depth in range(self.max_depth + 1):
            whole = self.faded_in(depth) if depth > 0 else self.start(depth)
            after = self.start(depth + 1) if depth < self.max_depth else end
            for fading, first, last in ((True, self.start(depth), whole), (False, whole, after)):
                left = min(last, after, end) - max(first, position)
                if left > 0:
                    found[depth, fading] = left
        return found

    def at(self, position: float) -> tuple[int, float]:
        """Return depth and alpha at `position`; depth 0 has no fade."""
        depth = self._depth(position)
        return depth, (self.stages[depth].fade.at(position - self.start(depth)) if depth > 0 else 1.0)

    def lr_factor(self, position: float) -> float:
        """Return the factor of both learning rates at `position`."""
        depth = self._depth(position)
        return self.stages[depth].lr_factor.at(position - self.start(depth))

    def _depth(self, position: float) -> int:
        return max(depth for depth in range(self.max_depth + 1) if depth == 0 or position >= self.start(depth))
