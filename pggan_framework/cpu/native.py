"""Compile and load the C++ code of ``winograd.cpp``: once per machine, for its processor.

Linux only. PyTorch's operations replace code that cannot be compiled or loaded.
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
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from pggan_framework.storage.atomic import atomic_path

SOURCE = Path(__file__).with_name("winograd.cpp")
NUMBERS = {torch.float32: "float", torch.float64: "double"}
FLAGS = ("-O3", "-ffp-contract=fast", "-fno-math-errno", "-std=c++17", "-fPIC", "-shared", "-fopenmp")
PROCESSORS = {"AVX2": ("-mavx2", "-mfma"), "AVX512": ("-mavx2", "-mfma", "-mavx512f")}
"""Compiler flags of supported processors, by PyTorch's name for their instruction set."""

_DAY = 24 * 60 * 60


def processor() -> str:
    """The member of `PROCESSORS` that matches this processor, or an empty string."""
    found = torch.backends.cpu.get_cpu_capability()
    return next((name for name in PROCESSORS if sys.platform == "linux" and found.startswith(name)), "")


def model(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """The name that the processor reports, which distinguishes machines with a common home folder; empty if unknown."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def on_trial() -> bool:
    """True if there are no measurements for this processor, so that a trial is needed."""
    return processor() != "AVX2"


def compiler() -> str | None:
    """The path of the C++ compiler."""
    names = [os.environ.get("CXX", ""), "g++", "clang++"]
    return next((found for name in names if name and (found := shutil.which(name))), None)


def folder() -> Path:
    """The folder of compiled code, next to the folder of PyTorch's own extensions.

    Raises:
        OSError: if there is no home folder.
    """
    kept = os.environ.get("TORCH_EXTENSIONS_DIR")
    try:
        return (Path(kept) if kept else Path.home() / ".cache" / "torch_extensions") / "pggan_framework"
    except RuntimeError as error:
        raise OSError("there is no home folder to store compiled code in") from error


def _flags() -> tuple[str, ...]:
    return *FLAGS, *PROCESSORS[processor()]


def file(number: torch.dtype) -> Path:
    """The file of compiled code for this dtype; it need not exist.

    Raises:
        OSError: if there is no folder for the file.
    """
    key = hashlib.sha256(SOURCE.read_bytes() + repr((_flags(), compiler())).encode()).hexdigest()[:16]
    return folder() / f"winograd_{NUMBERS[number]}_{key}.so"


def exists(number: torch.dtype) -> bool:
    """True if the code has been compiled on this machine before."""
    try:
        return bool(processor()) and file(number).exists()
    except OSError:
        return False


def code(number: torch.dtype) -> Any:
    """The functions for float32 or float64, compiled if needed; None if they are unavailable."""
    return _library(number)[0]


def problem(number: torch.dtype) -> str:
    """The reason why the functions are unavailable, to complete "because ..."; empty if they are available."""
    return _library(number)[1]


@lru_cache(maxsize=2)
def _library(number: torch.dtype) -> tuple[Any, str]:
    if not processor():
        return None, "they are for Linux on CPUs with AVX2 only"
    found = compiler()
    try:
        path = file(number)
        if not path.exists():
            if found is None:
                return None, "there is no C++ compiler for quicker ones"
            build(path, [found, *_flags(), f"-DNUMBER={NUMBERS[number]}", str(SOURCE)])
    except subprocess.SubprocessError:
        return None, "compiling quicker ones failed"
    except OSError as error:
        return None, f"quicker ones cannot be compiled or kept ({error})"
    try:
        library = ctypes.CDLL(str(path))
        pointer = ctypes.c_void_p
        library.convolve.argtypes = [ctypes.c_int] + [pointer] * 6 + [ctypes.c_double, ctypes.c_long, ctypes.c_int]
        library.weights.argtypes = [ctypes.c_int] + [pointer] * 5 + [ctypes.c_long, ctypes.c_int]
        library.normalize.argtypes = [pointer] * 3 + [ctypes.c_long] * 2 + [ctypes.c_double, ctypes.c_int]
        library.normalize_backward.argtypes = [pointer] * 4 + [ctypes.c_long] * 2 + [ctypes.c_int]
        for function in (library.convolve, library.weights, library.normalize, library.normalize_backward):
            function.restype = None
    except (OSError, AttributeError):
        return None, f"{path} cannot be loaded; delete it to have it compiled anew"
    return library, ""


def build(path: Path, command: list[str]) -> None:
    """Compile a shared library into a file, unless the file exists by then or compilation failed within the last day.

    Args:
        path: file of the library.
        command: the compiler, its flags and the source.

    Raises:
        OSError, subprocess.SubprocessError: if compilation fails.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    failed = path.with_suffix(".failed")
    with _alone(path):
        if path.exists():
            return
        if failed.exists() and time.time() - failed.stat().st_mtime < _DAY:
            raise subprocess.SubprocessError(f"{path.name} could not be compiled before")
        try:
            with atomic_path(path) as temporary:
                made = [*command, "-o", str(temporary)]
                subprocess.run(made, check=True, capture_output=True, timeout=300)
        except (OSError, subprocess.SubprocessError):
            failed.touch()
            raise


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """If many processes start together, one compiles the file and the others wait for it."""
    import fcntl  # not on every system

    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def passed(number: torch.dtype, trial: Callable[[], bool]) -> bool:
    """The result of a trial on this type of CPU; the trial runs once, and its result is stored next to the code.

    Args:
        number: dtype of the code.
        trial: function that returns True if the code is correct and faster than the library.
    """
    try:
        path = file(number)
        kind = hashlib.sha256(model().encode()).hexdigest()[:8]
        path = path.with_name(f"{path.stem}_{kind}.trial")
        with _alone(path):
            if not path.exists():
                found = trial()
                with atomic_path(path) as temporary:
                    temporary.write_text("passed" if found else "failed", encoding="ascii")
            return path.read_text(encoding="ascii", errors="replace") == "passed"
    except OSError:
        return trial()  # a folder that cannot be written to: the next process will try again
