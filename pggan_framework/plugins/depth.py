"""DepthManager: grows the networks by the schedule, with a batch and a tick length for each depth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pggan_framework.errors import UserError
from pggan_framework.registry import register
from pggan_framework.training.plugin import Plugin
from pggan_framework.training.schedule import GrowthSchedule, by_depth, lod

if TYPE_CHECKING:
    from pggan_framework.training.trainer import Trainer

MINIBATCHES = {6: 14, 7: 6, 8: 3}
"""Real images a batch at 256, 512 and 1024 px, from the paper's Theano code (Karras et al. 2018)."""
TICKS = {3: 10, 4: 10, 5: 5, 6: 2, 7: 2, 8: 1}
"""Thousand images a tick at 32 px and above, from the same."""


@register("plugin")
class DepthManager(Plugin):
    """Sets depth, alpha, batch and tick length before each step, as pure functions of the images shown.

    A table holds values by depth; a depth takes the value of the largest key not above it, and the default below the
    smallest key.

    Args:
        minibatch_size: the general flag of this name.
        minibatch_default: real images a batch; where it is not given, minibatch_size.
        minibatch_overrides: batches by depth. The defaults (256 px and above) only ever lower the batch.
        tick_kimg_default: thousand images a tick.
        tick_kimg_overrides: ticks by depth, thousand images.
        lod_training_nimg: images for which a depth is trained before the next one fades in.
        lod_training_overrides: the same by depth.
        lod_transition_nimg: images a fade takes.
        lod_transition_overrides: the same by the depth that fades in.
        max_lod: log2 of the full resolution, for the old-style lod in the logs; from the data where it is not given.
        depth_offset: log2 of the resolution at depth 0, for the same; from the data where it is not given.
    """

    def __init__(
        self,
        minibatch_size: int = 16,
        minibatch_default: int | None = None,
        minibatch_overrides: dict[int, int] = MINIBATCHES,  # noqa: B006  -- copied below, never changed
        tick_kimg_default: float = 20,
        tick_kimg_overrides: dict[int, float] = TICKS,  # type: ignore[assignment]  # noqa: B006
        lod_training_nimg: int = 100_000,
        lod_training_overrides: dict[int, int] = {},  # noqa: B006
        lod_transition_nimg: int = 100_000,
        lod_transition_overrides: dict[int, int] = {},  # noqa: B006
        max_lod: int | None = None,
        depth_offset: int | None = None,
    ) -> None:
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
        for name, value in (("minibatch_default", self.minibatch_default), ("tick_kimg_default", tick_kimg_default)):
            _above(name, value, 0)
        for name, table, least in (
            ("minibatch_overrides", self.minibatch_overrides, 0),
            ("tick_kimg_overrides", self.tick_kimg_overrides, 0),
            ("lod_training_overrides", {-1: lod_training_nimg, **lod_training_overrides}, -1),
            ("lod_transition_overrides", {-1: lod_transition_nimg, **lod_transition_overrides}, -1),
        ):
            for value in table.values():
                _above(name, value, least)

    def plan(self, max_depth: int) -> GrowthSchedule:
        """The schedule for networks of `max_depth`.

        Raises:
            UserError: if a table has a key that is no depth of such networks.
        """
        _check_depths("minibatch_overrides", self.minibatch_overrides, MINIBATCHES, max_depth)
        _check_depths("tick_kimg_overrides", self.tick_kimg_overrides, TICKS, max_depth)
        _check_depths("lod_training_overrides", self.lod_training[1], {}, max_depth)
        _check_depths("lod_transition_overrides", self.lod_transition[1], {}, max_depth)
        (stable, stable_overrides), (transition, transition_overrides) = self.lod_training, self.lod_transition
        return GrowthSchedule(max_depth, stable, transition, stable_overrides, transition_overrides)

    def minibatch(self, depth: int) -> int:
        """Real images a batch at `depth`."""
        return by_depth(self.minibatch_overrides, self.minibatch_default, depth)

    def tick_nimg(self, depth: int) -> int:
        """Images a tick at `depth`."""
        return round(1000 * by_depth(self.tick_kimg_overrides, self.tick_kimg_default, depth))

    def setup(self, trainer: Trainer) -> None:
        """Lay out the schedule for the trainer's networks."""
        super().setup(trainer)
        self.schedule = self.plan(trainer.G.max_depth)
        if self.depth_offset is None:
            self.depth_offset = trainer.parts.dataset.model_dataset_depth_offset
        if self.max_lod is None:
            self.max_lod = self.depth_offset + trainer.G.max_depth

    def before_step(self) -> None:
        """Set depth, alpha, batch and tick length for the images shown so far."""
        depth, alpha = self.schedule.at(self.trainer.nimg)
        self.trainer.grow_to(depth, alpha)
        self.trainer.minibatch_size = self.minibatch(depth)
        self.trainer.tick_nimg = self.tick_nimg(depth)

    def on_tick(self) -> None:
        """Report depth, alpha, lod and batch of the tick's last step."""
        assert self.max_lod is not None and self.depth_offset is not None
        alpha = float(self.trainer.G.alpha)
        self.trainer.stats["alpha"] = alpha
        self.trainer.stats["lod"] = lod(self.trainer.depth, alpha, self.max_lod, self.depth_offset)
        self.trainer.stats["minibatch"] = self.trainer.minibatch_size


def _above(name: str, value: float, least: float) -> None:
    """Refuse a number that is not above `least`."""
    if not value > least:
        raise UserError(f"DepthManager.{name}: {value} is given; allowed: a number above {max(least, 0)}")


def _check_depths(name: str, table: Mapping[int, float], defaults: Mapping[int, float], max_depth: int) -> None:
    """Refuse a key that is no depth of the data; an untouched default may lie beyond them."""
    for depth, value in table.items():
        if not 0 <= depth <= max_depth and (depth not in defaults or _changed(name, depth, value, defaults)):
            raise UserError(f"DepthManager.{name}: {depth} is no depth; allowed: 0 to {max_depth} for these data")


def _changed(name: str, depth: int, value: float, defaults: Mapping[int, float]) -> bool:
    """Whether the entry is not the default one, which may have been lowered to the default batch."""
    return value > defaults[depth] if name == "minibatch_overrides" else value != defaults[depth]
