"""SaverPlugin: write checkpoints atomically."""

from __future__ import annotations

import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

from pggan_framework.errors import UserError
from pggan_framework.registry import register
from pggan_framework.runs.folders import number_of, snapshot_name, snapshots
from pggan_framework.storage.numbers import Numbers
from pggan_framework.training.background import frozen
from pggan_framework.training.checkpoint import CheckpointError, save_checkpoint
from pggan_framework.training.plugin import Every, Plugin

PATIENCE = 3600.0
"""Seconds without a successful checkpoint after which a run ends."""


@register("plugin")
class SaverPlugin(Plugin):
    """Writes ``network-snapshot-000120.pt``, numbered in thousand images, at a tick's end and when training ends.

    If a checkpoint cannot be written, the plugin retries every tick; after an hour of failures, the run ends. If the
    last checkpoint cannot be written to its folder either, it is written to the system's temporary folder.

    Args:
        directory: folder of the checkpoints; passed by the experiment.
        keep_old_checkpoints: keep earlier checkpoints; else delete them after verifying the new one.
        network_snapshot_ticks: ticks between two checkpoints.
        network_snapshot_minutes: longest time between checkpoints at a tick's end, in minutes; 0 disables it.
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
        self._numbers = Numbers()
        self._failing: float | None = None
        """Time of the first failed checkpoint since the last successful one."""
        self._error: Exception | None = None
        self._own: list[Path] = []  # written by this process or resumed from: may be deleted
        self._abandoned: list[Path] = []  # newer than the resumed one: abandoned by a rollback, or damaged

    def state_dict(self) -> dict[str, Any]:
        """Return the image count of the last checkpoint, which determines the next name."""
        return {"numbered": self._numbers.last}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the state; the next checkpoint replaces the resumed checkpoint like any other."""
        self._numbers.last = state.get("numbered", -1)
        start = self.directory / self._name(self.trainer.nimg)
        self._own.append(start)
        self._abandoned = [path for path in snapshots(self.directory) if number_of(path) > number_of(start)]

    def _name(self, nimg: int) -> str:
        """Return a unique checkpoint name within the folder."""
        return snapshot_name(self._numbers.of(nimg) if self.keep_old_checkpoints else f"{nimg // 1000:06d}")

    def on_tick(self) -> None:
        """Save in the background if enough ticks or minutes have passed."""
        old = 0 < self.network_snapshot_minutes * 60 <= time.monotonic() - self._last
        due = self.trainer.tick % self.network_snapshot_ticks == 0 or old or self._failing is not None
        if due and not self.trainer.ending:
            with self.trainer.timing.of("saving"):
                try:
                    self._start(frozen(self.trainer.state_dict()))
                except MemoryError as error:
                    self._failed(error)

    def on_end(self) -> None:
        """Save the state of the last finished step, also after an error.

        Raises:
            CheckpointError: if the checkpoint cannot be written.
        """
        if self.trainer.iteration == 0:
            return
        state = self.trainer.state_to_save()
        if state is None:
            self.trainer.parts.logger.message("the last step cannot be saved; the previous checkpoint is kept")
            return
        path = self._start(state)
        self.trainer.background.join()
        if self._error is not None:
            raise CheckpointError(f"{self._error}{_rescue(path, state)}")
        if self.trainer.failed:
            self.trainer.parts.logger.message(f"the last finished step is saved in {path}")

    def _start(self, state: dict[str, Any]) -> Path:
        """Write a checkpoint in the background; returns its future path."""
        path = self.directory / self._name(state["nimg"])

        def write() -> None:
            save_checkpoint(path, state)
            with suppress(OSError):  # a failed move or deletion is retried with the next checkpoint
                self._put_away(path)

        self.trainer.background.submit(write, self._written, "checkpoint", self._failed)
        self._last = time.monotonic()
        return path

    def _put_away(self, path: Path) -> None:
        """Move or delete the checkpoints replaced by `path`."""
        while self._abandoned:  # `latest` must find the new series of checkpoints; the old ones are kept
            newer = self._abandoned[0]
            if newer != path and newer.exists():
                newer.rename(newer.with_name(f"{newer.name}.superseded"))
            self._abandoned.pop(0)
        # Other files in the folder were written by other programs or are kept on purpose.
        self._own = [*(old for old in self._own if old != path), path]
        while len(self._own) > 1:
            old = self._own[0]
            if not self.keep_old_checkpoints and number_of(old) <= number_of(path):
                old.unlink(missing_ok=True)
            self._own.pop(0)

    def _written(self, result: None) -> None:
        self._failing = self._error = None

    def _failed(self, error: Exception) -> None:
        now = time.monotonic()
        self._error, self._failing = error, now if self._failing is None else self._failing
        self.trainer.hooks.warn("SaverPlugin", error)
        if now - self._failing > PATIENCE:
            self.trainer.stop("no checkpoint can be written")


def _rescue(path: Path, state: dict[str, Any]) -> str:
    """Write a checkpoint to the temporary folder if its own folder is full; return advice for the message."""
    try:
        refuge = Path(tempfile.mkdtemp(prefix="pggan-")) / path.name
        save_checkpoint(refuge, state)
    except (OSError, UserError):
        return "; the checkpoint before it stays the last"
    return f"; it is in {refuge}: move it to {path.parent}, and resume the run"
