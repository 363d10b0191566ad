"""The general flag ``compile``: which phases of a run are compiled."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import inf, isfinite
from typing import Literal

import torch

from pggan_framework.losses.base import Loss
from pggan_framework.training.compiler import compiler, has_compiler
from pggan_framework.training.graphs import Captures, obstacle
from pggan_framework.training.step import GradientSource, backward

Wish = Literal["auto", "never", "always"]
Phase = tuple[int, bool]
"""A depth, and whether it is fading in."""

AUTO_STEPS, AUTO_SECONDS = 10_000, 1800.0
"""``auto`` compiles a phase of so many steps or more; where a clock ends it or the run, one of so many seconds or more.

Compiling both updates takes 30 to 120 s, and brings 5 % of the time with large networks and more with small ones: after
so many steps, or so long, it has paid in every measurement of docs/explanation/performance.md."""


def seconds_to_compile(depth: int) -> float:
    """Approximate time to compile both updates; measured from 4 to 128 px on a CPU."""
    return 60.0 + 20.0 * depth


def gradient_source(
    wish: Wish,
    loss: Loss,
    device: torch.device,
    steps: Mapping[Phase, float],
    seconds: Mapping[Phase, float],
    seconds_left: Callable[[], float] = lambda: inf,
    augmented: bool = False,
    say: Callable[[str], None] = lambda text: None,
) -> GradientSource:
    """The gradient computation of a run: compiled graphs in the phases that `wish` names, else eager autograd.

    The choice follows from the whole run's plan, wherever it begins, so that a resumed run computes as it would have
    without a break.

    Args:
        wish: never; always; auto: see `AUTO_STEPS`.
        loss: what the networks minimise.
        device: where they are.
        steps: of each phase of the run, where it is measured in images.
        seconds: of each phase, where a clock ends it.
        seconds_left: until a clock ends the run: no phase is compiled for which too little is left.
        augmented: whether images are augmented at random, which no graph holds.
        say: receives why nothing is compiled, and each new graph.
    """
    long = {phase for phase, count in steps.items() if count >= AUTO_STEPS}
    long |= {phase for phase, length in seconds.items() if length >= AUTO_SECONDS}
    if wish == "never" or (wish == "auto" and not long):
        return backward
    reason = obstacle(loss) or ("the images are augmented at random" if augmented else "")
    reason = reason or ("" if has_compiler(device) else "there is no C++ compiler, or no Triton")
    if reason:
        say(f"compile {wish}: not used, because {reason}")
        return backward

    def worth(depth: int, fading: bool) -> bool:
        left, cost = seconds_left(), seconds_to_compile(depth)
        if wish == "auto":
            return (depth, fading) in long and left >= AUTO_SECONDS
        if isfinite(left) and left < cost:
            cannot = f"depth {depth} is not compiled, which takes about {cost:.0f} s: {max(left, 0):.0f} s are left"
            say(f"compile always: {cannot}")
        return left >= cost

    return Captures(compiler(device), say, worth, say)
