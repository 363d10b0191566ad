"""Comet: a run's metrics, parameters, images and sounds on comet.com, or in an archive to upload later."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from pggan_framework.errors import UserError
from pggan_framework.loggers.base import RunInfo
from pggan_framework.loggers.flat import flat
from pggan_framework.loggers.group import RemoteLogger, stored_id
from pggan_framework.registry import register

_BACKEND = "https://www.comet.com/clientlib/"
_KEY_FILE = "comet.json"


@register("logger")
class CometLogger(RemoteLogger):
    """Logs to Comet: online with a key; to an offline archive without a key or if the service is unreachable.

    The key comes from ``--comet_key`` or the environment variable ``COMET_API_KEY`` and is never stored. A resumed run
    continues the same experiment, whose name is kept in ``comet.json``. Comet's automatic capture of code, environment,
    git and output is disabled.

    Args:
        comet_key: API key; if empty, ``COMET_API_KEY`` is used.
        comet_project_name: project on Comet; if empty, Comet's default is used.
        offline_directory: folder for offline archives; if not given, ``comet`` in the run's folder.
        timeout: seconds to wait for the service before logging offline; above 0.
    """

    injected: ClassVar[tuple[str, ...]] = ("comet_key", "comet_project_name")

    def __init__(
        self,
        comet_key: str = "",
        comet_project_name: str = "",
        offline_directory: str | None = None,
        timeout: float = 10,
    ) -> None:
        if not timeout > 0:
            raise UserError(f"CometLogger.timeout {timeout:g} is not allowed; allowed: above 0")
        self.comet_project_name = comet_project_name
        self.offline_directory = offline_directory
        self.timeout = timeout
        self._key = comet_key or os.environ.get("COMET_API_KEY", "")
        self.secrets = (self._key,)
        self._experiment: Any = None
        self._handler: _FirstError | None = None

    def start(self, run: RunInfo) -> None:
        """Open the experiment and log the configuration."""
        # Comet patches other libraries and reports its own crashes unless disabled before its import.
        os.environ.setdefault("COMET_DISABLE_AUTO_LOGGING", "1")
        os.environ.setdefault("COMET_ERROR_TRACKING_ENABLE", "false")
        import comet_ml

        self._handler = _FirstError(self)
        self._archives = Path(self.offline_directory) if self.offline_directory else run.directory / "comet"
        self._older = set(self._archives.glob("*.zip"))
        key_file = run.directory / _KEY_FILE
        previous = stored_id(key_file, "experiment_key") if run.resumed_nimg is not None else None
        self._experiment = self._open(comet_ml, run, previous)
        key_file.write_text(json.dumps({"experiment_key": self._experiment.get_key()}) + "\n", encoding="utf-8")
        if previous is None:
            self._experiment.log_parameters(flat(run.config))
            self._experiment.log_others({f"data/{name}": value for name, value in run.data.items()})
        else:
            self._experiment.log_other("resumed_nimg", run.resumed_nimg)

    def log(self, stats: Mapping[str, float], nimg: int) -> None:
        """Log a tick's values at step `nimg`, the tick as epoch."""
        if self._experiment is not None:
            tick = int(stats["tick"]) if "tick" in stats else None
            self._experiment.log_metrics({name: float(v) for name, v in stats.items()}, step=nimg, epoch=tick)

    def image(self, name: str, path: Path, nimg: int) -> None:
        """Log an image file."""
        if self._experiment is not None:
            self._experiment.log_image(str(path), name=name, step=nimg)

    def audio(self, name: str, path: Path, nimg: int) -> None:
        """Log a sound file."""
        if self._experiment is not None:
            self._experiment.log_audio(str(path), file_name=path.name, metadata={"name": name}, step=nimg)

    def finish(self, status: str) -> None:
        """Send or archive the remaining data."""
        if self._experiment is None:
            return
        experiment, self._experiment = self._experiment, None
        try:
            experiment.log_other("status", status)
            experiment.end()
            # An online experiment that lost its connection also leaves an archive.
            found = [path for path in self._archives.glob(f"{experiment.get_key()}*.zip") if path not in self._older]
            if found:
                self.report(f"Comet: to upload this run: comet upload {' '.join(map(str, found))}")
        finally:
            if self._handler is not None:
                self._handler.remove()

    def _open(self, comet_ml: Any, run: RunInfo, previous: str | None) -> Any:
        """Open the experiment: online with a key and a reachable service, else offline."""
        options: dict[str, Any] = {
            "experiment_config": comet_ml.ExperimentConfig(
                name=run.name,
                offline_directory=str(self._archives),
                display_summary_level=0,
                log_code=False,
                log_graph=False,
                log_git_metadata=False,
                log_git_patch=False,
                log_env_details=False,
                parse_args=False,
                auto_output_logging=False,
                auto_param_logging=False,
                auto_metric_logging=False,
                auto_log_co2=False,
            ),
            "project_name": self.comet_project_name or None,
            "experiment_key": previous,
            "mode": "create" if previous is None else "get_or_create",
        }
        reason = "no key given (--comet_key or COMET_API_KEY)"
        if self._key:
            try:
                # Without this check, Comet itself retries for half a minute.
                _reach(comet_ml.get_config("comet.url_override") or _BACKEND, self.timeout)
                experiment = comet_ml.start(api_key=self._key, online=True, **options)
                if experiment.alive:
                    self.report(f"Comet: {experiment.url}")
                    return experiment
                # Such an experiment accepts all calls and drops their data.
                reason = "the service did not accept the run"
                experiment.end()
            except Exception as error:
                reason = self.mask(f"{type(error).__name__}: {error}")
        self._archives.mkdir(parents=True, exist_ok=True)
        self.report(f"Comet: logging offline into {self._archives}: {reason}")
        return comet_ml.start(online=False, **options)


class _FirstError(logging.Handler):
    """Keeps only the first error of Comet's log messages, without secrets; Comet would print over the progress bar."""

    def __init__(self, owner: CometLogger) -> None:
        super().__init__(logging.ERROR)
        self._owner = owner
        self._source = logging.getLogger("comet_ml")
        self._quiet = [(h, h.level) for h in self._source.handlers if type(h) is not logging.FileHandler]
        for handler, _ in self._quiet:
            handler.setLevel(logging.CRITICAL + 1)
        self._source.addHandler(self)
        self._done = False

    def emit(self, record: logging.LogRecord) -> None:
        if not self._done:
            self._done = True
            self._owner.report(self._owner.mask(f"Comet: {record.getMessage()}"))

    def remove(self) -> None:
        """Restore Comet's original handlers."""
        self._source.removeHandler(self)
        for handler, level in self._quiet:
            handler.setLevel(level)


def _reach(url: str, timeout: float) -> None:
    """Check that `url` responds; any response is accepted.

    Raises:
        OSError: if there is no response within `timeout` seconds.
    """
    from ssl import SSLError
    from urllib.error import HTTPError, URLError
    from urllib.request import urlopen

    try:
        urlopen(url.rstrip("/") + "/isAlive/ping", timeout=timeout).close()
    except HTTPError:
        return
    except URLError as error:
        # Comet uses its own certificates and may connect where this request fails.
        if not isinstance(error.reason, SSLError):
            raise
