"""Runs parts in sequence, each in a separate process with a time limit, and writes their measurements."""

from __future__ import annotations

import json
import os
import signal
import time
import traceback
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

Entry = dict[str, Any]
"""A measurement: part, name, value, unit, and whatever else it depends on."""


@dataclass(frozen=True)
class Setting:
    """The setting that is common to all parts.

    Args:
        device: cuda, cuda:1 or cpu.
        tiny: whether to use the smallest sizes and to capture graphs without compiling them, for a test.
        out: folder of the results; each part may write into it.
        seconds: time limit of the part.
    """

    device: str
    tiny: bool
    out: Path
    seconds: float = 60.0

    @property
    def on_gpu(self) -> bool:
        """True if the device is a GPU."""
        return self.device != "cpu"

    def folder(self, name: str) -> Path:
        """Return a folder of this name for the files of a part."""
        place = self.out / "work" / name
        place.mkdir(parents=True, exist_ok=True)
        return place


class Recorder:
    """Appends each measurement of a part to a file immediately, so that a failure does not lose earlier measurements.

    Args:
        part: name of the part.
        file: destination, with one line of JSON per measurement.
    """

    def __init__(self, part: str, file: Path) -> None:
        self.part, self.file = part, file

    def __call__(self, name: str, value: Any, unit: str = "", **facts: Any) -> None:
        """Record one measurement."""
        if isinstance(value, float) and not isfinite(value):
            value = str(value)  # JSON has no word for it
        entry = {"part": self.part, "name": name, "value": value, "unit": unit, **facts}
        with self.file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")

    def attempt(self, name: str, work: Callable[[], Any], **facts: Any) -> bool:
        """Run a function that may fail without ending the part, and record its traceback; True if it succeeded."""
        try:
            work()
        except Exception:  # noqa: BLE001  -- whatever it is, the next attempt follows
            self(name, "failed", traceback=traceback.format_exc(), **facts)
            return False
        return True


@dataclass(frozen=True)
class Part:
    """One part of the script.

    Args:
        run: function that runs the part.
        seconds: time limit, before it is scaled to the given minutes.
    """

    run: Callable[[Setting, Recorder], None]
    seconds: float


def run_parts(
    parts: Mapping[str, Part], device: str, tiny: bool, out: Path, minutes: float, only: Collection[str] = ()
) -> list[Entry]:
    """Run the parts in order and write results.json and results.md after each.

    Args:
        parts: parts by name, in order of importance.
        device: device of the parts.
        tiny: see `Setting`.
        out: folder of the results.
        minutes: sum of the time limits.
        only: names of the parts to run, by default all. The time is divided among these parts.
    """
    out.mkdir(parents=True, exist_ok=True)
    chosen = {name: part for name, part in parts.items() if not only or name in only}
    scale = 60 * minutes / sum(part.seconds for part in chosen.values())
    entries: list[Entry] = []
    for name, part in chosen.items():
        limit = part.seconds * scale
        print(f"{name}: {limit:.0f} s at most", flush=True)
        start = time.monotonic()
        found = run_one(name, part, Setting(device, tiny, out, limit))
        entries += [*found, {"part": name, "name": "seconds", "value": time.monotonic() - start, "unit": "s"}]
        write(entries, out)
        for entry in found:
            if "traceback" in entry:
                print(f"  {entry['name']}: {entry['traceback'].strip().splitlines()[-1]}", flush=True)
    return entries


def run_one(name: str, part: Part, setting: Setting) -> list[Entry]:
    """Run a part in a forked process, and return its measurements, with an error at the end if it has failed.

    Each part has a separate process, since a process cannot use its GPU any more after an illegal memory access. A
    forked process need not import torch again. This process itself must not use the GPU.
    """
    file = setting.out / f"{name}.jsonl"
    file.write_text("", encoding="utf-8")
    child = os.fork()
    if child == 0:
        _run_here(name, part, setting, file)
    status = _wait(child, setting.seconds)
    entries: list[Entry] = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    why = ""
    if status is None:
        why = f"TimeoutError: it took more than {setting.seconds:.0f} s"
    elif os.WIFSIGNALED(status):
        why = f"it was ended by {signal.Signals(os.WTERMSIG(status)).name}; see {name}.log"
    elif os.WEXITSTATUS(status) and not any(entry["name"] == "error" for entry in entries):
        why = f"it ended with status {os.WEXITSTATUS(status)}; see {name}.log"
    return [*entries, *([{"part": name, "name": "error", "value": "failed", "traceback": why}] if why else [])]


def _run_here(name: str, part: Part, setting: Setting, file: Path) -> None:
    """Run a part in the forked process, with its own log and process group, so that all its children can be ended."""
    os.setsid()
    log = os.open(setting.out / f"{name}.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 1)
    os.dup2(log, 2)
    record = Recorder(name, file)
    try:
        part.run(setting, record)
    except BaseException:  # noqa: BLE001  -- the parent continues with the next part
        record("error", "failed", traceback=traceback.format_exc())
        os._exit(1)
    os._exit(0)


def _wait(child: int, seconds: float) -> int | None:
    """Return the exit status of a process; None if it had to be ended after this number of seconds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            _end_group(child)  # what it has left running
            return status
        time.sleep(0.02)
    _end_group(child)
    os.waitpid(child, 0)
    return None


def _end_group(child: int) -> None:
    with suppress(ProcessLookupError, PermissionError):  # it has ended, or had not begun
        os.killpg(child, signal.SIGKILL)


def write(entries: list[Entry], out: Path) -> None:
    """Write results.json, a list of measurements, and results.md, a table of the measurements."""
    (out / "results.json").write_text(json.dumps(entries, indent=1) + "\n", encoding="utf-8")
    (out / "results.md").write_text(table(entries), encoding="utf-8")


def table(entries: list[Entry]) -> str:
    """Format all measurements as a Markdown table, with the tracebacks below it."""
    lines = ["| part | name | value | unit | |", "|---|---|---|---|---|"]
    for entry in entries:
        rest = {k: v for k, v in entry.items() if k not in ("part", "name", "value", "unit", "traceback", "rows")}
        value = f"{entry['value']:.4g}" if isinstance(entry["value"], float) else str(entry["value"])
        about = ", ".join(f"{key} {each}" for key, each in rest.items())
        cells = (entry["part"], entry["name"], value, entry.get("unit", ""), about)
        lines.append("| " + " | ".join(str(cell).replace("|", "/").replace("\n", " ") for cell in cells) + " |")
    for entry in entries:
        if "traceback" in entry:
            lines += ["", f"{entry['part']}, {entry['name']}:", "", "```", entry["traceback"].strip(), "```"]
    return "\n".join(lines) + "\n"
