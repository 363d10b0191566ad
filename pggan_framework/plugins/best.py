"""KeepBest: keep the checkpoint with the best value of a metric."""

from __future__ import annotations

import re
from collections.abc import Callable
from math import isfinite, nan
from typing import TYPE_CHECKING, Any, Literal

from pggan_framework.errors import UserError, nearest
from pggan_framework.plugins.saver import SaverPlugin
from pggan_framework.registry import register
from pggan_framework.training.background import frozen
from pggan_framework.training.checkpoint import save_checkpoint
from pggan_framework.training.plugin import Plugin

if TYPE_CHECKING:
    from pathlib import Path

    from pggan_framework.training.trainer import Trainer

BETTER: dict[str, Literal["lower", "higher"]] = {
    "swd": "lower",
    "fid": "lower",
    "kid": "lower",
    "is": "higher",
    "precision": "higher",
    "recall": "higher",
    "density": "higher",
    "coverage": "higher",
    "frechet": "lower",
    "loudness.distance": "lower",
}
"""The better direction of a metric, by its name without ``picture.``, ``sound.`` and the extractor."""
_NEVER = (".floor", ".std")
_WAIT = 20
"""Ticks without the metric after which a message is logged."""


@register("plugin")
class KeepBest(Plugin):
    """Keeps the checkpoint with the best value of a metric as network-best-fid_lite0.pt next to the other checkpoints.

    Values at different depths are not comparable: at each new depth, the checkpoint of the first measurement replaces
    the best one. List KeepBest after the plugin that measures: ``--plugins PictureMetrics KeepBest``.

    Args:
        figure: name of the deciding metric in stats.jsonl; ticks without this metric are skipped.
        better: better direction of the metric; auto chooses it for built-in metrics.

    Raises:
        UserError: if the better direction of the metric is unknown.
    """

    main_process_only = True

    def __init__(
        self, figure: str = "picture.swd.average", better: Literal["auto", "lower", "higher"] = "auto"
    ) -> None:
        known = direction(figure) if better == "auto" else better
        if known is None:
            raise UserError(
                f"KeepBest.figure '{figure}' is given, and its better direction is unknown; give KeepBest.better"
                f" lower or higher, or a metric of {', '.join(BETTER)}"
            )
        self.figure, self.better = figure, known
        self._best, self._depth, self._missed = nan, -1, 0

    def setup(self, trainer: Trainer) -> None:
        """Find the folder of the checkpoints."""
        super().setup(trainer)
        directory = next((p.directory for p in trainer.plugins if isinstance(p, SaverPlugin)), trainer.parts.directory)
        if directory is None:
            raise RuntimeError("KeepBest writes files: Parts.directory is due")
        self.path = directory / best_name(self.figure)

    def on_tick(self) -> None:
        """Write a checkpoint if it is the best so far at this depth."""
        trainer = self.trainer
        if self.figure not in trainer.stats:
            self._miss()
            return
        self._missed = -1
        value = float(trainer.stats[self.figure])
        same = trainer.depth == self._depth
        if not isfinite(value) or (same and not self._beats(value)):
            return
        with trainer.timing.of("saving"):
            self._keep(value)

    def _keep(self, value: float) -> None:
        """Write a checkpoint in the background and record its value as the best."""
        trainer, name = self.trainer, type(self).__name__
        earlier = self._best, self._depth
        self._best, self._depth = value, trainer.depth
        if trainer.open_state is not None:
            # The state before a last, shorter tick is saved too: a longer run resumes from it and needs this best
            # value.
            trainer.open_state["plugins"][name] = self.state_dict()
        told = f"{self.path.name}: {self.figure} {value:.4g} at {trainer.kimg:.1f} kimg"

        def failed() -> None:
            # After a full disk, a later checkpoint may fit; the run has its regular checkpoints.
            if (self._best, self._depth) == now:
                self._best, self._depth = earlier

        now = self._best, self._depth
        write_best(trainer, self.path, lambda: None, failed, told)

    def _beats(self, value: float) -> bool:
        return value < self._best if self.better == "lower" else value > self._best

    def _miss(self) -> None:
        """Count a tick without the metric, until it has appeared once; log a message after many."""
        if self._missed < 0:
            return
        self._missed += 1
        if self._missed == _WAIT:
            stats = self.trainer.stats
            self.trainer.parts.logger.message(
                f"KeepBest.figure: no '{self.figure}' in {_WAIT} ticks{nearest(self.figure, stats)}; there are:"
                f" {', '.join(stats)}; list the plugin that measures it before KeepBest"
            )

    def state_dict(self) -> dict[str, Any]:
        """Return the best value and its depth."""
        return {"figure": self.figure, "best": self._best, "depth": self._depth, "missed": self._missed}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the state if it belongs to the same metric."""
        if state.get("figure") == self.figure:
            self._best, self._depth, self._missed = state["best"], state["depth"], state["missed"]


def write_best(
    trainer: Trainer,
    path: Path,
    companion: Callable[[], None],
    failed: Callable[[], None],
    message: str = "",
) -> None:
    """Write the current state as a checkpoint in the background; an error is logged as one line.

    Args:
        trainer: trainer whose state is written.
        path: destination of the checkpoint.
        companion: called in the background once the file is written, to write a companion file.
        failed: called in the trainer's thread if the file could not be written.
        message: log line after the file is written.
    """
    state = frozen(trainer.open_state or trainer.state_dict())

    def write() -> str:
        try:
            save_checkpoint(path, state)
            companion()
        except (UserError, OSError) as error:
            return f"{error}; training continues"
        return ""

    def then(error: str) -> None:
        if error:
            failed()
        if error or message:
            trainer.parts.logger.message(error or message)

    trainer.background.submit(write, then, "checkpoint")


def direction(figure: str) -> Literal["lower", "higher"] | None:
    """Return the better direction of a metric; None if it is unknown or undefined."""
    name = re.sub(r"^(picture|sound)\.", "", figure)
    if name.endswith(_NEVER):
        return None
    return next((way for stem, way in BETTER.items() if re.match(rf"{re.escape(stem)}([_.]|$)", name)), None)


def best_name(figure: str) -> str:
    """Return the file name for a metric: ``network-best-fid_lite0.pt`` for ``picture.fid_lite0``."""
    name = re.sub(r"^(picture|sound)\.", "", figure)
    return f"network-best-{re.sub(r'[^A-Za-z0-9_.-]', '_', name)}.pt"
