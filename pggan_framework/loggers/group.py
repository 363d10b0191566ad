"""A group of loggers behind one interface; none can stop a run."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pggan_framework.errors import UserError
from pggan_framework.loggers import terminal
from pggan_framework.loggers.base import Histogram, Logger, RunInfo


class RemoteLogger(Logger):
    """Base of loggers that send a run's metrics to a service, such as Comet.

    A subclass does not catch exceptions: a `LoggerGroup` turns them into one warning, with the `secrets` masked, and
    training continues.
    """

    secrets: tuple[str, ...] = ()
    """Strings that messages must not show: keys, tokens."""
    report: Callable[[str], None] = staticmethod(terminal.warn)
    """Prints one line for the user; a `LoggerGroup` connects it to its own `message`."""

    def mask(self, text: str) -> str:
        """`text` on one line, with every secret replaced by asterisks."""
        text = " ".join(text.split())
        for secret in filter(None, self.secrets):
            text = text.replace(secret, "***")
        return text


def stored_id(path: Path, key: str) -> str | None:
    """The service's id of an earlier part of this run, from a JSON file; None if it cannot be read."""
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))[key])
    except (OSError, ValueError, KeyError, TypeError):
        return None


class WandbInterface(RemoteLogger, ABC):
    """Base of loggers to services with wandb's interface; `_run` is None before the start and after the end."""

    _run: Any = None
    _package: Any = None
    """The imported package."""

    def image(self, name: str, path: Path, nimg: int) -> None:
        """Log an image file."""
        self._log_as("Image", name, nimg, str(path))

    def audio(self, name: str, path: Path, nimg: int) -> None:
        """Log a sound file, with its sample rate and format."""
        self._log_as("Audio", name, nimg, str(path))

    def histogram(self, name: str, histogram: Histogram, nimg: int) -> None:
        """Log a distribution of values."""
        self._log_as("Histogram", name, nimg, np_histogram=(histogram.counts, histogram.edges))

    def _log_as(self, kind: str, name: str, nimg: int, *what: Any, **named: Any) -> None:
        if self._run is not None:
            self._log({name: getattr(self._package, kind)(*what, **named)}, nimg)

    @abstractmethod
    def _log(self, values: dict[str, Any], nimg: int) -> None:
        """Log values by name at `nimg`; nothing before the start and after the end."""


class LoggerGroup(Logger):
    """Forwards every call to each of its loggers.

    An exception in one logger becomes one warning, sent to those that print messages; the others and the run continue.
    A logger that fails to start is dropped; one that fails later is tried again, since a network may recover.

    Args:
        loggers: the loggers; those that print messages start first, so that they can print the others' reports.
    """

    def __init__(self, loggers: Sequence[Logger]) -> None:
        self.loggers = sorted(loggers, key=lambda logger: not _overrides(logger, "message"))
        self._progressing = [logger for logger in self.loggers if _overrides(logger, "progress")]
        self._warned: set[int] = set()
        for logger in self.loggers:
            if isinstance(logger, RemoteLogger):
                logger.report = self.message

    def start(self, run: RunInfo) -> None:
        """Start every logger.

        Raises:
            UserError: if a logger's parameters are wrong; other exceptions are caught.
        """
        for logger in tuple(self.loggers):
            try:
                logger.start(run)
            except UserError:
                raise
            except Exception as error:
                self._warn(logger, error, "is left out of this run")
                self.loggers.remove(logger)
        self._progressing = [logger for logger in self._progressing if logger in self.loggers]

    def log(self, stats: Mapping[str, float], nimg: int) -> None:
        """Forward a tick's values."""
        self._each(lambda logger: logger.log(stats, nimg))

    def progress(self, nimg: int) -> None:
        """Forward a step, only to loggers that override this method."""
        for logger in self._progressing:
            try:
                logger.progress(nimg)
            except Exception as error:
                self._warn(logger, error)

    def image(self, name: str, path: Path, nimg: int) -> None:
        """Forward an image's path."""
        self._each(lambda logger: logger.image(name, path, nimg))

    def audio(self, name: str, path: Path, nimg: int) -> None:
        """Forward a sound's path."""
        self._each(lambda logger: logger.audio(name, path, nimg))

    def histogram(self, name: str, histogram: Histogram, nimg: int) -> None:
        """Forward a distribution of values."""
        self._each(lambda logger: logger.histogram(name, histogram, nimg))

    def message(self, text: str) -> None:
        """Forward a message; print it on standard error if no logger prints messages."""
        if any(_overrides(logger, "message") for logger in self.loggers):
            self._each(lambda logger: logger.message(text))
        else:
            terminal.warn(text.removeprefix("warning: "))

    def finish(self, status: str) -> None:
        """Finish every logger, those that print messages last."""
        self._each(lambda logger: logger.finish(status), reverse=True)

    def _each(self, call: Callable[[Logger], None], reverse: bool = False) -> None:
        for logger in self.loggers[::-1] if reverse else tuple(self.loggers):
            try:
                call(logger)
            except Exception as error:
                self._warn(logger, error)

    def _warn(self, logger: Logger, error: Exception, outcome: str = "training continues") -> None:
        if id(logger) in self._warned:
            return
        self._warned.add(id(logger))
        text = f"{type(error).__name__}: {error}"
        text = logger.mask(text) if isinstance(logger, RemoteLogger) else " ".join(text.split())
        self.message(f"{type(logger).__name__} failed, {outcome} ({text})")


def _overrides(logger: Logger, method: str) -> bool:
    """Whether this logger overrides `method`."""
    return getattr(type(logger), method) is not getattr(Logger, method)
