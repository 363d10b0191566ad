"""The collective operations with a single rank: started by torchrun, with NCCL on a GPU and Gloo on a CPU."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
import torch.distributed as dist

sys.path.insert(0, str(Path(__file__).parents[2]))

from pggan_framework.training.distributed import World  # noqa: E402


def main() -> None:
    """Send gradients, means, numbers and buffers through a group of one rank."""
    device = torch.device(sys.argv[1])
    world = World(0, 2)  # as if there were two: one alone would not use the group
    if device.type == "cuda":
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo", rank=0, world_size=1)
    gradients = [torch.ones(3, device=device), torch.full((2, 2), 2.0, device=device)]
    for in_advance in (False, True, True):
        world.all_reduce(gradients, 0.5, in_advance)
    assert torch.equal(gradients[0].cpu(), torch.full((3,), 0.125)) and world.agreed()
    assert float(world.mean(torch.tensor(4.0, device=device), 0.5)) == 2
    world.broadcast(gradients)
    assert world.broadcast_object("word") == "word"
    world.barrier()
    print(f"{dist.get_backend()} with one rank on {device}: right")
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
