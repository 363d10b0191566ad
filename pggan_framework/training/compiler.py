"""torch.compile for the graphs of updates."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from pggan_framework.cpu import native
from pggan_framework.networks.torch_private import compiled_code

if TYPE_CHECKING:
    from torch.fx import GraphModule


def has_compiler(device: torch.device) -> bool:
    """True if the requirements of torch.compile are installed: a C++ compiler for a CPU, Triton for a GPU."""
    if device.type == "mps":
        return False
    if device.type == "cuda":
        return importlib.util.find_spec("triton") is not None
    return native.compiler() is not None


def compiler(device: torch.device) -> Callable[[GraphModule], Callable[..., Sequence[Tensor]]]:
    """Return the function that compiles a graph: torch.compile, with CUDA graphs on a GPU."""
    # Draw the same random numbers as in eager mode, so that results can be compared.
    options: dict[str, Any] = {"fallback_random": True, "triton.cudagraphs": device.type == "cuda"}
    return partial(_Compiled, options)


class _Compiled:
    """A graph as compiled code.

    Args:
        options: options of inductor.
        graph: graph to compile.
    """

    def __init__(self, options: dict[str, Any], graph: GraphModule) -> None:
        self._compile: Callable[[], Callable[..., Sequence[Tensor]]] = partial(
            torch.compile, graph, dynamic=False, options=options
        )
        self._function: Callable[..., Sequence[Tensor]] = self._compile()
        self._ran = False
        self.overwrites = bool(options["triton.cudagraphs"])
        """True if each call overwrites the results of the previous call."""

    def __call__(self, *inputs: Tensor) -> Sequence[Tensor]:
        found: Sequence[Tensor]
        try:
            found = self._function(*inputs)
        except Exception as error:
            if self._ran or not fix(error):
                raise
            self._function = self._compile()
            found = self._function(*inputs)
        self._ran = True
        return found


def fix(error: Exception) -> bool:
    """Delete partially written code from torch's cache, which a program left there when it was killed while compiling.

    Returns:
        True if partially written code caused the error; a retry then compiles it again.
    """
    named = re.search(r"(/\S+\.so): (?:file too short|invalid ELF|cannot read)", str(error))
    cache = compiled_code()
    if named is None or cache is None or not Path(named[1]).is_file() or not Path(named[1]).is_relative_to(cache):
        return False
    Path(named[1]).unlink()
    return True
