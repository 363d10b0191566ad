"""The C++ code of ``winograd.cpp``: compiled once on a machine, for its processor, and kept.

Linux only. What cannot be compiled, or is not quicker than the library, is done without.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from pggan_framework.storage.atomic import atomic_path

SOURCE = Path(__file__).with_name("winograd.cpp")
NUMBERS = {torch.float32: "float", torch.float64: "double"}
FLAGS = ("-O3", "-ffp-contract=fast", "-fno-math-errno", "-std=c++17", "-fPIC", "-shared", "-fopenmp")
PROCESSORS = {"AVX2": ("-mavx2", "-mfma"), "AVX512": ("-mavx2", "-mfma", "-mavx512f")}
"""Flags for the processors that it is for, by what PyTorch calls them."""

_DAY = 24 * 60 * 60


def processor() -> str:
    """Which of `PROCESSORS` this is, or an empty string."""
    found = torch.backends.cpu.get_cpu_capability()
    return next((name for name in PROCESSORS if sys.platform == "linux" and found.startswith(name)), "")


def on_trial() -> bool:
    """Whether this is a processor on which nobody has measured how quick it is, so that it has to be tried."""
    return processor() != "AVX2"


def compiler() -> str | None:
    """The C++ compiler, by its path."""
    names = [os.environ.get("CXX", ""), "g++", "clang++"]
    return next((found for name in names if name and (found := shutil.which(name))), None)


def folder() -> Path:
    """Where compiled code is kept, beside that of PyTorch's own extensions."""
    kept = os.environ.get("TORCH_EXTENSIONS_DIR")
    return (Path(kept) if kept else Path.home() / ".cache" / "torch_extensions") / "pggan_framework"


def _flags() -> tuple[str, ...]:
    return *FLAGS, *PROCESSORS[processor()]


def file(number: torch.dtype) -> Path:
    """The compiled code for numbers of this type; it need not exist."""
    key = hashlib.sha256(SOURCE.read_bytes() + repr((_flags(), compiler())).encode()).hexdigest()[:16]
    return folder() / f"winograd_{NUMBERS[number]}_{key}.so"


def code(number: torch.dtype) -> Any:
    """The functions for float32 or float64, which are compiled if they are not there; None where they cannot be had."""
    if not processor():
        return None
    found, path = compiler(), file(number)
    try:
        if not path.exists() and found:
            build(path, [found, *_flags(), f"-DNUMBER={NUMBERS[number]}", str(SOURCE)])
        return ctypes.CDLL(str(path)) if path.exists() else None
    except (OSError, subprocess.SubprocessError):
        return None


def build(path: Path, command: list[str]) -> None:
    """Compile a shared library into a file, unless it is there by then, or that failed within the last day.

    Args:
        path: the file.
        command: the compiler, its flags and the source.

    Raises:
        OSError, subprocess.SubprocessError: if it cannot be made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    failed = path.with_suffix(".failed")
    with _alone(path):
        if path.exists():
            return
        if failed.exists() and time.time() - failed.stat().st_mtime < _DAY:
            raise OSError(f"{path.name} could not be compiled before")
        try:
            with atomic_path(path) as temporary:
                made = [*command, "-o", str(temporary)]
                subprocess.run(made, check=True, capture_output=True, timeout=300)
        except (OSError, subprocess.SubprocessError):
            failed.touch()
            raise


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Of many processes that begin together, one makes the file and the others wait for it."""
    import fcntl  # not on every system

    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def passed(number: torch.dtype, trial: Callable[[], bool]) -> bool:
    """What a trial has found on this machine; it takes place once and is kept beside the code.

    Args:
        number: what the code is for.
        trial: whether the code is right and quicker than the library.
    """
    path = file(number).with_suffix(".trial")
    try:
        with _alone(path):
            if not path.exists():
                found = trial()
                with atomic_path(path) as temporary:
                    temporary.write_text("passed" if found else "failed", encoding="ascii")
            return path.read_text(encoding="ascii") == "passed"
    except OSError:
        return trial()  # a folder that cannot be written to: the next process will try again
