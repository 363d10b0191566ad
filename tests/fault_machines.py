"""Faults of what is around a run: limits of the system, pipes, a lost rank, a small /dev/shm, removed files."""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from fault_runs import Harness, HungError, Launcher, collect, differences, errors, litter, runs, train

WORKERS = ("--num_data_workers", "2")


def closed_pipe(harness: Harness, place: Path, draw: random.Random) -> list[str]:
    """What reads the output ends, as `| head` does: training continues."""
    oracle = harness.oracle()
    place.mkdir()
    pipe = place / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    harness.launcher.start(train(place), place, streams=[str(pipe)] * draw.choice([1, 2]))
    time.sleep(draw.uniform(0, 1) * harness.seconds)
    os.close(reader)
    status = harness.launcher.end()
    if status != 0:
        return [f"exit status {status}: {harness.launcher.error}"]
    return harness.noise() + differences(collect(runs(place)[-1]), oracle)


def limited(harness: Harness, place: Path, draw: random.Random, name: str, low: int, high: int) -> list[str]:
    """Few open files, small files or little memory: an error in one line or none, and a resumed run is complete."""
    more = draw.choice([(), WORKERS])
    harness.oracle(*more)
    harness.attempts += 1
    harness.launcher.start(train(place, *more), place, limits={name: draw.randint(low, high)})
    status, said = harness.launcher.end(), harness.launcher.error
    wrong = harness.noise()
    # A C library that finds no memory ends the process, as the kernel does.
    ended = name == "AS" and (
        status in (-signal.SIGABRT, -signal.SIGSEGV) or (status == 127 and "thread-local data: ABORT" in said)
    )
    if status not in (0, 2) and not ended or (status == 2 and errors(said) != 1):
        wrong.append(f"exit status {status}: {said}")
    return wrong + harness.finish(place, *more, samples="present+")


def stopped_for_a_while(harness: Harness, place: Path, draw: random.Random) -> list[str]:
    """SIGSTOP, some seconds later SIGCONT: a laptop that sleeps."""
    oracle = harness.oracle()
    harness.launcher.start(train(place), place)
    session = harness.launcher.pid
    time.sleep(draw.uniform(0, 1) * harness.seconds)
    for number in (signal.SIGSTOP, signal.SIGCONT):
        with suppress(ProcessLookupError):
            os.kill(session, number)
        time.sleep(1)
    status = harness.launcher.end()
    if status != 0:
        return [f"exit status {status}: {harness.launcher.error}"]
    return harness.noise() + differences(collect(runs(place)[-1]), oracle)


def removed_run(harness: Harness, place: Path, draw: random.Random) -> list[str]:
    """Somebody removes the run's folder while it trains: one line, or the folder is written again."""
    harness.oracle()
    harness.launcher.start(train(place), place)
    time.sleep(draw.uniform(0, 1) * harness.seconds)
    for folder in place.glob("results/*"):
        shutil.rmtree(folder, ignore_errors=True)
    status, said = harness.launcher.end(), harness.launcher.error
    if status not in (0, 2) or (status == 2 and errors(said) != 1):
        return [f"exit status {status}: {said}", *harness.noise()]
    return harness.noise()


def torn_texts(harness: Harness, place: Path, draw: random.Random) -> list[str]:
    """A run is killed, and what it appended last is zeros or cut, as after a power cut."""
    harness.oracle()
    number = draw.randrange(harness.counts["rename"] // 2, harness.counts["rename"] - 2)
    wrong = harness.killed(place, signal.SIGKILL, fault={"kind": "rename", "number": number, "action": -9})
    for path in [*place.glob("results/*/*.jsonl"), *place.glob("results/*/log.txt")]:
        path.write_bytes(path.read_bytes() + draw.choice([bytes(50), b'{"nimg": 1', b"\xff\xfe\n[1]\n3\n"]))
    return wrong + harness.finish(place)


def broken_prepare(harness: Harness, place: Path, draw: random.Random, action: int) -> list[str]:
    """A prepared file is written, by `pggan prepare` or --save_dataset, and a file operation fails or kills."""
    images = photos(harness)
    ways = {
        "prepare": lambda path: ["prepare", str(images), str(path), "--size", "16", "--resize", "crop"],
        "save_dataset": lambda path: [*train(path.parents[1]), "--save_dataset", str(path)],
    }
    way = draw.choice(list(ways))
    key = f"prepare {way}"
    if key not in harness.extra:
        oracle = harness.folder / key / "results" / "a.h5"
        oracle.parent.mkdir(parents=True)
        harness.launcher.start(ways[way](oracle), oracle.parents[1])
        if harness.launcher.end() != 0:
            return [f"the uninterrupted one: {harness.launcher.error}"]
        harness.extra[key] = oracle.read_bytes(), harness.launcher.counts
    content, counts = harness.extra[key]
    path = place / "results" / "a.h5"
    path.parent.mkdir(parents=True)
    kind = draw.choice([name for name in counts if counts[name]])
    fault = {"kind": kind, "number": draw.randrange(counts[kind]), "action": action, "repeat": draw.choice([1, 100])}
    harness.attempts += 1
    harness.launcher.start(ways[way](path), place, fault=fault)
    status, said = harness.launcher.end(), harness.launcher.error
    wrong = harness.noise()
    allowed = (0, -signal.SIGKILL) if action < 0 else (0, 2)
    if status not in allowed or (status == 2 and errors(said) != 1):
        wrong.append(f"{way}, {fault}: exit status {status}: {said}")
    if path.exists() and path.read_bytes() != content:
        wrong.append(f"{way}, {fault}: the file is another one")
    if not path.exists() or (way == "save_dataset" and status != 0):
        harness.launcher.start(train(place) if path.exists() else ways[way](path), place)
        if harness.launcher.end() != 0:
            wrong.append(f"{way} again, after {fault}: {harness.launcher.error}")
        elif path.read_bytes() != content:
            wrong.append(f"{way} again, after {fault}: the file is another one")
    # A run that was killed before its first checkpoint is not resumed: its folder stays unchanged.
    left = [str(each) for each in path.parent.glob(".*.tmp")] + [
        each for run in runs(place)[-1:] for each in litter(run)
    ]
    return wrong + [f"{way}, {fault}: {each} is left" for each in left]


def photos(harness: Harness) -> Path:
    """A folder with a dozen images."""
    from PIL import Image

    data = harness.folder / "photos"
    if not data.exists():
        data.mkdir()
        for number in range(12):
            Image.frombytes("RGB", (16, 16), random.Random(number).randbytes(768)).save(data / f"{number}.png")
    return data


def small_shm(harness: Harness, place: Path, draw: random.Random) -> list[str]:
    """A /dev/shm of 4 kB, with data workers. Needs root."""
    oracle = harness.oracle(*WORKERS)
    inside = Launcher(None, namespace=True)
    try:
        inside.shell("mount -t tmpfs -o size=4k tmpfs /dev/shm")
        inside.start(train(place, *WORKERS), place)
        status = inside.end()
        if status != 0:
            return [f"exit status {status}: {inside.error}"]
        return differences(collect(runs(place)[-1]), oracle)
    finally:
        inside.close()


def lost_rank(harness: Harness, place: Path, draw: random.Random) -> list[str]:
    """One of two ranks is killed: the other ends, and both resume from the last checkpoint."""
    others = [Launcher(None)]
    try:
        if "ranks" not in harness.extra:
            oracle = harness.folder / "oracle of ranks"
            began = time.monotonic()
            status, said = _ranks(harness, others[0], oracle)
            if status != [0, 0]:
                return [f"the uninterrupted run: {status}: {said}"]
            harness.extra["ranks"] = collect(runs(oracle)[-1]), time.monotonic() - began
        expected, seconds = harness.extra["ranks"]
        victim = draw.randrange(2)
        status, said = _ranks(harness, others[0], place, lambda: (victim, draw.uniform(0.3, 1) * seconds))
        wrong = [] if status[victim] in (0, -signal.SIGKILL) else [f"the victim: {status}"]
        if status[victim] and status[1 - victim] not in (0, 1, 2, 143):
            wrong.append(f"the other rank: {status}: {said}")
        status, said = _ranks(harness, others[0], place)
        if status != [0, 0]:
            return [*wrong, f"resumed: {status}: {said}"]
        return wrong + differences(collect(runs(place)[-1]), expected)
    finally:
        others[0].close()


def _ranks(
    harness: Harness, second: Launcher, place: Path, kill: Callable[[], tuple[int, float]] | None = None
) -> tuple[list[int], str]:
    """Exit statuses of two ranks, and what they wrote; one of them may be killed."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
    words = train(place)
    launchers = [harness.launcher, second]
    for rank, launcher in enumerate(launchers):
        environment = {**common, "RANK": str(rank), "LOCAL_RANK": str(rank)}
        said = place if rank == 0 else place / "second"
        launcher.start(words, said, environment=environment, watched="/nowhere")
    if kill is not None:
        victim, delay = kill()
        time.sleep(delay)
        with suppress(ProcessLookupError):
            os.kill(launchers[victim].pid, signal.SIGKILL)
    status, hung = [], []
    for launcher in launchers:
        try:
            status.append(launcher.end(120))
        except HungError as error:
            hung.append(error)
    if hung:
        raise hung[0]
    return status, "".join(launcher.error for launcher in launchers)
