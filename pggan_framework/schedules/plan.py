"""A plan: which depth and alpha hold at each moment of a training, as pure functions of how far it has come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import Literal

Unit = Literal["image", "second"]
"""What a plan counts: real images shown, or seconds trained."""


@dataclass(frozen=True)
class Curve:
    """A value that follows points (position, value).

    Before the first point it has the first one's value, after the last the last one's.

    Args:
        points: in the order of their positions; of several at one position the last counts from there on.
        steps: hold each point's value until the next one; else go to it in a straight line.
    """

    points: tuple[tuple[float, float], ...]
    steps: bool = False

    def at(self, position: float) -> float:
        """The value at `position`."""
        passed = [index for index, (place, _) in enumerate(self.points) if place <= position]
        if not passed:
            return self.points[0][1]
        place, value = self.points[passed[-1]]
        if self.steps or passed[-1] == len(self.points) - 1:
            return value
        next_place, next_value = self.points[passed[-1] + 1]
        return value + (position - place) / (next_place - place) * (next_value - value)


WHOLE = Curve(((0.0, 1.0),))
"""Alpha 1 all the time."""


def linear_fade(length: float) -> Curve:
    """Alpha from 0 to 1 over `length`; 1 at once where that is 0."""
    return Curve(((0.0, 0.0), (length, 1.0))) if length > 0 else WHOLE


@dataclass(frozen=True)
class Stage:
    """The time at one depth.

    Args:
        length: how long it is.
        fade: alpha by how much of it is gone.
        lr_factor: what both learning rates are multiplied by, by how much of it is gone.
    """

    length: float
    fade: Curve = WHOLE
    lr_factor: Curve = WHOLE


def trained(stages: Sequence[Stage], progress: float) -> list[Stage]:
    """The stages of a run that starts from a model: depths it has trained take no time.

    Args:
        stages: as for a run from the start.
        progress: how deep the model was trained: 2 where depth 2 is whole, so that the next one fades in at once; 2.4
            where depth 3 fades in at alpha 0.4. The deepest depth, where it is whole, keeps its time without a fade.
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
    """One stage a depth, from depth 0 on.

    Args:
        stages: of each depth.
        ends: whether training is over with the last stage; else the last depth goes on.
        unit: what lengths and positions are counted in.
        freeze: whether the blocks of earlier depths are trained no further.

    Raises:
        ValueError: if there is no stage, or one has a negative length.
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
        """The deepest block."""
        return len(self.stages) - 1

    @property
    def end(self) -> float:
        """Where training is over; infinity where the plan does not say."""
        return sum(stage.length for stage in self.stages) if self.ends else inf

    def start(self, depth: int) -> float:
        """Where `depth` begins (to fade in, from depth 1 on).

        Raises:
            ValueError: if there is no such depth.
        """
        if not 0 <= depth <= self.max_depth:
            raise ValueError(f"depth {depth} is outside 0 to {self.max_depth}")
        return sum(stage.length for stage in self.stages[:depth])

    def faded_in(self, depth: int) -> float:
        """From where `depth` has alpha 1."""
        points = self.stages[depth].fade.points
        return self.start(depth) + next((place for place, alpha in points if alpha == 1), inf)

    def phases(self, position: float, total: float) -> dict[tuple[int, bool], float]:
        """What is left from `position` on of each phase, by its depth and whether that fades in.

        Args:
            position: where training is.
            total: where it ends, in images; a plan in seconds ends with its last stage.
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
        """Depth and alpha at `position`; depth 0 has no fade."""
        depth = self._depth(position)
        return depth, (self.stages[depth].fade.at(position - self.start(depth)) if depth > 0 else 1.0)

    def lr_factor(self, position: float) -> float:
        """What both learning rates are multiplied by at `position`."""
        depth = self._depth(position)
        return self.stages[depth].lr_factor.at(position - self.start(depth))

    def _depth(self, position: float) -> int:
        return max(depth for depth in range(self.max_depth + 1) if depth == 0 or position >= self.start(depth))
