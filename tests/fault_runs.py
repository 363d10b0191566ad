"""Runs that are broken on purpose, and the uninterrupted run that each must equal bit for bit in the end."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

FAULTS = Path(__file__).parent / "faults"
LIMIT = 600.0
"""Seconds after which a run counts as hung; a whole one takes two on an idle core."""
CLOCKS = {"time", "sec.tick", "sec.kimg", "ms.data", "ms.saving"}
_FLAGS = """
--dataset_class TonesDataset --TonesDataset.count 20 --Generator.fmap_base 32 --Generator.fmap_max 4
--Generator.latent_size 4 --Discriminator.fmap_base 32 --Discriminator.fmap_max 4 --minibatch_size 8
--total_kimg 0.096 --DepthManager.lod_training_nimg 24 --DepthManager.lod_transition_nimg 24
--DepthManager.tick_kimg_default 0.024 --DepthManager.tick_kimg_overrides {} --ImageSaver.resolution 32
--ImageSaver.axes False --SoundSaver.griffin_lim_iter 1 --OutputGenerator.output_snapshot_ticks 1
--OutputGenerator.samples_count 2 --SaverPlugin.network_snapshot_ticks 1 --QualityMonitor.every_ticks 0
--HTMLReport.write False --loggers [JSONLLogger] --compile never --exp_name x
"""
FLAGS = _FLAGS.split()
"""12 steps of 8 images in 4 ticks, over two changes of depth; samples, sounds and a checkpoint at each tick."""


class HungError(AssertionError):
    """A run did not end."""


def build_shim(folder: Path) -> Path | None:
    """The compiled file layer of faults/shim.c; None where there is no compiler."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None or sys.platform != "linux":
        return None
    path = folder / "shim.so"
    words = [compiler, "-shared", "-fPIC", "-O1", str(FAULTS / "shim.c"), "-o", str(path), "-ldl"]
    return path if subprocess.run(words, check=False, capture_output=True).returncode == 0 else None


class Launcher:
    """A process that starts runs by forking; see faults/launcher.py.

    Args:
        shim: the file layer it is started with.
        namespace: use a separate mount namespace, which needs root.
    """

    def __init__(self, shim: Path | None, namespace: bool = False) -> None:
        words = [sys.executable, str(FAULTS / "launcher.py")]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PGGAN_CACHE": ""}
        if shim is not None:
            environment["LD_PRELOAD"] = str(shim)
        words = ["unshare", "-m", *words] if namespace else words
        self._process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, start_new_session=True
        )
        self.pid = 0

    def start(self, words: Sequence[str], folder: Path, **order: Any) -> None:
        """Start ``pggan WORDS`` in `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        said = folder / "said"
        said.mkdir(exist_ok=True)
        (said / "counts").unlink(missing_ok=True)
        common = {"words": list(words), "folder": str(folder), "out": str(said), "environment": {}}
        self._send({**common, "watched": str(folder / "results"), **order})
        self.pid = self._read(LIMIT)["pid"]  # the first one waits for all imports
        self._said = said

    def end(self, limit: float = LIMIT) -> int:
        """Wait for the exit status, negative for a signal.

        Raises:
            HungError: if it does not end.
        """
        answer = self._read(limit)
        status = os.waitstatus_to_exitcode(answer["status"])
        self.pid = 0
        return status

    def shell(self, line: str) -> None:
        """Run a line in the launcher's namespace."""
        self._send({"shell": line})
        answer = self._read(LIMIT)
        if answer["status"] != 0:
            raise RuntimeError(answer["said"])

    @property
    def error(self) -> str:
        """What the last run wrote to stderr."""
        return (self._said / "err").read_text(errors="replace")

    @property
    def counts(self) -> dict[str, int]:
        """How many calls of each kind the shim has seen, of a run that ended by itself."""
        found: dict[str, int] = json.loads((self._said / "counts").read_text())
        return found

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _send(self, order: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()

    def _read(self, limit: float) -> dict[str, Any]:
        assert self._process.stdout is not None
        if not select.select([self._process.stdout], [], [], limit)[0]:
            if self.pid:
                with suppress(ProcessLookupError):
                    os.kill(self.pid, signal.SIGKILL)
                self._process.stdout.readline()
            raise HungError(f"no answer within {limit:g} s")
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer


def train(folder: Path, *more: str) -> list[str]:
    """The words that start a run, or resume the one there is."""
    resume = ["--resume", str(runs(folder)[-1])] if any(folder.glob("results/*/*.pt")) else []
    return ["train", *FLAGS, "--result_dir", str(folder / "results"), *resume, *more]


def runs(folder: Path) -> list[Path]:
    """The run folders with a checkpoint, oldest first."""
    return sorted({path.parent for path in folder.glob("results/*/*.pt")})


@dataclass
class Result:
    """What is compared of a run."""

    state: dict[str, Any]
    stats: list[dict[str, Any]]
    samples: dict[str, bytes] = field(repr=False)


def collect(run: Path) -> Result:
    """Read a run's last checkpoint, ticks and samples."""
    last = max(run.glob("network-snapshot-*.pt"))
    state = torch.load(last, weights_only=True)
    lines = (run / "stats.jsonl").read_text().splitlines()
    stats = [{name: value for name, value in json.loads(line).items() if name not in CLOCKS} for line in lines]
    files = [path for path in run.rglob("*") if path.suffix in (".png", ".wav")]
    return Result(dict(_flat("", state)), stats, {str(path.relative_to(run)): path.read_bytes() for path in files})


def _flat(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, item in value.items():
            if name or key != "config":
                yield from _flat(f"{name}.{key}", item)
    elif isinstance(value, (list, tuple)):
        for place, item in enumerate(value):
            yield from _flat(f"{name}.{place}", item)
    elif not name.endswith(".seconds"):
        yield name, (str(value.dtype), value.numpy().tobytes()) if isinstance(value, torch.Tensor) else value


def differences(found: Result, oracle: Result, samples: str = "all") -> list[str]:
    """What differs from the oracle.

    Args:
        found: what a run has come to.
        oracle: what it must be.
        samples: "all" of the oracle's and no others, "present" where some could not be written, or "more" where a stop
            has written those of its moment too; "present+" for both.
    """
    wrong = [
        name for name in oracle.state.keys() | found.state.keys() if found.state.get(name) != oracle.state.get(name)
    ]
    wrong += [] if found.stats == oracle.stats else ["stats.jsonl"]
    names = oracle.samples.keys() & found.samples.keys() if "present" in samples else oracle.samples.keys()
    wrong += [name for name in names if found.samples.get(name) != oracle.samples[name]]
    new = set() if samples in ("more", "present+") else found.samples.keys() - oracle.samples.keys()
    return wrong + [f"{name} is new" for name in new]


def errors(said: str) -> int:
    """How many lines report an error; "Input/output error: '...'" within a warning is none."""
    return sum(line.startswith("error: ") for line in said.splitlines())


def litter(folder: Path) -> list[str]:
    """Temporary files that are left."""
    return [str(path) for path in folder.rglob("*.tmp")]


def orphans(session: int) -> list[int]:
    """Processes of a session, which must have ended with its leader."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = stat.read_text().rsplit(")", 1)[1].split()
            if int(fields[3]) == session and fields[0] != "Z":
                found.append(int(stat.parent.name))
    return found


class Harness:
    """Breaks runs in `folder` and scores what comes of them.

    Args:
        folder: for all files.
        launcher: starts the runs.
    """

    def __init__(self, folder: Path, launcher: Launcher) -> None:
        self.folder, self.launcher = folder, launcher
        self._oracles: dict[tuple[str, ...], Result] = {}
        self.counts: dict[str, int] = {}
        self.seconds = 0.0
        self.attempts = 0
        self.extra: dict[str, Any] = {}
        """Oracles of kinds that start their runs themselves."""

    def oracle(self, *more: str) -> Result:
        """The uninterrupted run, by its further flags."""
        if more not in self._oracles:
            place = self.folder / f"oracle{len(self._oracles)}"
            began = time.monotonic()
            self.launcher.start(train(place, *more), place)
            status = self.launcher.end()
            assert status == 0, self.launcher.error
            self.seconds = time.monotonic() - began
            self.counts = self.counts or self.launcher.counts
            self._oracles[more] = collect(runs(place)[-1])
        return self._oracles[more]

    def finish(self, place: Path, *more: str, samples: str = "all") -> list[str]:
        """Let a broken run resume until it ends; returns what is wrong in the end, [] where nothing is."""
        oracle = self.oracle(*more)
        self.attempts += 1
        self.launcher.start(train(place, *more), place)
        status = self.launcher.end()
        if status != 0:
            return [f"exit status {status}: {self.launcher.error}"]
        wrong = differences(collect(runs(place)[-1]), oracle, samples)
        return wrong + self.noise() + litter(runs(place)[-1])

    def noise(self) -> list[str]:
        """A traceback in what the last run has written."""
        return [self.launcher.error] if "Traceback" in self.launcher.error else []

    def killed(self, place: Path, number: int, *more: str, delay: float | None = None, **order: Any) -> list[str]:
        """Send a signal after `delay` seconds, or set a fault; then the run must have ended by it, or be complete."""
        self.oracle(*more)
        self.attempts += 1
        self.launcher.start(train(place, *more), place, **order)
        session = self.launcher.pid
        if delay is not None:
            time.sleep(delay)
            with suppress(ProcessLookupError):
                os.kill(session, number)
        status = self.launcher.end()
        expected = {0, 128 + number, -number} if number != signal.SIGKILL else {0, -signal.SIGKILL}
        wrong = [] if status in expected else [f"exit status {status} after signal {number}: {self.launcher.error}"]
        end = time.monotonic() + 20
        while orphans(session) and time.monotonic() < end:
            time.sleep(0.05)
        return wrong + [f"process {each} is left" for each in orphans(session)] + self.noise()

    def failing(self, place: Path, kind: str, number: int, error: int, repeat: int = 1) -> list[str]:
        """Let file operations fail: the run is complete all the same, or refused in one line before its first step."""
        oracle = self.oracle()
        fault = {"kind": kind, "number": number, "action": error, "repeat": repeat}
        self.launcher.start(train(place), place, fault=fault)
        status = self.launcher.end()
        said = self.launcher.error
        wrong = self.noise()
        if status == 0:
            return wrong + differences(collect(runs(place)[-1]), oracle, "present") + litter(runs(place)[-1])
        if status != 2 or errors(said) != 1:
            wrong.append(f"exit status {status}: {said}")
        return wrong + self.finish(place, samples="present")


@contextmanager
def harness(folder: Path, namespace: bool = False) -> Iterator[Harness]:
    """A harness with its launcher."""
    launcher = Launcher(build_shim(folder), namespace)
    try:
        yield Harness(folder, launcher)
    finally:
        launcher.close()
