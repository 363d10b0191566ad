"""Reporter: pass each tick's values to the loggers."""

from __future__ import annotations

from pggan_framework.loggers.base import Logger
from pggan_framework.training.plugin import Plugin


class Reporter(Plugin):
    """Logs the values of each tick, after plugins that add values and before the saver. Every run uses this plugin.

    Args:
        logger: logger that receives the values.
    """

    main_process_only = True

    def __init__(self, logger: Logger) -> None:
        self.logger = logger

    def after_step(self) -> None:
        """Move the progress bar."""
        self.logger.progress(self.trainer.nimg)

    def on_tick(self) -> None:
        """Log the values."""
        self.logger.log(self.trainer.stats, self.trainer.nimg)
