"""Which of the processes that train together run on this machine, as torchrun says it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from pggan_framework.errors import UserError


@dataclass(frozen=True)
class Machine:
    """This machine's processes, by their numbers among all: neighbours, as torchrun numbers them.

    Args:
        processes: those here.
        world: how many there are on all machines.
    """

    processes: range
    world: int

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Machine:
        """What RANK, LOCAL_RANK, LOCAL_WORLD_SIZE and WORLD_SIZE say; without torchrun one process on one machine.

        Raises:
            UserError: if some of them are missing, or fit nothing.
        """
        if "RANK" not in environment:
            return cls(range(1), 1)
        names = ("RANK", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "WORLD_SIZE")
        try:
            rank, local, here, world = (int(environment[name]) for name in names)
        except (KeyError, ValueError) as error:
            raise UserError(f"own_shards needs {', '.join(names)}, which torchrun sets; {error} is wrong") from error
        first = rank - local
        if not (0 <= local < here and first >= 0 and first + here <= world):
            told = ", ".join(f"{name} {environment[name]}" for name in names)
            raise UserError(f"{told} do not fit one machine; torchrun sets them")
        return cls(range(first, first + here), world)

    def share(self, count: int) -> range:
        """Which of `count` things in a row are this machine's: as great a share as it has of all processes."""
        return range(
            count * self.processes.start // self.world,
            count * self.processes.stop // self.world,
        )
