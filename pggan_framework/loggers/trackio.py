"""trackio: a run's metrics, images and sounds in a local database with a dashboard; it has wandb's API."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import redirect_stdout
from io import StringIO
from typing import Any

from pggan_framework.errors import require
from pggan_framework.loggers.base import RunInfo
from pggan_framework.loggers.flat import flat
from pggan_framework.loggers.group import WandbInterface
from pggan_framework.registry import register


@register("logger")
class TrackioLogger(WandbInterface):
    """Logs to trackio; ``trackio show`` displays the run. The step is nimg; sounds keep their sample rate.

    All data remain on this machine unless ``TRACKIO_SPACE_ID`` or ``TRACKIO_SERVER_URL`` is set. The database is in the
    folder ``TRACKIO_DIR``, by default in Hugging Face's cache. A resumed run continues the same run there. It needs the
    package trackio.

    Args:
        project: name of the project.
    """

    def __init__(self, project: str = "pggan") -> None:
        require("trackio", "TrackioLogger")
        self.project = project

    def start(self, run: RunInfo) -> None:
        """Open the run and log the configuration."""
        import trackio

        self._package = trackio
        config = {**flat(run.config), **{f"data/{name}": value for name, value in run.data.items()}}
        with redirect_stdout(StringIO()):  # it prints several lines; the report below replaces them
            self._run = trackio.init(
                self.project,
                # Runs in other folders may have the same name; the parent folder's name distinguishes them.
                name=f"{run.directory.resolve().parent.name}/{run.name}",
                config=config,
                resume="never" if run.resumed_nimg is None else "allow",
                embed=False,
                auto_log_gpu=False,
                auto_log_cpu=False,
            )
        where = os.environ.get("TRACKIO_SPACE_ID") or os.environ.get("TRACKIO_SERVER_URL")
        self.report(f"trackio: {where or f'to look at this run: trackio show --project {self.project}'}")

    def log(self, stats: Mapping[str, float], nimg: int) -> None:
        """Log a tick's values at step `nimg`; ``time``, which trackio reserves, becomes ``sec.total``."""
        self._log({"sec.total" if name == "time" else name: float(value) for name, value in stats.items()}, nimg)

    def finish(self, status: str) -> None:
        """Log the final status of the run, and wait until everything is stored."""
        if self._run is not None:
            self._run = None
            with redirect_stdout(StringIO()):
                self._package.finish()  # type: ignore[no-untyped-call,unused-ignore]

    def _log(self, values: dict[str, Any], nimg: int) -> None:
        if self._run is not None:
            self._run.log(values, step=nimg)
