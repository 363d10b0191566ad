"""The kinds of faults: each breaks a run in one way, lets it resume, and reports what is wrong in the end."""

from __future__ import annotations

import errno
import os
import pty
import random
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from fault_machines import (
    WORKERS,
    broken_prepare,
    closed_pipe,
    limited,
    lost_rank,
    photos,
    removed_run,
    small_shm,
    stopped_for_a_while,
    torn_texts,
)
from fault_runs import FLAGS, Harness, Launcher, collect, differences, errors, orphans, runs, train

Kind = Callable[[Harness, Path, random.Random], list[str]]
"""Breaks a run in a folder; the random numbers say where. Gives what is wrong, [] where nothing is."""
CALLS = ("open", "write", "sync", "rename", "unlink")


def at_random(harness: Harness, place: Path, draw: random.Random, number: int = signal.SIGKILL) -> list[str]:
    """A signal at any moment."""
    harness.oracle()
    return harness.killed(place, number, delay=draw.uniform(0, harness.seconds))


def at_call(harness: Harness, place: Path, draw: random.Random, kind: str) -> list[str]:
    """SIGKILL at the entry of a system call."""
    harness.oracle()
    fault = {"kind": kind, "number": draw.randrange(harness.counts[kind]), "action": -9}
    return harness.killed(place, signal.SIGKILL, fault=fault)


def failing_call(harness: Harness, place: Path, draw: random.Random, kind: str, error: int) -> list[str]:
    """A call that fails once, or several times in a row."""
    harness.oracle()
    return harness.failing(place, kind, draw.randrange(harness.counts[kind]), error, draw.choice([1, 1, 4, 12]))


def with_workers(harness: Harness, place: Path, draw: random.Random) -> list[str]:
    """SIGKILL to a run with data workers, which must end with it."""
    harness.oracle(*WORKERS)
    wrong = harness.killed(place, signal.SIGKILL, *WORKERS, delay=draw.uniform(0.3, 1) * harness.seconds)
    return wrong + harness.finish(place, *WORKERS)


def lost_worker(harness: Harness, place: Path, draw: random.Random) -> list[str]:
    """Data workers are killed while the run trains; it takes no notice."""
    oracle = harness.oracle(*WORKERS)
    harness.launcher.start(train(place, *WORKERS), place)
    session, end = harness.launcher.pid, time.monotonic() + draw.uniform(0.4, 0.9) * harness.seconds
    while time.monotonic() < end:
        time.sleep(0.05)
    victims = [each for each in orphans(session) if each != session]
    for victim in draw.sample(victims, min(len(victims), draw.choice([1, 2]))):
        with suppress(ProcessLookupError):
            os.kill(victim, signal.SIGKILL)
    status = harness.launcher.end()
    if status != 0:
        return [f"exit status {status}: {harness.launcher.error}"]
    return harness.noise() + differences(collect(runs(place)[-1]), oracle)


def dropped_terminal(harness: Harness, place: Path, draw: random.Random) -> list[str]:
    """The terminal of a run closes: SIGHUP, and EIO for whatever it prints."""
    harness.oracle()
    near, far = pty.openpty()
    harness.launcher.start(train(place), place, terminal=os.ttyname(far))
    time.sleep(draw.uniform(0, 1) * harness.seconds)
    os.close(far)
    os.close(near)
    status = harness.launcher.end()
    wrong = [] if status in (0, 128 + signal.SIGHUP, -signal.SIGHUP) else [f"exit status {status}"]
    return wrong + harness.finish(place, samples="more")


def nohup(harness: Harness, place: Path, draw: random.Random) -> list[str]:
    """SIGHUP to a run that nohup has started: it trains to its end."""
    oracle = harness.oracle()
    harness.launcher.start(train(place), place, ignored=[int(signal.SIGHUP)])
    session = harness.launcher.pid
    time.sleep(draw.uniform(0, 1) * harness.seconds)
    with suppress(ProcessLookupError):
        os.kill(session, signal.SIGHUP)
    status = harness.launcher.end()
    if status != 0:
        return [f"exit status {status}: {harness.launcher.error}"]
    return harness.noise() + differences(collect(runs(place)[-1]), oracle)


def clock_backwards(harness: Harness, place: Path, draw: random.Random) -> list[str]:
    """The system clock goes back at each look at it, also over a kill."""
    harness.oracle()
    wrong = harness.killed(place, signal.SIGKILL, delay=draw.uniform(0, 1) * harness.seconds, clock=7)
    return wrong + harness.finish(place)


def no_home(harness: Harness, place: Path, draw: random.Random) -> list[str]:
    """No HOME, or one that is not a folder and cannot be written to."""
    oracle = harness.oracle()
    home = draw.choice([None, "/nonexistent", "/dev/null"])
    more = {"HOME": home, "PGGAN_CACHE": None, "XDG_CACHE_HOME": None, "USER": None, "LOGNAME": None}
    harness.launcher.start(train(place), place, environment=more)
    status = harness.launcher.end()
    if status != 0:
        return [f"exit status {status}: {harness.launcher.error}"]
    return harness.noise() + differences(collect(runs(place)[-1]), oracle)


def vanished_data(harness: Harness, place: Path, draw: random.Random) -> list[str]:
    """The folder of the data is renamed while a run trains, and comes back."""
    data = photos(harness)
    images = ("--dataset_class", "DefaultImageFolderDataset", "--DefaultImageFolderDataset.dir_path", str(data))
    more = tuple(draw.choice([images, (*images, *WORKERS)]))
    harness.oracle(*more)
    harness.launcher.start(train(place, *more), place)
    time.sleep(draw.uniform(0, 1) * harness.seconds)
    away = data.with_name("away")
    data.rename(away)
    status = harness.launcher.end()
    away.rename(data)
    said, wrong = harness.launcher.error, harness.noise()
    if status not in (0, 2) or (status == 2 and errors(said) != 1):
        wrong.append(f"exit status {status}: {said}")
    return wrong + harness.finish(place, *more, samples="more")


def flipped_bit(harness: Harness, place: Path, draw: random.Random) -> list[str]:
    """One bit of the newest checkpoint is flipped: the run resumes from the one before, or no harm is done."""
    harness.oracle(*KEEP)
    wrong = harness.killed(place, signal.SIGKILL, *KEEP, delay=draw.uniform(0.7, 1.1) * harness.seconds)
    found = sorted(place.glob("results/*/network-snapshot-*.pt"), key=lambda path: path.stat().st_mtime)
    if found:
        content = bytearray(found[-1].read_bytes())
        content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
        found[-1].write_bytes(content)
        if len(found) == 1:  # nothing to fall back to: an error in one line, never a wrong run
            harness.launcher.start(train(place, *KEEP), place)
            status = harness.launcher.end()
            one = status == 2 and errors(harness.launcher.error) == 1
            return wrong + ([] if one or status == 0 else [f"exit status {status}: {harness.launcher.error}"])
    return wrong + harness.finish(place, *KEEP)


KEEP = ("--SaverPlugin.keep_old_checkpoints", "True")


def double_start(harness: Harness, place: Path, draw: random.Random) -> list[str]:
    """A run is resumed while it trains: the second start is refused in one line, and the first is not disturbed."""
    oracle = harness.oracle()
    wrong = harness.killed(place, signal.SIGKILL, fault={"kind": "rename", "number": 12, "action": -9})
    if not runs(place):
        return wrong + harness.finish(place)
    harness.launcher.start(train(place), place)
    second = Launcher(None)
    try:
        second.start(train(place), place / "second", watched="/nowhere")
        refused, said = second.end(), second.error
    finally:
        second.close()
    status = harness.launcher.end()
    if status != 0:
        wrong.append(f"exit status {status}: {harness.launcher.error}")
    if "Traceback" in said or (refused != 0 and errors(said) != 1):
        wrong.append(f"the second start, {refused}: {said}")
    return wrong + differences(collect(runs(place)[-1]), oracle)


def full_disk(harness: Harness, place: Path, draw: random.Random) -> list[str]:
    """A disk of some kilobytes, which is enlarged when the run has ended. Needs root."""
    harness.oracle()
    size = draw.choice([60, 150, 300, 400])
    return _mounted(harness, place, f"-o size={size}k", lambda inside: f"mount -o remount,size=64m {inside}")


def read_only(harness: Harness, place: Path, draw: random.Random) -> list[str]:
    """The disk is mounted read-only while a run trains, as Linux does after errors. Needs root."""
    harness.oracle()
    delay = draw.uniform(0.2, 1) * harness.seconds
    return _mounted(harness, place, "-o size=64m", lambda inside: f"mount -o remount,rw {inside}", delay)


def _mounted(
    harness: Harness, place: Path, options: str, repair: Callable[[Path], str], delay: float | None = None
) -> list[str]:
    """A run on a separate disk, mounted where both this process and the launcher see it."""
    place.mkdir()
    _shell(f"mount -t tmpfs {options} tmpfs {place}")
    try:
        said = harness.folder / "said elsewhere"
        said.mkdir(exist_ok=True)
        harness.launcher.start(train(place), said, watched="/nowhere")
        if delay is not None:
            time.sleep(delay)
            # Refused while a file is being written; it may also have ended already.
            for _ in range(100):
                if os.system(f"mount -o remount,ro {place} 2>/dev/null") == 0:
                    break
                time.sleep(0.02)
        status = harness.launcher.end()
        wrong, text = harness.noise(), harness.launcher.error
        if status not in (0, 2) or (status == 2 and errors(text) != 1):
            wrong.append(f"exit status {status}: {text}")
        _shell(repair(place))
        return wrong + harness.finish(place, samples="present")
    finally:
        _shell(f"umount -l {place}")


def _shell(line: str) -> None:
    if os.system(line) != 0:
        raise RuntimeError(line)


def signalled(number: int) -> Kind:
    """The signal at any moment; what is saved then is resumed."""
    samples = "all" if number == signal.SIGKILL else "more"
    return lambda harness, place, draw: at_random(harness, place, draw, number) + harness.finish(place, samples=samples)


def _kill_at(kind: str) -> Kind:
    return lambda harness, place, draw: at_call(harness, place, draw, kind) + harness.finish(place)


def _failing(kind: str, error: int) -> Kind:
    return lambda harness, place, draw: failing_call(harness, place, draw, kind, error)


def _prepare(action: int) -> Kind:
    return lambda harness, place, draw: broken_prepare(harness, place, draw, action)


def _limited(name: str, low: int, high: int) -> Kind:
    return lambda harness, place, draw: limited(harness, place, draw, name, low, high)


def chain(harness: Harness, place: Path, draw: random.Random, kills: int = 5) -> list[str]:
    """Several kills in a row, at random and at system calls, before the run may end."""
    wrong: list[str] = []
    for _ in range(kills):
        kind = draw.choice([None, *CALLS])
        wrong += at_random(harness, place, draw) if kind is None else at_call(harness, place, draw, kind)
    return wrong + harness.finish(place)


PREPARE = {"SIGKILL": -signal.SIGKILL, "ENOSPC": errno.ENOSPC, "EIO": errno.EIO}
KINDS: dict[str, Kind] = {
    "SIGKILL at random": signalled(signal.SIGKILL),
    **{f"SIGKILL at {kind}": _kill_at(kind) for kind in CALLS},
    "SIGKILL with data workers": with_workers,
    **{f"ENOSPC at {kind}": _failing(kind, errno.ENOSPC) for kind in ("open", "write", "sync", "rename")},
    **{f"EIO at {kind}": _failing(kind, errno.EIO) for kind in ("open", "write", "sync", "rename", "unlink")},
    **{f"SIG{name}": signalled(getattr(signal, f"SIG{name}")) for name in ("TERM", "INT", "HUP", "USR1")},
    "nohup and SIGHUP": nohup,
    "dropped terminal": dropped_terminal,
    "lost data worker": lost_worker,
    "vanished data": vanished_data,
    "flipped bit": flipped_bit,
    "double start": double_start,
    "no HOME": no_home,
    "clock backwards": clock_backwards,
    **{f"{name} in prepare": _prepare(action) for name, action in PREPARE.items()},
    "closed pipe": closed_pipe,
    "stopped and continued": stopped_for_a_while,
    "removed run": removed_run,
    "torn texts": torn_texts,
    "few open files": _limited("NOFILE", 12, 60),
    "small files": _limited("FSIZE", 1 << 10, 200 << 10),
    "little memory": _limited("AS", 0, 300 << 20),
    "lost rank": lost_rank,
    "small shm": small_shm,
    "full disk": full_disk,
    "read-only disk": read_only,
}
NEED_ROOT = ("full disk", "read-only disk", "small shm")
__all__ = ["CALLS", "FLAGS", "KINDS", "NEED_ROOT", "chain"]
