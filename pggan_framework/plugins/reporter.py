"""Reporter: passes each tick's figures on to the loggers."""

from __future__ import annotations

from pggan_framework.loggers.base import Logger
from pggan_framework.training.plugin import Plugin


class Reporter(Plugin):
    """Stands behind the plugins that add figures and before the one that saves. Every run has it.

    Args:
        logger: where the figures go.
    """

    main_process_only = True

    def __init__(self, logger: Logger) -> None:
        self.logger = logger

    def after_step(self) -> None:
        """Move the progress bar."""
        self.logger.progress(self.trainer.nimg)

    def on_tick(self) -> None:
        """Log the figures."""
        self.logger.log(self.trainer.stats, self.trainer.nimg)
