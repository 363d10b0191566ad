"""DepthManager: grow the networks by the schedule, with batch size and tick length per depth."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import ceil, inf
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pggan_framework.errors import UserError, plural
from pggan_framework.registry import register
from pggan_framework.schedules.base import Facts, Schedule
from pggan_framework.schedules.growth import by_depth
from pggan_framework.schedules.phases import phases
from pggan_framework.schedules.plan import Curve, Plan, Stage, Unit, trained
from pggan_framework.schedules.recorded import Recorded
from pggan_framework.schedules.wall_clock import WallClockSchedule
from pggan_framework.training.budget import training_seconds
from pggan_framework.training.clock import Clock
from pggan_framework.training.estimate import Training, estimate
from pggan_framework.training.plugin import Plugin
from pggan_framework.training.schedule import lod

if TYPE_CHECKING:
    from pggan_framework.training.trainer import Trainer

MINIBATCHES = {6: 14, 7: 6, 8: 3}
"""Batch sizes at 256, 512 and 1024 px, from the PGGAN paper's Theano code (Karras et al. 2018)."""
PHASE = 100_000
"""Images per transition, and per phase after it."""
_FEWEST, _RECENT = 5, 50
"""Steps to run before timing, and number of recent steps to time."""
TICKS = {3: 10, 4: 10, 5: 5, 6: 2, 7: 2, 8: 1}
"""Thousand images per tick at 32 px and above, from the same code."""


@register("plugin")
class DepthManager(Plugin):
    """Sets depth, alpha, batch size and tick length before each step, as functions of the images shown.

    A table lists values by depth; a depth uses the value of the largest key not above it, and the default below the
    smallest key. The phase lengths (lod_...) define the PGGAN paper's schedule; another schedule (--schedule) replaces
    them.

    Args:
        minibatch_size: batch size of the general flag --minibatch_size.
        schedule: schedule that replaces the phases; passed by the run.
        minibatch_default: default batch size; if not given, --minibatch_size.
        minibatch_overrides: batch sizes by depth. The defaults (256 px and above) only lower the batch size.
        tick_kimg_default: thousand images per tick.
        tick_kimg_overrides: thousand images per tick, by depth.
        lod_training_nimg: number of images at a depth before the next depth fades in.
        lod_training_overrides: by depth, the number of images before the next depth fades in.
        lod_transition_nimg: number of images per transition (fade-in).
        lod_transition_overrides: number of images per transition, by the depth that fades in.
        minibatch_repeats: number of steps for which depth and alpha stay constant.
        optimizer_reset: reset of both optimizers' moments: never; depth, at each new block; or fade, at the start and
            end of each transition, as in the PGGAN paper's TensorFlow code.
        max_lod: log2 of the full resolution, for the lod in the logs; if not given, it follows from the data.
        depth_offset: log2 of the resolution at depth 0; if not given, it follows from the data.
        trained_depth: depth of --resume_network, at which the schedule starts. With 2, depth 2 is complete and depth 3
            fades in at once; with 2.4, depth 3 is at alpha 0.4.
    """

    injected: ClassVar[tuple[str, ...]] = ("minibatch_size", "schedule")
    now: ClassVar[Callable[[], float]] = time.monotonic
    """The clock of a schedule in seconds."""

    def __init__(
        self,
        minibatch_size: int = 16,
        schedule: Schedule | None = None,
        minibatch_default: int | None = None,
        minibatch_overrides: dict[int, int] = MINIBATCHES,  # noqa: B006  -- copied below, never changed
        tick_kimg_default: float = 20,
        tick_kimg_overrides: dict[int, float] = TICKS,  # type: ignore[assignment]  # noqa: B006
        lod_training_nimg: int = PHASE,
        lod_training_overrides: dict[int, int] = {},  # noqa: B006
        lod_transition_nimg: int = PHASE,
        lod_transition_overrides: dict[int, int] = {},  # noqa: B006
        minibatch_repeats: int = 1,
        optimizer_reset: Literal["never", "depth", "fade"] = "never",
        max_lod: int | None = None,
        depth_offset: int | None = None,
        trained_depth: float | None = None,
    ) -> None:
        self.trained_depth = trained_depth
        if trained_depth is not None and trained_depth < 0:
            raise UserError(f"DepthManager.trained_depth: {trained_depth} is given; allowed: 0 and up, or None")
        self.schedule = schedule
        self.replayed: Recorded | None = None
        """If set, depth, alpha and learning rates follow this record instead of the clock."""
        self.minibatch_repeats = minibatch_repeats
        self.optimizer_reset = optimizer_reset
        self.minibatch_default = minibatch_size if minibatch_default is None else minibatch_default
        self.minibatch_overrides = {
            depth: min(size, self.minibatch_default) if MINIBATCHES.get(depth) == size else size
            for depth, size in minibatch_overrides.items()
        }
        self.tick_kimg_default = tick_kimg_default
        self.tick_kimg_overrides = dict(tick_kimg_overrides)
        self.lod_training = lod_training_nimg, dict(lod_training_overrides)
        self.lod_transition = lod_transition_nimg, dict(lod_transition_overrides)
        self.max_lod = max_lod
        self.depth_offset = depth_offset
        for name, value in (
            ("minibatch_default", self.minibatch_default),
            ("tick_kimg_default", tick_kimg_default),
            ("minibatch_repeats", minibatch_repeats),
        ):
            _above(name, value, 0)
        for name, table, least in (
            ("minibatch_overrides", self.minibatch_overrides, 0),
            ("tick_kimg_overrides", self.tick_kimg_overrides, 0),
            ("lod_training_overrides", {-1: lod_training_nimg, **lod_training_overrides}, -1),
            ("lod_transition_overrides", {-1: lod_transition_nimg, **lod_transition_overrides}, -1),
        ):
            for value in table.values():
                _above(name, value, least)

    @property
    def phases_given(self) -> bool:
        """True if the phases have non-default lengths."""
        return (self.lod_training, self.lod_transition) != ((PHASE, {}), (PHASE, {}))

    def plan(self, max_depth: int, pictures: int = 0, repeats: int = 1, seconds: float | None = None) -> Plan:
        """Return the plan for networks of `max_depth`.

        Args:
            max_depth: index of the deepest block.
            pictures: number of training images, for a schedule in epochs.
            repeats: batches of reals per step, for a schedule in steps.
            seconds: training time left in the run's budget, for a schedule by the clock.

        Raises:
            UserError: if a table has a key that is not a depth of such networks.
        """
        _check_depths("minibatch_overrides", self.minibatch_overrides, MINIBATCHES, max_depth)
        _check_depths("tick_kimg_overrides", self.tick_kimg_overrides, TICKS, max_depth)
        _check_depths("lod_training_overrides", self.lod_training[1], {}, max_depth)
        _check_depths("lod_transition_overrides", self.lod_transition[1], {}, max_depth)
        if self.schedule is None:
            (stable, stable_overrides), (transition, transition_overrides) = self.lod_training, self.lod_transition
            plan = phases(max_depth, stable, transition, stable_overrides, transition_overrides)
        else:
            plan = self.schedule.plan(Facts(max_depth, pictures, self.minibatch, repeats, seconds))
        if self.trained_depth is None:
            return plan
        return replace(plan, stages=trained(plan.stages, self.trained_depth))

    def minibatch(self, depth: int) -> int:
        """Batch size at `depth`."""
        return by_depth(self.minibatch_overrides, self.minibatch_default, depth)

    def tick_nimg(self, depth: int) -> int:
        """Images per tick at `depth`."""
        return round(1000 * by_depth(self.tick_kimg_overrides, self.tick_kimg_default, depth))

    def setup(self, trainer: Trainer) -> None:
        """Create the plan for the trainer's networks."""
        super().setup(trainer)
        self._plan = self.plan(
            trainer.G.max_depth,
            len(trainer.parts.dataset),
            trainer.D_training_repeats,
            training_seconds(trainer.budget),
        )
        if self._plan.unit == "second" and trainer.world.size > 1:
            raise UserError(
                f"schedule: {type(self.schedule).__name__} grows by time, but there are {trainer.world.size} processes"
                f" {trainer.world.size}; allowed in distributed training: a schedule that counts images"
            )
        self._clock: Clock | None = None
        self._recorded = Recorded()
        self._held: tuple[int, float] | None = None
        self._seconds = 0.0
        self._resumed = False
        self._steps: deque[float] = deque(maxlen=_RECENT)
        self._estimates: dict[int, float] = {}
        self._ratio = 1.0
        self._settled = self._over = False
        self._frozen_before = 0
        if self.depth_offset is None:
            self.depth_offset = trainer.parts.dataset.model_dataset_depth_offset
        if self.max_lod is None:
            self.max_lod = self.depth_offset + trainer.G.max_depth

    def before_step(self) -> None:
        """Set depth, alpha, batch size, tick length and learning-rate factor for the current progress."""
        trainer = self.trainer
        if self.replayed is not None:
            self._set(*self._replay(self.replayed))
            return
        if self._clock is None:  # time before the first step is not training time
            self._clock = Clock(self._seconds, type(self).now)
            if self._plan.unit == "second":
                self._begin()
        position = float(trainer.nimg)
        if self._plan.unit == "second":
            # Read once per step, so that everything below uses the same position.
            position = self._seconds = self._clock.seconds
            self._follow_clock(position)
        if trainer.iteration % self.minibatch_repeats == 0:
            self._held = self._plan.at(position)
        elif self._held is None:  # resumed
            self._held = trainer.depth, float(trainer.G.alpha)
        factor = self._plan.lr_factor(position)
        if self._plan.unit == "second":
            self._recorded.note(trainer.nimg, *self._held, factor)
        self._set(*self._held, factor)
        if self._plan.unit == "second" and position >= self._plan.end:
            trainer.finish("the schedule's time is used up")

    def _set(self, depth: int, alpha: float, factor: float) -> None:
        """Set depth, alpha, the learning-rate factor and the values that depend on the depth."""
        trainer = self.trainer
        before = trainer.depth, trainer.G.fading
        trainer.grow_to(depth, alpha)
        self._reset_optimizers(before)
        if self._plan.freeze:
            self._freeze()
        trainer.lr_factors["schedule"] = factor
        trainer.minibatch_size = self.minibatch(trainer.depth)
        trainer.tick_nimg = self.tick_nimg(trainer.depth)

    def _replay(self, recorded: Recorded) -> tuple[int, float, float]:
        """Return the values recorded for this step in the original run."""
        trainer = self.trainer
        found = recorded.at(trainer.nimg)
        assert found is not None, "the record begins after this step"
        if found[0] > trainer.depth and trainer.iteration > 0:
            trainer.parts.ema.begin_anew(trainer.nimg)
        return found

    def prepare(self) -> None:
        """Create a plan in seconds like the first step; for a dry run."""
        if self._plan.unit == "second" and self._clock is None:
            self._begin()

    @property
    def unit(self) -> Unit:
        """The unit of the plan."""
        return self._plan.unit

    @property
    def position(self) -> float:
        """The current position, in the unit of the plan."""
        if self._plan.unit == "image":
            return self.trainer.nimg
        return self._seconds

    @property
    def complete(self) -> bool:
        """True if a plan in seconds has ended and no budget is left."""
        over = self._over or self.position >= self._plan.end
        return self._plan.unit == "second" and over and self.trainer.budget is None

    def seconds_left(self) -> float:
        """The remaining seconds of a plan in seconds."""
        if self._plan.unit == "image":
            return inf
        if self._clock is None and self.trainer.budget is not None:
            return self._allowed()
        return self._plan.end - self.position

    def phases_left(self, total: float) -> dict[tuple[int, bool], float]:
        """Return the remaining images or seconds of each phase, by depth and True for a fade-in.

        Args:
            total: images at which training ends.
        """
        return self._plan.phases(self.position, total)

    def _allowed(self) -> float:
        """Return the remaining training time in seconds."""
        budget = self.trainer.budget
        if budget is None:
            return max(self._plan.end - self.position, 0.0)
        own = getattr(self.schedule, "minutes", None)
        limit = inf if own is None or self._resumed else own * 60 - self.position
        return max(min(budget.training_left, limit), 0.0)

    def _begin(self) -> None:
        """Create the plan at the first step of a run, and at the first step of each session with a budget."""
        if self.trainer.budget is not None or self.trainer.iteration == 0:
            entered = self._plan.stages[: self.trainer.depth + 1] if self._resumed else []
            if not self._resumed and self.trained_depth is not None:
                entered = self._plan.stages[: ceil(self.trained_depth) + 1]
            self._lay_out(entered)

    def _follow_clock(self, position: float) -> None:
        """Time the steps, and plan the rest again before a new depth begins."""
        trainer = self.trainer
        depth = trainer.depth
        self._steps.append(position)
        held = trainer.iteration == 0 or trainer.iteration % self.minibatch_repeats != 0
        if held or position >= self._plan.end or self._plan.at(position)[0] <= depth:
            return
        stages = list(self._plan.stages[: depth + 1])
        stages[depth] = Stage(position - self._plan.start(depth), stages[depth].fade, stages[depth].lr_factor)
        self._lay_out(stages)
        self._steps.clear()
        if self._plan.at(position)[0] > depth:
            # An average over as many images as at earlier depths would not forget the old weights in time.
            trainer.parts.ema.begin_anew(trainer.nimg)

    def _lay_out(self, entered: Sequence[Stage]) -> None:
        """Divide the remaining time according to the schedule."""
        trainer = self.trainer
        schedule, left = self.schedule, self._allowed()
        if not isinstance(schedule, WallClockSchedule):
            return
        facts = Facts(
            trainer.G.max_depth,
            len(trainer.parts.dataset),
            self.minibatch,
            trainer.D_training_repeats,
            step_seconds=self._step_seconds if schedule.min_steps else None,
        )
        self._plan = schedule.lay_out(facts, entered, self.position, left)
        last = self._plan.max_depth
        if last == len(entered) - 1 < trainer.G.max_depth and not self._settled and facts.step_seconds:
            self._settled = True
            shape = trainer.G.growth.shape_at
            here, there = ("x".join(map(str, shape(depth)[1:])) for depth in (last, last + 1))
            steps = int(schedule.steps_at(last + 1, facts, entered, self.position, left))
            trainer.parts.logger.message(
                f"depth {last + 1} ({there}) is not entered: it would get about {plural(steps, 'step')}, and"
                f" WallClockSchedule.min_steps is {schedule.min_steps}; training stays at {here}"
            )

    def _step_seconds(self, depth: int) -> float:
        """Return the estimated time of a step at `depth`, corrected by the last measured steps."""
        if len(self._steps) >= _FEWEST:
            times = list(self._steps)
            measured = sorted(after - before for before, after in zip(times, times[1:], strict=False))
            self._ratio = measured[len(measured) // 2] / self._estimate(self.trainer.depth)
        return self._ratio * self._estimate(depth)

    def _estimate(self, depth: int) -> float:
        if depth not in self._estimates:
            step, repeats = self.trainer.parts.step, self.trainer.D_training_repeats
            batch = self.minibatch(depth)
            training = Training(
                step.loss, step.G_optimizer, step.D_optimizer, repeats, self.trainer.nimg, step.micro_batch
            )
            guess = estimate(step.G, step.D, step.G.growth, depth, batch, training)
            self._estimates[depth] = guess.seconds_per_kimg * batch * repeats / 1000
        return self._estimates[depth]

    def _reset_optimizers(self, before: tuple[int, bool]) -> None:
        """Reset optimizer moments, as configured, if depth or fading differ from `before`."""
        trainer = self.trainer
        if trainer.iteration == 0:
            return
        new_depth, new_phase = trainer.depth != before[0], trainer.G.fading != before[1]
        if (new_depth and self.optimizer_reset != "never") or (new_phase and self.optimizer_reset == "fade"):
            for optimizer in (trainer.parts.step.G_optimizer, trainer.parts.step.D_optimizer):
                optimizer.state.clear()

    def _freeze(self) -> None:
        """Freeze the layers trained at earlier depths."""
        depth = self.trainer.depth
        if depth == self._frozen_before:
            return
        for network in (self.trainer.G, self.trainer.D):
            network.requires_grad_(True)
            for module in network.earlier():
                module.requires_grad_(False)
        self._frozen_before = depth

    def state_dict(self) -> dict[str, Any]:
        """Return the seconds trained and the plan, if it counts seconds."""
        if self._plan.unit != "second":
            return {}
        stages = [_plain(stage) for stage in self._plan.stages]
        over, rows = self.trainer.finishing, self._recorded.rows()
        return {"seconds": self.position, "stages": stages, "over": over, "recorded": rows}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the clock and the plan."""
        self._clock, self._seconds, self._resumed = None, state.get("seconds", 0.0), True
        self._over = state.get("over", False)
        self._recorded, self._held = Recorded(state.get("recorded")), None
        if stages := state.get("stages"):
            self._plan = replace(self._plan, stages=[_stage(*stage) for stage in stages])

    def on_tick(self) -> None:
        """Plan the rest again; report depth, alpha, lod and batch size of the tick's last step."""
        assert self.max_lod is not None and self.depth_offset is not None
        if self._plan.unit == "second" and self.trainer.budget is not None and not self.trainer.ending:
            self._lay_out(self._plan.stages[: self.trainer.depth + 1])
        alpha = float(self.trainer.G.alpha)
        self.trainer.stats["alpha"] = alpha
        self.trainer.stats["lod"] = lod(self.trainer.depth, alpha, self.max_lod, self.depth_offset)
        self.trainer.stats["minibatch"] = self.trainer.minibatch_size


def _plain(stage: Stage) -> list[Any]:
    """Return a stage as lists of numbers for a checkpoint: length, points of its fade, points of its lr_factor."""
    return [stage.length, *([list(point) for point in curve.points] for curve in (stage.fade, stage.lr_factor))]


def _stage(length: float, *curves: list[list[float]]) -> Stage:
    """Rebuild a stage from `_plain`."""
    return Stage(length, *(Curve(tuple((place, value) for place, value in points)) for points in curves))


def _above(name: str, value: float, least: float) -> None:
    """Reject a number that is not above `least`."""
    if not value > least:
        raise UserError(f"DepthManager.{name}: {value} is given; allowed: a number above {max(least, 0)}")


def _check_depths(name: str, table: Mapping[int, float], defaults: Mapping[int, float], max_depth: int) -> None:
    """Reject a key that is not a depth of the data; unchanged defaults may exceed it."""
    for depth, value in table.items():
        if not 0 <= depth <= max_depth and (depth not in defaults or _changed(name, depth, value, defaults)):
            raise UserError(f"DepthManager.{name}: {depth} is not a depth; allowed: 0 to {max_depth} for these data")


def _changed(name: str, depth: int, value: float, defaults: Mapping[int, float]) -> bool:
    """True if the entry is not the default one, which may have been lowered to the default batch size."""
    return value > defaults[depth] if name == "minibatch_overrides" else value != defaults[depth]
