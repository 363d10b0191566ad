"""The ranks on this machine, from torchrun's environment variables."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from pggan_framework.errors import UserError


@dataclass(frozen=True)
class Machine:
    """The ranks of this machine, which torchrun numbers consecutively.

    Args:
        processes: ranks on this machine.
        world: number of ranks on all machines.
    """

    processes: range
    world: int

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Machine:
        """Read RANK, LOCAL_RANK, LOCAL_WORLD_SIZE and WORLD_SIZE; without torchrun, one process.

        Raises:
            UserError: if some of these variables are missing, or they are inconsistent.
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
        """The range of this machine's items out of `count`, in proportion to its number of ranks."""
        return range(
            count * self.processes.start // self.world,
            count * self.processes.stop // self.world,
        )
