"""The base class of trainer plugins, with empty hooks, and the intervals of the hooks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Any

from pggan_framework.registry import contract

if TYPE_CHECKING:
    from pggan_framework.errors import DivergedError
    from pggan_framework.training.trainer import Trainer

UNITS = ("iteration", "tick", "kimg", "second")
_OLD_UNITS = {"epoch": "tick", "s": "second"}


@dataclass(frozen=True)
class Every:
    """An interval between two calls of a hook.

    Args:
        count: number of units between two calls; above 0.
        unit: ``iteration`` (one step of both networks), ``tick``, ``kimg`` (thousand real images) or ``second``.
    """

    count: float
    unit: str = "tick"

    def __post_init__(self) -> None:
        if self.unit not in UNITS:
            raise ValueError(f"unit '{self.unit}' is not one of {', '.join(UNITS)}")
        if not self.count > 0:
            raise ValueError(f"an interval of {self.count} {self.unit} is not above 0")


@contract("plugin")
class Plugin:
    """Base class of trainer plugins. Override the hooks you need.

    `every` is one `Every` or several. An interval in ticks applies to `on_tick`; an interval in iterations, kimg or
    seconds applies to `after_step`. Without `every`, both hooks are called each time. The attribute that plugins
    of deepsound-project/pggan-pytorch have is supported too: ``trigger_interval = [(1, 'epoch')]``, with ``epoch`` for
    a tick, ``s`` for seconds and ``end`` for `on_end`, which is always called.
    """

    every: Every | Sequence[Every] = Every(1, "tick")
    trigger_interval: Sequence[tuple[float, str]] | None = None
    main_process_only: bool = False
    """True if only rank 0 uses the plugin in distributed training, because it writes files or sends data.

    Such a plugin is side work: it must not affect the training, or the metrics that other plugins react to. If one of
    its hooks raises an exception, a warning is logged and training continues."""
    trainer: Trainer

    def intervals(self) -> tuple[Every, ...]:
        """Return `every` and `trigger_interval` as one tuple."""
        if self.trigger_interval is not None:
            pairs = [(count, _OLD_UNITS.get(unit, unit)) for count, unit in self.trigger_interval if unit != "end"]
            return tuple(Every(count, unit) for count, unit in pairs)
        return (self.every,) if isinstance(self.every, Every) else tuple(self.every)

    def setup(self, trainer: Trainer) -> None:
        """Called once before the first step, before any state is loaded."""
        self.trainer = trainer

    def before_step(self) -> None:
        """Called before each step; plugins change depth, alpha, batch size or learning rate here."""

    def after_step(self) -> None:
        """Called after a step, at the intervals of `every`."""

    def on_tick(self) -> None:
        """Called after a tick, at the intervals of `every`; ``trainer.stats`` contains means and accepts values."""

    def on_depth_change(self) -> None:
        """Called after the depth has changed, before the first step at the new depth."""

    @property
    def complete(self) -> bool:
        """True if this plugin considers training complete, so that a resumed run ends before its first step."""
        return False

    def seconds_left(self) -> float:
        """Seconds until this plugin ends training; infinity if it does not depend on the clock."""
        return inf

    def on_diverged(self, error: DivergedError) -> bool:
        """Called when a plugin has raised `error`; returns True if training can continue.

        After the first True, no other plugin is called. Training continues with the next step; the remaining hooks of
        the tick are not called.
        """
        return False

    def on_stop(self) -> None:
        """Called on all ranks if training stops within a tick, before saving, to gather values split among ranks."""

    def on_end(self) -> None:
        """Called once when training ends, for any reason."""

    def state_dict(self) -> dict[str, Any]:
        """Return the state needed for an exact resume: only plain values and tensors."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore a state from `state_dict`."""
