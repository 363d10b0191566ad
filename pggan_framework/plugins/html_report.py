"""HTMLReport: the run as an HTML page in its folder."""

from __future__ import annotations

from pggan_framework.errors import at_least
from pggan_framework.registry import register
from pggan_framework.reporting.run import REPORT, Run
from pggan_framework.storage.atomic import atomic_path
from pggan_framework.storage.names import write_text
from pggan_framework.training.plugin import Plugin


@register("plugin")
class HTMLReport(Plugin):
    """Writes ``report.html``: samples over time with their sounds and reals, charts, measurements, configuration.

    The page is a single file and needs no network. It is written in the background, and again when training ends. A
    page written at the end of a tick does not include that tick yet.

    Args:
        write: whether to write the page; ``pggan report`` can also write it later.
        every_ticks: ticks between two pages; 0 writes the page only at the end.
        sheets: largest number of moments whose samples are shown, evenly spaced; at least 1.
        sounds: largest number of sounds per moment.
    """

    main_process_only = True

    def __init__(self, write: bool = True, every_ticks: int = 10, sheets: int = 12, sounds: int = 64) -> None:
        at_least("HTMLReport", 0, every_ticks=every_ticks, sounds=sounds)
        at_least("HTMLReport", 1, sheets=sheets)
        self.write = write
        self.every_ticks = every_ticks
        self.sheets = sheets
        self.sounds = sounds

    def on_tick(self) -> None:
        """Write the page in the background if it is due."""
        if self.every_ticks and self.trainer.tick % self.every_ticks == 0 and not self.trainer.ending:
            self._start()

    def on_end(self) -> None:
        """Write the last page, also after an error."""
        self._start()

    def _start(self) -> None:
        folder = self.trainer.parts.directory
        # The folder of the run and its config are created when training begins.
        if not self.write or folder is None or not (folder / "config.yaml").is_file():
            return

        def page() -> str:
            from pggan_framework.reporting.page import render

            try:
                text = render([Run(folder)], self.sheets, self.sounds)
                with atomic_path(folder / REPORT) as path:
                    write_text(path, text)
            except OSError as error:
                return f"cannot write {folder / REPORT} ({error}); training continues"
            return ""

        self.trainer.background.submit(page, self._report, "report")

    def _report(self, problem: str) -> None:
        if problem:
            self.trainer.parts.logger.message(problem)
