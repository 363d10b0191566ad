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

    Subclasses do not catch exceptions: `LoggerGroup` converts them to one warning, with `secrets` masked, and training
    continues.
    """

    secrets: tuple[str, ...] = ()
    """Strings that messages must not show: keys, tokens."""
    report: Callable[[str], None] = staticmethod(terminal.warn)
    """Prints one line for the user; a `LoggerGroup` connects it to its own `message`."""

    def mask(self, text: str) -> str:
        """Return `text` on one line, with every secret replaced by asterisks."""
        text = " ".join(text.split())
        for secret in filter(None, self.secrets):
            text = text.replace(secret, "***")
        return text


def stored_id(path: Path, key: str) -> str | None:
    """Read the service's id of an earlier session of this run from a JSON file; None if it cannot be read."""
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))[key])
    except (OSError, ValueError, KeyError, TypeError):
        return None


class WandbInterface(RemoteLogger, ABC):
    """Base of loggers for services with wandb's API; `_run` is None before the start and after the end."""

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
        """Log values by name at `nimg`; do nothing before the start and after the end."""


class LoggerGroup(Logger):
    """Forwards every call to each of its loggers.

    An exception in one logger becomes one warning, sent to loggers that print messages; the other loggers and the run
    continue. A logger that fails after its start is called again, since a network may recover. A logger that cannot
    write its files at the start starts at a later tick and then receives the earlier ticks; a logger that fails to
    start for another reason is dropped.

    Args:
        loggers: loggers of the group; loggers that print messages start first, so they can print the messages of the
            others.
    """

    def __init__(self, loggers: Sequence[Logger]) -> None:
        self.loggers = sorted(loggers, key=lambda logger: not _overrides(logger, "message"))
        self._progressing = [logger for logger in self.loggers if _overrides(logger, "progress")]
        self._warned: set[int] = set()
        self._late: list[Logger] = []
        """Loggers that could not start yet."""
        self._missed: list[tuple[Mapping[str, float], int]] = []
        """The ticks missed by these loggers."""
        for logger in self.loggers:
            if isinstance(logger, RemoteLogger):
                logger.report = self.message

    def start(self, run: RunInfo) -> None:
        """Start every logger.

        Raises:
            UserError: if a logger's parameters are wrong; other exceptions are caught.
        """
        self._run = run
        for logger in tuple(self.loggers):
            try:
                logger.start(run)
            except UserError:
                raise
            except Exception as error:
                # Restarting a remote logger may take minutes without a network.
                again = isinstance(error, OSError) and not isinstance(logger, RemoteLogger)
                self._warn(logger, error, "starts later" if again else "is left out of this run")
                self.loggers.remove(logger)
                self._late += [logger] if again else []
        self._progressing = [logger for logger in self._progressing if logger in self.loggers]

    def log(self, stats: Mapping[str, float], nimg: int) -> None:
        """Forward a tick's values."""
        self._start_late()
        self._each(lambda logger: logger.log(stats, nimg))
        if self._late:
            self._missed.append((dict(stats), nimg))

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
        """Finish every logger; loggers that print messages finish last."""
        self._start_late()
        self._each(lambda logger: logger.finish(status), reverse=True)

    def _start_late(self) -> None:
        for logger in tuple(self._late):
            try:
                logger.start(self._run)
                for stats, nimg in self._missed:
                    logger.log(stats, nimg)
            except Exception:
                continue  # the warning was logged at the first attempt
            self._late.remove(logger)
            self.loggers.append(logger)
        if not self._late:
            self._missed.clear()

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
    """True if this logger overrides `method`."""
    return getattr(type(logger), method) is not getattr(Logger, method)
