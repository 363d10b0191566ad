"""Growth counted in steps, with alpha rising in jumps."""

from __future__ import annotations

from collections.abc import Sequence

from pggan_framework.registry import register
from pggan_framework.schedules.base import Facts, Schedule
from pggan_framework.schedules.growth import by_depth
from pggan_framework.schedules.plan import Curve, Plan, Stage

ZOO_ITERATIONS = {0: 48_000, 1: 96_000, 8: 200_000}
STAIRCASE_ITERATIONS = {0: 10_000, 1: 20_000, 2: 40_000, 3: 80_000}
STAIRCASE_DELAY = {0: 0, 1: 2000, 2: 4000, 3: 10_000}
STAIRCASE_JUMPS = {0: 0, 1: 100, 2: 200, 3: 400}


@register("schedule")
class IterationSchedule(Schedule):
    """A number of steps per depth; alpha rises in equal jumps, or by a table. Training ends after the last depth.

    A step is one update of G; it uses as many real images as the depth's batch (times Trainer.D_training_repeats). With
    the defaults, alpha rises by 1/600 every 32 steps: a transition of 19,200 steps, as in Facebook's GAN zoo. A value
    in a table applies from its depth on.

    Args:
        iterations: steps at each depth.
        alpha_jumps: jumps per transition; 0 disables the transition.
        alpha_jump_length: steps from one jump to the next.
        alpha_steps: alpha of the new block at individual depths, as [step, alpha] pairs that replace the jumps, such as
            {1: [[0, 0], [100, 0.5], [200, 1]]}.

    Raises:
        UserError: if a number is outside its limits.
    """

    def __init__(
        self,
        iterations: dict[int, int] = ZOO_ITERATIONS,  # noqa: B006  -- never changed
        alpha_jumps: dict[int, int] = {0: 600},  # noqa: B006
        alpha_jump_length: dict[int, int] = {0: 32},  # noqa: B006
        alpha_steps: dict[int, list[tuple[int, float]]] = {},  # noqa: B006
    ) -> None:
        self.iterations, self.alpha_jumps = iterations, alpha_jumps
        self.alpha_jump_length, self.alpha_steps = alpha_jump_length, alpha_steps
        self.check("iterations", iterations.values())
        self.check("alpha_jumps", alpha_jumps.values())
        self.check("alpha_jump_length", alpha_jump_length.values())
        for points in alpha_steps.values():
            steps, alphas = [step for step, _ in points], [alpha for _, alpha in points]
            rising = bool(steps) and steps[0] >= 0 and all(a < b for a, b in zip(steps, steps[1:], strict=False))
            if not rising or not all(0 <= alpha <= 1 for alpha in alphas) or alphas[-1] != 1:
                raise self.refuse("alpha_steps", points, "pairs of rising steps and alphas of 0 to 1, the last alpha 1")

    def plan(self, facts: Facts) -> Plan:
        """Return stages in images, with the batch size of each depth."""
        iterations = self.table("iterations", self.iterations, facts, ZOO_ITERATIONS)
        jumps = self.table("alpha_jumps", self.alpha_jumps, facts)
        lengths = self.table("alpha_jump_length", self.alpha_jump_length, facts)
        self.table("alpha_steps", {0: [], **self.alpha_steps}, facts)
        stages = []
        for depth in facts.depths:
            count, length = by_depth(jumps, 0, depth), by_depth(lengths, 0, depth)
            points = [(jump * length, jump / count) for jump in range(count + 1)] if count and length else []
            points = self.alpha_steps.get(depth, points)
            stages.append(_stage(self, depth, by_depth(iterations, 0, depth), points, facts))
        return Plan(stages, ends=True)


@register("schedule")
class StaircaseSchedule(Schedule):
    """A number of steps per depth; alpha rises in a staircase after a delay. Training ends after the last depth.

    After `delay` steps of a depth, alpha makes the first of `jumps` jumps of 1/jumps, then another every `interval`
    steps; before that, the new block has weight 0. A step is one update of G. A value in a table applies from its depth
    on.

    Args:
        iterations: steps at each depth.
        delay: steps before the first jump.
        interval: steps from one jump to the next.
        jumps: number of jumps; 0 adds the depth without a transition.

    Raises:
        UserError: if a number is outside its limits.
    """

    def __init__(
        self,
        iterations: dict[int, int] = STAIRCASE_ITERATIONS,  # noqa: B006  -- never changed
        delay: dict[int, int] = STAIRCASE_DELAY,  # noqa: B006
        interval: int = 100,
        jumps: dict[int, int] = STAIRCASE_JUMPS,  # noqa: B006
    ) -> None:
        self.iterations, self.delay, self.interval, self.jumps = iterations, delay, interval, jumps
        self.check("iterations", iterations.values())
        self.check("delay", delay.values())
        self.check("jumps", jumps.values())
        self.check("interval", [interval], 1)

    def plan(self, facts: Facts) -> Plan:
        """Return stages in images, with the batch size of each depth."""
        iterations = self.table("iterations", self.iterations, facts, STAIRCASE_ITERATIONS)
        delays = self.table("delay", self.delay, facts, STAIRCASE_DELAY)
        jumps = self.table("jumps", self.jumps, facts, STAIRCASE_JUMPS)
        stages = []
        for depth in facts.depths:
            delay, count = by_depth(delays, 0, depth), by_depth(jumps, 0, depth)
            points = [(delay + jump * self.interval, (jump + 1) / count) for jump in range(count)]
            stages.append(_stage(self, depth, by_depth(iterations, 0, depth), points, facts))
        return Plan(stages, ends=True)


def _stage(schedule: Schedule, depth: int, iterations: int, points: Sequence[tuple[int, float]], facts: Facts) -> Stage:
    """Build a stage of `iterations` steps with alpha 0 at first and jumps at `points` (step, alpha).

    Raises:
        UserError: if the stage ends before its transition.
    """
    images = facts.step(depth)
    if depth == 0 or not points:
        return Stage(iterations * images)
    if iterations <= points[-1][0]:
        raise schedule.refuse(
            "iterations", f"{iterations} at depth {depth}", f"more than the {points[-1][0]} steps its fade takes"
        )
    jumps = tuple((float(step * images), alpha) for step, alpha in points)
    return Stage(iterations * images, Curve(((0.0, 0.0), *jumps), steps=True))
