"""The general flag ``compile``: which phases of a run are compiled."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from math import inf, isfinite
from typing import Literal

import torch

from pggan_framework.losses.base import Loss
from pggan_framework.training.compiler import compiler, has_compiler
from pggan_framework.training.graphs import Captures, obstacle
from pggan_framework.training.step import GradientSource, backward

CompileMode = Literal["auto", "never", "always"]
Phase = tuple[int, bool]
"""A phase: its depth, and True if the depth is fading in."""

AUTO_STEPS, AUTO_SECONDS = 10_000, 1800.0
"""``auto`` compiles phases of at least this many steps, or of at least this many seconds if a clock ends the phase or
the run. Compiling both updates takes 30 to 120 s and saves 5 % of the time with large networks, and more with small
networks. Phases of this length saved time in every measurement of docs/explanation/performance.md.
"""


def seconds_to_compile(depth: int) -> float:
    """Return the approximate time in seconds to compile both updates; measured from 4 to 128 px on a CPU."""
    return 60.0 + 20.0 * depth


def gradient_source(
    mode: CompileMode,
    loss: Loss,
    device: torch.device,
    steps: Mapping[Phase, float],
    seconds: Mapping[Phase, float],
    seconds_left: Callable[[], float] = lambda: inf,
    augmented: bool = False,
    say: Callable[[str], None] = lambda text: None,
    ranks: int = 1,
) -> GradientSource:
    """Return the gradient computation of a run: compiled graphs in the phases that `mode` selects, else eager autograd.

    The choice depends on the plan of the complete run and not on where it starts, so a resumed run computes the same
    results as an uninterrupted run.

    Args:
        mode: never, always, or auto (see `AUTO_STEPS`).
        loss: loss of the networks.
        device: device of the networks.
        steps: number of steps of each phase of the run, for phases measured in images.
        seconds: number of seconds of each phase, for phases that a clock ends.
        seconds_left: number of seconds until a clock ends the run; phases with too little time left are not compiled.
        augmented: True if images are augmented at random, which graphs do not support.
        say: function that receives a message for each new graph, or the reason if nothing is compiled.
        ranks: number of ranks. With `mode` auto, a single rank drops a graph that is slower than eager autograd;
            several ranks would first have to agree.
    """
    long = {phase for phase, count in steps.items() if count >= AUTO_STEPS}
    long |= {phase for phase, length in seconds.items() if length >= AUTO_SECONDS}
    if mode == "never" or (mode == "auto" and not long):
        return backward
    reason = obstacle(loss) or ("the images are augmented at random" if augmented else "")
    reason = reason or ("" if has_compiler(device) else "there is no C++ compiler, or no Triton")
    if reason:
        say(f"compile {mode}: not used, because {reason}")
        return backward

    def worth(depth: int, fading: bool) -> bool:
        left, cost = seconds_left(), seconds_to_compile(depth)
        if mode == "auto":
            return (depth, fading) in long and left >= AUTO_SECONDS
        if isfinite(left) and left < cost:
            cannot = f"depth {depth} is not compiled, which takes about {cost:.0f} s: {max(left, 0):.0f} s are left"
            say(f"compile always: {cannot}")
        return left >= cost

    clock = partial(_now, device) if mode == "auto" and ranks == 1 else None
    return Captures(compiler(device), say, worth, say, clock=clock)


def _now(device: torch.device) -> float:
    """Return the time in seconds after pending work on `device` has finished."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
