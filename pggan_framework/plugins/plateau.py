"""ReduceOnPlateau: lower the learning rates when a metric stops improving."""

from __future__ import annotations

from math import inf
from typing import Any, ClassVar, Literal

from pggan_framework.errors import UserError, at_least, nearest, plural
from pggan_framework.plugins.lr import LRScheduler
from pggan_framework.registry import register
from pggan_framework.training.plugin import Plugin


@register("plugin")
class ReduceOnPlateau(Plugin):
    """Multiplies both learning rates by a factor when a metric has not improved for some ticks.

    A GAN's losses are poor measures of its quality; quality metrics, or ``began.measure``, are better guides.

    Args:
        figure: name of the metric to watch in stats.jsonl; ticks without this metric are skipped, and a message is
            logged if no tick has it.
        mode: better direction of the metric.
        factor: factor by which each reduction multiplies the learning rates.
        patience: number of ticks without improvement before a reduction.
        min_lr: lower limit of both learning rates.
        threshold: smallest relative improvement that counts.
        restart_at_depth: restore the full rates and forget the best value at each new depth.

    Raises:
        UserError: if a number is outside its limits.
    """

    factor_name: ClassVar[str] = "plateau"

    def __init__(
        self,
        figure: str = "D_loss",
        mode: Literal["min", "max"] = "min",
        factor: float = 0.5,
        patience: int = 10,
        min_lr: float = 3e-4,
        threshold: float = 1e-4,
        restart_at_depth: bool = True,
    ) -> None:
        if not 0 < factor < 1:
            raise UserError(f"ReduceOnPlateau.factor {factor} is not allowed; allowed: above 0, below 1")
        at_least("ReduceOnPlateau", 0, patience=patience, min_lr=min_lr, threshold=threshold)
        self.figure, self.mode, self.factor, self.patience = figure, mode, factor, patience
        self.min_lr, self.threshold, self.restart_at_depth = min_lr, threshold, restart_at_depth
        self._best, self._waited, self._missed = inf, 0, 0

    def on_tick(self) -> None:
        """Compare the metric, and lower the rates if due."""
        trainer = self.trainer
        if self.figure not in trainer.stats:
            self._missed += 1
            if self._missed == self.patience + 1 and self._best == inf:
                near = nearest(self.figure, trainer.stats)
                trainer.parts.logger.message(
                    f"ReduceOnPlateau.figure: no '{self.figure}' in {plural(self._missed, 'tick')}{near}; there are:"
                    f" {', '.join(trainer.stats)}"
                )
            return
        value = trainer.stats[self.figure] * (1 if self.mode == "min" else -1)
        if self._best == inf or value < self._best - self.threshold * abs(self._best):
            self._best, self._waited = value, 0
            return
        self._waited += 1
        if self._waited <= self.patience:
            return
        self._waited = 0
        rates = next(plugin for plugin in trainer.plugins if isinstance(plugin, LRScheduler))
        before = trainer.lr_factors.get(self.factor_name, 1.0)
        floor = min(1.0, self.min_lr / max(min(rates.G_lr_max, rates.D_lr_max), 1e-300))
        after = max(before * self.factor, floor)
        if after < before:
            trainer.lr_factors[self.factor_name] = after
            trainer.parts.logger.message(
                f"{self.figure} has not improved for {plural(self.patience + 1, 'tick')}:"
                f" learning rates times {after:g}"
            )

    def on_depth_change(self) -> None:
        """Reset at a new depth, if configured."""
        if self.restart_at_depth:
            self._best, self._waited = inf, 0
            self.trainer.lr_factors.pop(self.factor_name, None)

    def state_dict(self) -> dict[str, Any]:
        """Return the best value, the ticks since then and the factor."""
        return {
            "best": self._best,
            "waited": self._waited,
            "missed": self._missed,
            "factor": self.trainer.lr_factors.get(self.factor_name, 1.0),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the state."""
        self._best, self._waited = state.get("best", inf), state.get("waited", 0)
        self._missed = state.get("missed", 0)
        self.trainer.lr_factors[self.factor_name] = state.get("factor", 1.0)
