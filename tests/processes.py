"""``pggan`` in separate processes, all forked from one that has imported what takes seconds.

Each is a process like any other, with its own signals, exit status, output and environment. What a start from the shell
does besides, tests/cli/test_runs.py and the tests with torchrun see.
"""

from __future__ import annotations

import multiprocessing as mp
import os
import socket
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pggan_framework.config.discovery import index

COMMON = ["pytest", "hypothesis", "pggan_framework.cli.train", "pggan_framework.launch.start", "torch._dynamo"]


def forking() -> Any:
    """A context for `torch.multiprocessing` and others, whose processes begin with all components imported."""
    context = mp.get_context("forkserver")
    context.set_forkserver_preload([*COMMON, *dict.fromkeys(entry.module for entry in index())])
    return context


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


class Command:
    """``pggan WORDS``, running in a process.

    Args:
        words: of the command line, after ``pggan``.
        folder: to run in.
        environment: further variables.
    """

    def __init__(self, words: Sequence[str], folder: Path, **environment: str) -> None:
        self._said = TemporaryDirectory(prefix="said-")
        self.process = forking().Process(target=_run, args=(list(words), str(folder), environment, self._said.name))
        self.process.start()

    def end(self, seconds: float = 200) -> int:
        """Wait for the exit status; what has not ended by then is killed."""
        self.process.join(seconds)
        self.process.kill()
        self.process.join()
        return self.status

    @property
    def status(self) -> int:
        """The exit status."""
        status: int = self.process.exitcode
        return status

    @property
    def out(self) -> str:
        """What it has written so far."""
        return Path(self._said.name, "1").read_text()

    @property
    def error(self) -> str:
        """What it has written to stderr so far."""
        return Path(self._said.name, "2").read_text()


def _run(words: list[str], folder: str, environment: dict[str, str], said: str) -> None:
    os.environ.update(environment)
    os.chdir(folder)
    for number in (1, 2):
        descriptor = os.open(os.path.join(said, str(number)), os.O_WRONLY | os.O_CREAT)
        os.dup2(descriptor, number)
        os.close(descriptor)
    import_module("torch").set_num_threads(1)
    sys.exit(import_module("pggan_framework.cli.main").main(words))


def ranks(words: Sequence[str], size: int, folder: Path) -> list[Command]:
    """The same command in several processes of one machine that work together, as torchrun starts them; all ended."""
    here = [{"LOCAL_RANK": rank, "LOCAL_WORLD_SIZE": size} for rank in range(size)]
    return _together(words, [folder] * size, here)


def on_machines(words: Sequence[str], folders: Sequence[Path]) -> list[Command]:
    """The same command on several machines, a process and a folder each; all ended."""
    return _together(words, folders, [{"LOCAL_RANK": 0, "LOCAL_WORLD_SIZE": 1} for _ in folders])


def _together(words: Sequence[str], folders: Sequence[Path], places: Sequence[dict[str, int]]) -> list[Command]:
    common = {"WORLD_SIZE": len(folders), "MASTER_PORT": free_port()}
    commands = []
    for rank, (folder, place) in enumerate(zip(folders, places, strict=True)):
        environment = {name: str(value) for name, value in {**common, **place, "RANK": rank}.items()}
        commands.append(Command(words, folder, **environment, MASTER_ADDR="127.0.0.1"))
    for command in commands:
        command.end()
    return commands
