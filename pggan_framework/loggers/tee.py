"""log.txt and the terminal: a summary of the run, then one readable line per tick."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from pggan_framework.loggers.base import UNLIMITED_KIMG, Logger, RunInfo, Verbosity
from pggan_framework.loggers.terminal import PLAIN_ERRORS, abandon_stdout, duration, say, warn
from pggan_framework.registry import register

_COLUMNS: dict[str, Callable[[float], str]] = {
    "tick": "tick {:<4.0f}".format,
    "kimg": "{:>8.2f} kimg".format,
    "depth": " depth {:.0f}".format,
    "alpha": "alpha {:.2f}".format,
    "sec.kimg": lambda seconds: f"{1000 / max(seconds, 1e-9):>7.4g} img/s",
    "time": lambda seconds: f" {duration(seconds):>11}",
    "sec.left": lambda seconds: f"{duration(seconds):>7} left",
    "D_loss": " D_loss {:<7.3g}".format,
    "G_loss": "G_loss {:<7.3g}".format,
    "D_real": "D_real {:<7.3g}".format,
    "D_fake": "D_fake {:<7.3g}".format,
}
"""The values of a tick's line, with their units, in this order."""
_LEFT_OUT = re.compile(
    r"nimg|lod|minibatch|sec\.tick|ms\..*|[GD]_lr|[GD]_.*|quality|r1|r2|drift|gradient.*|(sound|picture|image)\..*|.*\.floor"
)
"""Values only in stats.jsonl and the report; sample quality has its own line."""


def tick_line(stats: Mapping[str, float], everything: bool = False) -> str:
    """Format a tick's values as one line: known values in fixed columns, then values of user plugins as ``name value``.

    Args:
        stats: values of the tick.
        everything: also append all other values.
    """
    known = [form(float(stats[key])) for key, form in _COLUMNS.items() if key in stats]
    others = [
        f"{key} {float(value):.4g}"
        for key, value in stats.items()
        if key not in _COLUMNS and (everything or not _LEFT_OUT.fullmatch(key))
    ]
    return " ".join(known + others).rstrip()


def network_table(name: str, rows: list[tuple[str, str, int]]) -> str:
    """Format a network's layers, output shapes and parameter counts as aligned lines, with the total at the end.

    Args:
        name: name of the network, the header of the first column.
        rows: (layer, output shape, parameters) of each layer.
    """
    cells = [(name, "output shape", "parameters")]
    cells += [(layer, shape, f"{count:,}") for layer, shape, count in rows]
    cells.append(("total", "", f"{sum(row[2] for row in rows):,}"))
    widths = [max(len(row[column]) for row in cells) for column in range(3)]
    lines = [f"{row[0]:<{widths[0]}}  {row[1]:<{widths[1]}}  {row[2]:>{widths[2]}}" for row in cells]
    rule = "  ".join("-" * width for width in widths)
    return "\n".join([lines[0], rule, *lines[1:-1], rule, lines[-1]])


@register("logger")
class TeeLogger(Logger):
    """Writes readable logs: everything to a file; a summary and a line per tick to the terminal as well.

    A closed terminal or a full disk causes one warning on the other output and never stops the run.

    Args:
        filename: file name inside the run's folder; a resumed run appends to the file.
    """

    def __init__(self, filename: str = "log.txt") -> None:
        self.filename = filename
        self._path: Path | None = None
        self._terminal_open = True
        self._file_warned = False
        self._verbosity: Verbosity = "normal"

    def start(self, run: RunInfo) -> None:
        """Write the run's header, or the position where it resumes."""
        self._path = run.directory / self.filename
        self._verbosity = run.verbosity
        now = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M:%S %z")
        if run.resumed_nimg is None:
            with suppress(OSError):
                self._path.unlink()
        if run.resumed_nimg is None or not self._path.exists():
            head = _head(run, now)
            self._write(head)
            self._print(head if self._verbosity == "verbose" else _summary(run))
        if run.resumed_nimg is not None:
            self.message(f"resumed at {run.resumed_nimg / 1000:.2f} kimg, {now}")

    def log(self, stats: Mapping[str, float], nimg: int) -> None:
        """Write one line."""
        self.message(tick_line(stats, everything=self._verbosity == "verbose"))

    def message(self, text: str) -> None:
        """Write one line to the file and the terminal."""
        self._write(text)
        self._print(text)

    def finish(self, status: str) -> None:
        """Write the final status of the run."""
        self.message(f"{status}, {datetime.now().astimezone():%Y-%m-%d %H:%M:%S %z}")

    def _write(self, text: str) -> None:
        if self._path is None:
            return
        try:
            with self._path.open("a", encoding="utf-8", errors="replace") as file:
                file.write(text + "\n")
        except OSError as error:
            if not self._file_warned:
                self._file_warned = True
                warn(f"cannot write {self._path} ({error}); training continues")

    def _print(self, text: str) -> None:
        if not self._terminal_open or self._verbosity == "quiet":
            return
        try:
            say(text)
        except PLAIN_ERRORS as error:
            self._terminal_open = False
            abandon_stdout()
            self._write(f"warning: the terminal is closed ({error}); from here on only this file is written")


def _head(run: RunInfo, now: str) -> str:
    """Return the header of log.txt."""
    facts = {"run": run.name, "date": now, **run.environment}
    sections = [_pairs(facts), "configuration\n\n" + run.config_text.rstrip(), "data\n\n" + _pairs(run.data)]
    sections += [network_table(name, rows) for name, rows in run.networks.items()]
    return "\n\n".join(sections) + "\n"


def _summary(run: RunInfo) -> str:
    """Return the part of the header that is also printed to the terminal."""
    lengths = [] if run.total_kimg >= UNLIMITED_KIMG else [f"{run.total_kimg:g} kimg"]
    lengths += [] if run.seconds is None else [f"{duration(run.seconds)} of training"]
    sizes = [f"{name.lower()} {sum(row[2] for row in rows):,}" for name, rows in run.networks.items()]
    lines = {"run": str(run.directory), "data": run.data_line, "length": " or ".join(lengths)}
    return _pairs({name: text for name, text in {**lines, "parameters": ", ".join(sizes)}.items() if text})


def _pairs(facts: Mapping[str, str]) -> str:
    """Format names and values in two columns; continuation lines of a value stay in its column."""
    width = max(map(len, facts), default=0)
    indent = "\n" + " " * (width + 2)
    return "\n".join(f"{name:<{width}}  {indent.join(str(value).splitlines())}" for name, value in facts.items())
