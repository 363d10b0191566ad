"""SaverPlugin: checkpoints, each complete and written atomically."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, ClassVar

from pggan_framework.errors import UserError
from pggan_framework.registry import register
from pggan_framework.runs.folders import number_of, snapshot_name, snapshots
from pggan_framework.training.background import frozen
from pggan_framework.training.checkpoint import save_checkpoint
from pggan_framework.training.plugin import Every, Plugin


@register("plugin")
class SaverPlugin(Plugin):
    """Writes ``network-snapshot-000120.pt`` (the number is thousand images) at a tick's end and when training ends.

    Args:
        directory: where to; the run's folder or checkpoints_dir, given by the experiment.
        keep_old_checkpoints: keep the earlier ones; otherwise they go once the new one is on disk and verified.
        network_snapshot_ticks: ticks between two checkpoints.
        network_snapshot_minutes: also write one at a tick's end when the last is older than this; 0 to leave it to
            the ticks.
    """

    injected: ClassVar[tuple[str, ...]] = ("directory",)
    main_process_only = True

    def __init__(
        self,
        directory: Path,
        keep_old_checkpoints: bool = False,
        network_snapshot_ticks: int = 40,
        network_snapshot_minutes: float = 10,
    ) -> None:
        if network_snapshot_ticks < 1:
            raise UserError(f"SaverPlugin.network_snapshot_ticks: {network_snapshot_ticks} is given; allowed: 1 and up")
        self.directory = directory
        self.keep_old_checkpoints = keep_old_checkpoints
        self.network_snapshot_ticks = network_snapshot_ticks
        self.network_snapshot_minutes = network_snapshot_minutes
        self.every = Every(1, "tick")
        self._last = time.monotonic()
        self._own: list[Path] = []  # what this process has written, or resumed from, and may remove
        self._abandoned: list[Path] = []  # newer ones than the one resumed from: of a line that is given up, or damaged

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The checkpoint that the run resumes from is replaced by the next one like any other."""
        super().load_state_dict(state)
        start = self.directory / snapshot_name(self.trainer.nimg)
        self._own.append(start)
        self._abandoned = [path for path in snapshots(self.directory) if number_of(path) > number_of(start)]

    def on_tick(self) -> None:
        """Save, in the background, if enough ticks or minutes have passed."""
        old = 0 < self.network_snapshot_minutes * 60 <= time.monotonic() - self._last
        if (self.trainer.tick % self.network_snapshot_ticks == 0 or old) and not self.trainer.ending:
            with self.trainer.timing.of("saving"):
                self._start()

    def on_end(self) -> None:
        """Save the last state, unless training broke down: then the checkpoint before stays the last."""
        if not self.trainer.failed and self.trainer.iteration > 0:
            self.save()

    def save(self) -> Path:
        """Write a checkpoint now; returns its path."""
        path = self._start()
        self.trainer.background.join()
        return path

    def _start(self) -> Path:
        """Hand a checkpoint to the background; returns the path it will have."""
        path = self.directory / snapshot_name(self.trainer.nimg)
        state = frozen(self.trainer.open_state or self.trainer.state_dict())

        def write() -> None:
            save_checkpoint(path, state)
            earlier, self._own = [old for old in self._own if old != path], [path]
            for newer in self._abandoned:  # `latest` must find the new line; the old one is not lost
                if newer != path and newer.exists():
                    newer.rename(newer.with_name(f"{newer.name}.superseded"))
            self._abandoned = []
            # Whatever else is in the folder was written by someone else, or is kept on purpose.
            for old in earlier if not self.keep_old_checkpoints else ():
                if number_of(old) <= number_of(path):
                    old.unlink(missing_ok=True)

        self.trainer.background.submit(write, name="checkpoint")
        self._last = time.monotonic()
        return path
