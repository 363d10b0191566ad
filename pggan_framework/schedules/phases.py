"""The PGGAN paper's plan: each depth fades in over F images and is then trained on T images (Karras et al. 2018)."""

from __future__ import annotations

from collections.abc import Mapping

from pggan_framework.schedules.growth import by_depth
from pggan_framework.schedules.plan import Plan, Stage, linear_fade


def phases(
    max_depth: int,
    stable: float,
    transition: float,
    stable_overrides: Mapping[int, float] | None = None,
    transition_overrides: Mapping[int, float] | None = None,
) -> Plan:
    """Grow one depth after another: fade in the new block, then train with it (Karras et al. 2018, section 2).

    Depth d fades in over F[d] images and is then stable for T[d] images; depth 0 has no fade, the last depth has no
    end.

    Args:
        max_depth: index of the deepest block.
        stable: T, images per depth after its transition; 0 is allowed.
        transition: F, images over which a new depth fades in; 0 is allowed.
        stable_overrides: values of T that apply from a depth on.
        transition_overrides: values of F that apply from a depth on.

    Raises:
        ValueError: if a length is negative.
    """
    stages = []
    for depth in range(max_depth + 1):
        fade = 0 if depth == 0 else by_depth(transition_overrides or {}, transition, depth)
        length = by_depth(stable_overrides or {}, stable, depth)
        if fade < 0 or length < 0:
            raise ValueError(f"a length in images is negative: {length}, {fade}")
        stages.append(Stage(fade + length, linear_fade(fade)))
    return Plan(stages)
