"""Weights & Biases: a run's metrics, parameters, images and sounds on wandb.ai, or in a folder to upload later."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

from pggan_framework.errors import UserError, require
from pggan_framework.loggers.base import RunInfo
from pggan_framework.loggers.flat import flat
from pggan_framework.loggers.group import WandbInterface, stored_id
from pggan_framework.registry import register
from pggan_framework.storage.atomic import atomic_path

_ID_FILE = "wandb.json"
_LAST_UPLOAD = 120.0
"""Seconds to wait at the end of a run for pending uploads; the rest remains on disk for ``wandb sync``."""


@register("logger")
class WandbLogger(WandbInterface):
    """Logs to Weights & Biases: online with a key; to a folder without a key or if the service is unreachable.

    The key is the one stored by ``wandb login`` or the environment variable ``WANDB_API_KEY``; it is not stored again.
    A resumed run continues the same run there, whose id is in ``wandb.json``. The horizontal axis is ``nimg``. Wandb's
    automatic capture (code, git, packages, machine, printed text) is disabled. It needs the extra ``wandb``.

    Args:
        project: name of the project; if empty, wandb's default is used.
        entity: user or team; if empty, the owner of the key.
        offline: never contact the service.
        offline_directory: folder of wandb's files; if not given, ``wandb`` in the run's folder.
        timeout: seconds to wait for the service before logging offline; above 0.
    """

    def __init__(
        self,
        project: str = "",
        entity: str = "",
        offline: bool = False,
        offline_directory: str | None = None,
        timeout: float = 10,
    ) -> None:
        if not timeout > 0:
            raise UserError(f"WandbLogger.timeout {timeout:g} is not allowed; allowed: above 0")
        require("wandb", "WandbLogger")
        self.project = project
        self.entity = entity
        self.offline = offline
        self.offline_directory = offline_directory
        self.timeout = timeout
        self.secrets = (os.environ.get("WANDB_API_KEY", ""),)

    def start(self, run: RunInfo) -> None:
        """Open the run and log the configuration."""
        # wandb reads these when it is imported; by default it reports its crashes and prints over the progress bar.
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        os.environ.setdefault("WANDB_SILENT", "true")
        import wandb

        self._package = wandb
        # wandb creates a subfolder `wandb` in the given one.
        self._directory = Path(self.offline_directory) if self.offline_directory else run.directory
        self._directory.mkdir(parents=True, exist_ok=True)
        id_file = run.directory / _ID_FILE
        previous = stored_id(id_file, "run_id") if run.resumed_nimg is not None else None
        self._run = self._open(run, previous or _new_id())
        self._id = previous or self._run.id
        with atomic_path(id_file) as temporary:
            temporary.write_text(json.dumps({"run_id": self._id}) + "\n", encoding="utf-8")
        # wandb's own step can only increase, but a run that is rolled back or resumed logs values again.
        self._run.define_metric("nimg", hidden=True)
        self._run.define_metric("*", step_metric="nimg")
        if previous is not None:
            self._run.summary["resumed_nimg"] = run.resumed_nimg

    def log(self, stats: Mapping[str, float], nimg: int) -> None:
        """Log a tick's values."""
        self._log({name: float(value) for name, value in stats.items()}, nimg)

    def finish(self, status: str) -> None:
        """Send or store the remaining data."""
        if self._run is None:
            return
        run, self._run = self._run, None
        run.summary["status"] = status
        folder = Path(run.settings.sync_dir)
        run.finish(exit_code=int(status == "failed"))
        if run.offline:
            other = "" if run.id == self._id else f"--id {self._id} "
            self.report(f"Weights & Biases: to upload this run: wandb sync {other}{folder}")

    def _log(self, values: dict[str, Any], nimg: int) -> None:
        if self._run is not None:
            self._run.log({**values, "nimg": nimg})

    def _open(self, run: RunInfo, run_id: str) -> Any:
        """Open the run: online with a key and a reachable service, else offline."""
        wandb = self._package
        options: dict[str, Any] = {
            "project": self.project or None,
            "entity": self.entity or None,
            "name": run.name,
            "id": run_id,
            "resume": "allow",
            "reinit": "create_new",
            "dir": str(self._directory),
            "config": {**flat(run.config), **{f"data/{name}": value for name, value in run.data.items()}},
            "settings": wandb.Settings(
                console="off",
                disable_code=True,
                disable_git=True,
                disable_job_creation=True,
                finish_timeout=_LAST_UPLOAD,
                init_timeout=self.timeout,
                save_code=False,
                silent=True,
                x_disable_machine_info=True,
                x_disable_meta=True,
                x_disable_stats=True,
                x_save_requirements=False,
            ),
        }
        reason = "as configured (WandbLogger.offline)"
        if not self.offline:
            reason = "no key given (wandb login or WANDB_API_KEY)"
            try:
                if wandb.login(prompt=False, verify=False):
                    opened = wandb.init(mode="online", **options)
                    self.report(f"Weights & Biases: {opened.url}")
                    return opened
            except Exception as error:
                reason = self.mask(f"{type(error).__name__}: {error}")
                # The failed attempt holds the id as long as this process runs.
                options["id"] = _new_id()
        self.report(f"Weights & Biases: logging offline into {self._directory / 'wandb'}: {reason}")
        return wandb.init(mode="offline", **options)


def _new_id() -> str:
    return uuid4().hex[:8]
