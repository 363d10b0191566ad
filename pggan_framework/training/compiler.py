"""torch.compile for the graphs of updates, and what it cost on this machine before."""

from __future__ import annotations

import importlib
import importlib.util
import json
import re
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from pggan_framework.cpu import native
from pggan_framework.storage.atomic import atomic_path

if TYPE_CHECKING:
    from torch.fx import GraphModule


def has_compiler(device: torch.device) -> bool:
    """Whether there is what torch.compile needs: a C++ compiler for a CPU, Triton for a GPU."""
    if device.type == "cuda":
        return importlib.util.find_spec("triton") is not None
    return native.compiler() is not None


def compiler(device: torch.device) -> Callable[[GraphModule], Callable[..., Sequence[Tensor]]]:
    """What turns a graph into a function: torch.compile, with CUDA graphs on a GPU."""
    # Random numbers as in eager mode, so that the two can be compared.
    options: dict[str, Any] = {"fallback_random": True, "triton.cudagraphs": device.type == "cuda"}
    return partial(_Compiled, options)


class _Compiled:
    """A graph as compiled code.

    Args:
        options: inductor's.
        graph: the graph.
    """

    def __init__(self, options: dict[str, Any], graph: GraphModule) -> None:
        self._compile: Callable[[], Callable[..., Sequence[Tensor]]] = partial(
            torch.compile, graph, dynamic=False, options=options
        )
        self._function: Callable[..., Sequence[Tensor]] = self._compile()
        self._ran = False

    def __call__(self, *inputs: Tensor) -> Sequence[Tensor]:
        found: Sequence[Tensor]
        try:
            found = self._function(*inputs)
        except Exception as error:
            if self._ran or not mend(error):
                raise
            self._function = self._compile()
            found = self._function(*inputs)
        self._ran = True
        return found


def _cache() -> Path:
    """The folder where torch keeps compiled code between runs."""
    return Path(importlib.import_module("torch._inductor.codecache").cache_dir())


def mend(error: Exception) -> bool:
    """Delete half-written code from torch's cache, which a program that was killed while compiling leaves there.

    Returns:
        Whether the error was that such code cannot be loaded; then another try makes it anew.
    """
    named = re.search(r"(/\S+\.so): (?:file too short|invalid ELF|cannot read)", str(error))
    if named is None or not Path(named[1]).is_file() or not Path(named[1]).is_relative_to(_cache()):
        return False
    Path(named[1]).unlink()
    return True


class Record:
    """What compiling cost and saved on this machine before; it lies with torch's own cache of compiled code.

    Args:
        path: the file; it need not exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def of_this_machine(cls) -> Record:
        """The one in torch's cache folder, so that both are lost together."""
        return cls(_cache() / "pggan_framework.json")

    def _all(self) -> dict[str, dict[str, float]]:
        try:
            found = json.loads(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def of(self, phase: str) -> tuple[float, float] | None:
        """Seconds to compile it, and the share of the time that was saved; None where it was never compiled."""
        entry = self._all().get(phase)
        return None if entry is None else (entry["seconds"], entry["saved"])

    def add(self, phase: str, seconds: float, saved: float) -> None:
        """Remember a phase; a folder that cannot be written to is none of a training's business."""
        entries = {**self._all(), phase: {"seconds": seconds, "saved": saved}}
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_path(self.path) as temporary:
                temporary.write_text(json.dumps(entries), encoding="utf-8")
        except OSError:
            return
