"""HTMLReport: the run as one page for a browser, in its folder."""

from __future__ import annotations

from pggan_framework.errors import UserError
from pggan_framework.registry import register
from pggan_framework.reporting.record import REPORT, read_run
from pggan_framework.storage.atomic import atomic_path
from pggan_framework.training.plugin import Plugin


@register("plugin")
class HTMLReport(Plugin):
    """Writes ``report.html``: samples and how they came about, sounds, curves, measurements, configuration.

    The page holds all of it itself and needs no network. It is written in the background, and again when training ends.
    One that is written at a tick's end does not know of that tick yet.

    Args:
        write: False for no page; ``pggan report`` makes one at any time.
        every_ticks: ticks between two pages; 0 for one at the end only.
        sheets: most sheets of samples in it, spread evenly over the run, 1 or more.
        sounds: most sounds in it, the last ones.
    """

    main_process_only = True

    def __init__(self, write: bool = True, every_ticks: int = 10, sheets: int = 12, sounds: int = 8) -> None:
        for name, value, least in (("every_ticks", every_ticks, 0), ("sheets", sheets, 1), ("sounds", sounds, 0)):
            if value < least:
                raise UserError(f"HTMLReport.{name} {value} is not allowed; allowed: {least} and up")
        self.write = write
        self.every_ticks = every_ticks
        self.sheets = sheets
        self.sounds = sounds

    def on_tick(self) -> None:
        """Have the page written, if it is time."""
        if self.every_ticks and self.trainer.tick % self.every_ticks == 0 and not self.trainer.ending:
            self._start()

    def on_end(self) -> None:
        """Have the last page written, whatever has ended the run."""
        self._start()

    def _start(self) -> None:
        folder = self.trainer.parts.directory
        # A run's folder is made, and gets its config, when training begins.
        if not self.write or folder is None or not (folder / "config.yaml").is_file():
            return

        def page() -> str:
            from pggan_framework.reporting.page import render

            try:
                text = render([read_run(folder)], self.sheets, self.sounds)
                with atomic_path(folder / REPORT) as path:
                    path.write_text(text, encoding="utf-8")
            except OSError as error:
                return f"cannot write {folder / REPORT} ({error}); training continues"
            return ""

        self.trainer.background.submit(page, self._tell, "report")

    def _tell(self, problem: str) -> None:
        if problem:
            self.trainer.parts.logger.message(problem)
