"""Monitors of mean losses and of time."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from pggan_framework.cpu.transfer import widest
from pggan_framework.errors import DivergedError
from pggan_framework.registry import register
from pggan_framework.training.clock import Clock
from pggan_framework.training.plugin import Plugin

if TYPE_CHECKING:
    from pggan_framework.training.trainer import Trainer

_SLOW = 0.1
"""Fraction of the time spent waiting for data from which a message is logged."""


@register("plugin")
class EfficientLossMonitor(Plugin):
    """Averages the values of the steps over the tick: losses, scores, penalties.

    The sums are on the device and are read once per tick, so that no step waits for them.
    """

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._totals: Tensor | None = None
        """The sums [len(_counts)], in the order of `_counts`."""

    def after_step(self) -> None:
        """Add the values of the step, with two operations for any number of values."""
        losses, counts, totals = self.trainer.losses, self._counts, self._totals
        if not losses:
            return
        for name in losses:
            counts[name] = counts.get(name, 0) + 1
        first = next(iter(losses.values()))
        zero = None if len(losses) == len(counts) else torch.zeros_like(first)
        values = torch.stack([losses.get(name, zero) for name in counts])  # type: ignore[misc]
        values = values if self.trainer.share == 1 else values * self.trainer.share
        if totals is None or len(totals) < len(counts):  # first value of a term with an interval
            grown = torch.zeros(len(counts), dtype=widest(first.device), device=first.device)
            if totals is not None:
                grown[: len(totals)] = totals
            totals = self._totals = grown
        totals += values

    @property
    def _sums(self) -> dict[str, Tensor]:
        """Return the sum of each value as a scalar on the device."""
        return {} if self._totals is None else dict(zip(self._counts, self._totals.unbind(), strict=True))

    def on_tick(self) -> None:
        """Report the means.

        Raises:
            DivergedError: if a mean is not finite.
        """
        self._gather()
        values = [] if self._totals is None else self._totals.tolist()
        means = {name: value / count for (name, count), value in zip(self._counts.items(), values, strict=True)}
        means = dict(sorted(means.items()))
        self._totals, self._counts = None, {}
        self.trainer.stats.update(means)
        wrong = [name for name, mean in means.items() if not isfinite(mean)]
        if wrong:
            raise DivergedError(
                f"training has diverged: {', '.join(wrong)} not finite at {self.trainer.kimg:.1f} kimg;"
                " the last checkpoint is from before; try a lower G_lr_max and D_lr_max"
            )

    def on_stop(self) -> None:
        """All_reduce the sums of an unfinished tick for the checkpoint; rank 0 keeps the result."""
        self._gather()
        if not self.trainer.world.main and self._totals is not None:
            self._totals.zero_()

    def _gather(self) -> None:
        if self._totals is not None:
            self._totals = self.trainer.world.mean(self._totals, 1.0)

    def state_dict(self) -> dict[str, Any]:
        """Return the sums of an unfinished tick."""
        return {"sums": self._sums, "counts": dict(self._counts)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the sums on rank 0 only, since they include all ranks."""
        scale, device = (1.0 if self.trainer.world.main else 0.0), self.trainer.parts.device
        sums = [state["sums"][name] for name in state["counts"]]
        self._totals = torch.stack(sums).to(device, widest(device)) * scale if sums else None
        self._counts = dict(state["counts"])


@register("plugin")
class AbsoluteTimeMonitor(Plugin):
    """Logs seconds since the start, per tick and per thousand images; a resumed run includes its earlier sessions.

    It also logs, in milliseconds per tick, ``ms.data``, the time steps waited for batches of real images, and
    ``ms.saving``, the time they waited for samples and checkpoints. If data take more than a tenth of the time, a
    message is logged once.
    """

    def setup(self, trainer: Trainer) -> None:
        """Start the clock."""
        super().setup(trainer)
        self._warned = False
        self._restart(Clock())

    def _restart(self, clock: Clock) -> None:
        self._clock = clock
        self._tick_start, self._tick_nimg = clock.seconds, self.trainer.nimg

    def on_tick(self) -> None:
        """Report time, sec.tick, sec.kimg, ms.data and ms.saving."""
        now = self._clock.seconds
        seconds, nimg = now - self._tick_start, self.trainer.nimg - self._tick_nimg
        self.trainer.stats["time"] = now
        self.trainer.stats["sec.tick"] = seconds
        self.trainer.stats["sec.kimg"] = seconds / max(nimg, 1) * 1000
        self._tick_start, self._tick_nimg = now, self.trainer.nimg
        waited = {what: self.trainer.timing.take(what) for what in ("data", "saving")}
        self.trainer.stats.update({f"ms.{what}": 1000 * each for what, each in waited.items()})
        if not self._warned and seconds > 0 and waited["data"] > _SLOW * seconds:
            self._warned = True
            self.trainer.parts.logger.message(
                f"{waited['data'] / seconds:.0%} of the time is spent waiting for data: prepare them once"
                " (save_dataset, pggan prepare), keep them in memory (preload) or raise num_data_workers"
            )

    def state_dict(self) -> dict[str, Any]:
        """Return the seconds trained so far."""
        return {"seconds": self._clock.seconds}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the time."""
        self._restart(Clock(state["seconds"]))
