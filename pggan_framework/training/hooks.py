"""Call the hooks of plugins when they are due, and handle their errors."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from pggan_framework.errors import DivergedError, UserError
from pggan_framework.training.checkpoint import CheckpointError

if TYPE_CHECKING:
    from pggan_framework.loggers.base import Logger
    from pggan_framework.training.plugin import Every, Plugin
    from pggan_framework.training.trainer import Trainer


class Hooks:
    """The hooks of a trainer's plugins.

    If a plugin raises an exception, the other plugins are still called, so that all have seen the same steps and ticks
    when the state is saved. An error in side work, which writes files and does not affect training, becomes a warning,
    and so does an error in a background task. Any other error is raised after all plugins have been called. A
    `DivergedError` is raised immediately, since non-finite weights must not be saved.

    Args:
        plugins: plugins in the order of their calls.
        logger: logger that receives the warnings.
    """

    def __init__(self, plugins: list[Plugin], logger: Logger) -> None:
        self.plugins, self.logger = plugins, logger
        self._clock: dict[tuple[int, Every], float] = {}
        self._warned: dict[str, str] = {}

    def call(self, hook: str, due: Callable[[Plugin], bool] = lambda plugin: True) -> None:
        """Call ``hook`` of every plugin that is due.

        Raises:
            Exception: the first exception outside side work.
        """
        first: Exception | None = None
        for plugin in self.plugins:
            try:
                if due(plugin):
                    getattr(plugin, hook)()
            except (DivergedError, CheckpointError):
                raise
            except Exception as error:
                if plugin.main_process_only:
                    self.warn(type(plugin).__name__, error)
                else:
                    first = first or error
        if first is not None:
            raise first

    def after_step(self, trainer: Trainer, before: int) -> None:
        """Call `after_step` of plugins with an interval that ended in the last step, which began at `before` images."""
        self.call("after_step", lambda plugin: self._step_due(plugin, trainer, before))

    def on_tick(self, tick: int) -> None:
        """Call `on_tick` of all plugins with an interval that ends at tick number `tick`."""

        def due(plugin: Plugin) -> bool:
            counts = [every.count for every in plugin.intervals() if every.unit == "tick"]
            return not counts or any(tick % max(1, round(count)) == 0 for count in counts)

        self.call("on_tick", due)

    def on_end(self, *closing: Callable[[], None]) -> Iterator[Exception]:
        """Call `on_end` of all plugins, then the functions `closing`; yield exceptions outside side work."""
        for work in (*(plugin.on_end for plugin in self.plugins), *closing):
            owner = getattr(work, "__self__", None)
            try:
                work()
            except Exception as error:  # the other plugins must still end
                if getattr(owner, "main_process_only", False) and not isinstance(error, CheckpointError):
                    self.warn(type(owner).__name__, error)
                else:
                    yield error

    def warn(self, what: str, error: Exception) -> None:
        """Log a failure of side work, once per kind of failure."""
        text = " ".join(f"{error}".split()) or type(error).__name__
        text = text if isinstance(error, (OSError, UserError)) else f"{type(error).__name__}: {text}"
        if self._warned.get(what) != text:
            self._warned[what] = text
            self.logger.message(f"warning: {what}: {text}; training continues")

    def _step_due(self, plugin: Plugin, trainer: Trainer, before: int) -> bool:
        """True if `after_step` is due: always, unless the plugin counts in iterations, kimg or seconds."""
        intervals = [every for every in plugin.intervals() if every.unit != "tick"]
        return not intervals or any(self._passed(plugin, every, trainer, before) for every in intervals)

    def _passed(self, plugin: Plugin, every: Every, trainer: Trainer, before: int) -> bool:
        """True if an interval ended within the last step."""
        if every.unit == "iteration":
            return trainer.iteration % max(1, round(every.count)) == 0
        if every.unit == "kimg":
            length = every.count * 1000
            return trainer.nimg // length > before // length
        key, now = (id(plugin), every), time.monotonic()
        if now - self._clock.setdefault(key, now) < every.count:
            return False
        self._clock[key] = now
        return True
