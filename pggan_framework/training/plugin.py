"""What a trainer plugin is: a base class whose hooks do nothing, and how often they are called."""

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
    """An interval.

    Args:
        count: how many units pass between two calls; above 0.
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
    """Something that happens while a network trains. Override the hooks you need.

    `every` thins the hook of its unit: in ticks `on_tick`, in iterations, kimg or seconds `after_step`; without it both
    are called each time. It may be one `Every` or several. deepsound's ``trigger_interval = [(1, 'epoch')]`` means the
    same, with ``epoch`` for a tick, ``s`` for seconds and ``end`` for `on_end`, which is always called.
    """

    every: Every | Sequence[Every] = Every(1, "tick")
    trigger_interval: Sequence[tuple[float, str]] | None = None
    main_process_only: bool = False
    """Where several processes train together: whether only the main one has it, because it writes or sends something.

    What it does must then not change the training, nor the metrics by which another plugin does. It is side work: an
    exception in one of its hooks is a warning, and training continues."""
    trainer: Trainer

    def intervals(self) -> tuple[Every, ...]:
        """`every` and `trigger_interval` as one tuple."""
        if self.trigger_interval is not None:
            pairs = [(count, _OLD_UNITS.get(unit, unit)) for count, unit in self.trigger_interval if unit != "end"]
            return tuple(Every(count, unit) for count, unit in pairs)
        return (self.every,) if isinstance(self.every, Every) else tuple(self.every)

    def setup(self, trainer: Trainer) -> None:
        """Called once before the first step, before any state is loaded."""
        self.trainer = trainer

    def before_step(self) -> None:
        """Called before each step: what changes depth, alpha, batch or learning rate does it here."""

    def after_step(self) -> None:
        """Called after a step, as `every` says."""

    def on_tick(self) -> None:
        """Called at the end of a tick, as `every` says; ``trainer.stats`` holds the tick's means and takes new ones."""

    def on_depth_change(self) -> None:
        """Called when the depth has changed, before the first step there."""

    @property
    def complete(self) -> bool:
        """Whether this plugin has nothing left to train, so that a resumed run ends before its first step."""
        return False

    def seconds_left(self) -> float:
        """Seconds after which this plugin will have ended training; infinity where it does not look at the clock."""
        return inf

    def on_diverged(self, error: DivergedError) -> bool:
        """Called when a plugin has raised `error`; True says that training can continue, and then no other is asked.

        It continues with the next step; what was left of the tick's hooks is not called.
        """
        return False

    def on_stop(self) -> None:
        """Called in all ranks when training stops within a tick, before its state is saved: gather what is in parts."""

    def on_end(self) -> None:
        """Called once when training ends, whatever the reason."""

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint must hold for an exact resume: plain values and tensors only."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` gave."""
