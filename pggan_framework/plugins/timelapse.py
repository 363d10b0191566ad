"""TimeLapse: the sample grids of a run as an animation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pggan_framework.errors import UserError, at_least
from pggan_framework.plugins.output import OutputGenerator
from pggan_framework.plugins.pictures import run_folder
from pggan_framework.postprocessors.image import ImageSaver
from pggan_framework.postprocessors.moving import Moving, check_moving, sheet_frames, sheets_in, write_moving
from pggan_framework.registry import register
from pggan_framework.storage.atomic import atomic_path
from pggan_framework.training.plugin import Every, Plugin

if TYPE_CHECKING:
    from pggan_framework.training.trainer import Trainer

_HOLD = 10
"""The last frame is shown this many times as long as the others."""


@register("plugin")
class TimeLapse(Plugin):
    """Joins the sample grids, which come from constant latents, into an animation.

    The animation is written as ``timelapse.gif`` (or ``.webp``, ``.mp4``) when training ends, and every few ticks
    before that, without the grid of the current tick. Only one grid at a time is in memory. ImageSaver must be enabled;
    mp4 needs the extra ``video``.

    Args:
        formats: files to write.
        every_ticks: ticks between two files; 0 writes them only at the end.
        seconds: seconds per grid, above 0; the last grid is shown ten times as long.
        longest_side: longest side in pixels; larger grids are reduced.
        filename: file name without its ending, inside the run's folder.
    """

    main_process_only = True

    def __init__(
        self,
        formats: list[Moving] = ["gif"],  # noqa: B006  -- copied, never changed
        every_ticks: int = 0,
        seconds: float = 0.2,
        longest_side: int = 512,
        filename: str = "timelapse",
    ) -> None:
        at_least("TimeLapse", 0, every_ticks=every_ticks)
        at_least("TimeLapse", 0.02, seconds=seconds)
        if longest_side < 16:
            raise UserError(f"TimeLapse.longest_side {longest_side} is not allowed; allowed: 16 pixels or more")
        for kind in formats:
            check_moving(kind, f"TimeLapse with {kind}")
        self.formats = tuple(formats)
        self.every = Every(every_ticks or 1, "tick")
        self.every_ticks = every_ticks
        self.seconds = seconds
        self.longest_side = longest_side
        self.filename = filename

    def setup(self, trainer: Trainer) -> None:
        """Find the ImageSaver and its folder.

        Raises:
            UserError: if ImageSaver is not enabled.
        """
        super().setup(trainer)
        self._output = next(plugin for plugin in trainer.plugins if isinstance(plugin, OutputGenerator))
        savers = [saver for saver in self._output.postprocessors if isinstance(saver, ImageSaver)]
        if not savers:
            raise UserError("TimeLapse: there are no sample grids; allowed: ImageSaver among the postprocessors")
        self._folder = run_folder(trainer) / savers[0].samples_path

    def on_tick(self) -> None:
        """Write the animation of the grids so far, if configured and due."""
        if self.every_ticks:
            self.write()

    def on_end(self) -> None:
        """Write the animation of all grids."""
        # The last grid is also due now, and is written only once.
        self._output.on_end()
        self.write()

    def write(self) -> list[Path]:
        """Write the files and return their paths; a full disk only causes a message."""
        self.trainer.background.join()
        sheets = self.sheets()
        written: list[Path] = []
        for ending in self.formats if sheets else ():
            path = run_folder(self.trainer) / f"{self.filename}.{ending}"
            try:
                with atomic_path(path) as temporary:
                    frames = sheet_frames(sheets, self.longest_side)
                    write_moving(temporary, ending, frames, self.seconds, _HOLD * self.seconds)
            except OSError as error:
                self.trainer.parts.logger.message(f"cannot write {path} ({error}); training continues")
            else:
                written.append(path)
        return written

    def sheets(self) -> list[Path]:
        """Return the grids up to now; later grids belong to a part of the run that was rolled back."""
        return [path for kimg, path in sheets_in(self._folder) if kimg * 1000 <= self.trainer.nimg]
