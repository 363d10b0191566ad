"""Several processes take the step that one process takes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.multiprocessing as mp
from hypothesis import given
from hypothesis import strategies as st
from processes import forking, free_port

from pggan_framework.errors import UserError
from pggan_framework.labels.attributes import Attribute, LabelSpace
from pggan_framework.losses.auxiliary import AuxiliaryClassifier
from pggan_framework.losses.base import Loss, Sum
from pggan_framework.losses.began import BEGAN
from pggan_framework.losses.wgan import WGANGP
from pggan_framework.networks import Discriminator, Generator
from pggan_framework.networks.autoencoder import AutoencoderDiscriminator
from pggan_framework.networks.base import DiscriminatorBase
from pggan_framework.networks.stddev import group_stddev
from pggan_framework.schedules.growth import Growth
from pggan_framework.training.distributed import World, launcher, restarted
from pggan_framework.training.randomness import seed_step
from pggan_framework.training.step import TrainingStep

BATCH = 12
CASES = [(0, 1.0, False), (1, 0.3, False), (2, 0.7, False), (2, 1.0, True)]
"""Depth, alpha, whether the networks are conditioned."""


@given(count=st.integers(1, 64), group=st.integers(1, 8), size=st.integers(1, 7))
def test_the_parts_of_all_processes_are_the_batch(count: int, group: int, size: int) -> None:
    worlds = [World(rank, size) for rank in range(size)]
    if count < size:
        with pytest.raises(UserError, match="cannot be divided"):
            worlds[0].part(count, group)
        return
    parts = [world.part(count, group) for world in worlds]
    assert all(len(part) > 0 and np.array_equal(part, np.sort(part)) for part in parts)
    assert sorted(np.concatenate(parts).tolist()) == list(range(count))


@given(count=st.integers(2, 40), group=st.integers(2, 6), size=st.integers(2, 4), seed=st.integers(0, 99))
def test_a_process_sees_the_stddev_groups_of_one_process(count: int, group: int, size: int, seed: int) -> None:
    x = torch.randn(count, 2, 3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    if count < size or World(0, size).splits_groups(count, group):
        return
    whole = group_stddev(x, group)
    for rank in range(size):
        part = torch.from_numpy(World(rank, size).part(count, group))
        assert torch.allclose(group_stddev(x[part], group), whole[part], rtol=1e-12, atol=0)


def test_one_process_takes_the_whole_batch_and_sends_nothing() -> None:
    world = World()
    assert world.part(5, 4).tolist() == [0, 1, 2, 3, 4]
    value = torch.tensor([1.0, 2.0])
    world.all_reduce([value], 0.5)
    world.broadcast([value])
    world.check_equal([value])
    assert value.tolist() == [1.0, 2.0] and world.broadcast_object("x") == "x" and not world.agreed()
    assert world.generator(torch.device("cpu")) is None


def test_torchruns_environment_is_read() -> None:
    world = World.from_environment({"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1"})
    assert (world.rank, world.size, world.local_rank, world.main) == (3, 4, 1, False)
    assert World.from_environment({}).size == 1
    with pytest.raises(UserError, match="RANK is 4 and WORLD_SIZE 4"):
        World.from_environment({"RANK": "4", "WORLD_SIZE": "4"})
    with pytest.raises(UserError, match="torchrun sets them"):
        World.from_environment({"RANK": "x", "WORLD_SIZE": "4"})


def test_a_restart_is_known_and_so_is_who_restarted() -> None:
    assert not restarted({}) and not restarted({"TORCHELASTIC_RESTART_COUNT": "0"})
    assert restarted({"TORCHELASTIC_RESTART_COUNT": "2"})
    assert launcher({}) == ""
    assert launcher({"TORCHELASTIC_RESTART_COUNT": "0", "TORCHELASTIC_RUN_ID": "job7"}) == "job7"
    own = launcher({"TORCHELASTIC_RESTART_COUNT": "0", "TORCHELASTIC_RUN_ID": "none"})
    assert str(os.getppid()) in own


def _step(world: World, depth: int, alpha: float, labelled: bool, began: bool = False) -> TrainingStep:
    torch.manual_seed(4)
    growth = Growth.of((2, 8, 16), (2, 4))
    space = LabelSpace((Attribute("kind", ("a", "b", "c")),)) if labelled else None
    generator = Generator(growth, latent_size=5, label_space=space, fmap_base=64, fmap_max=6).double()
    discriminator: DiscriminatorBase
    if began:
        discriminator = AutoencoderDiscriminator(growth, fmap_base=64, fmap_max=6).double()
    else:
        discriminator = Discriminator(growth, label_space=space, fmap_base=64, fmap_max=6).double()
    for network in (generator, discriminator):
        network.depth, network.alpha = depth, alpha
    loss: Loss = BEGAN() if began else WGANGP()
    if labelled:
        loss = Sum([*loss.terms, *AuxiliaryClassifier().terms])

    def source() -> torch.Generator | None:
        return world.generator(torch.device("cpu"))

    def labels(count: int) -> torch.Tensor:
        return torch.eye(3, dtype=torch.float64)[torch.randint(3, (count,), generator=source())]

    return TrainingStep(
        generator,
        discriminator,
        loss,
        torch.optim.SGD(generator.parameters(), 0.01),
        torch.optim.SGD(discriminator.parameters(), 0.01),
        lambda count: torch.randn(count, 5, dtype=torch.float64, generator=source()),
        labels=labels if labelled else None,
        world=world,
    )


def _updates(world: World, depth: int, alpha: float, labelled: bool, began: bool = False) -> list[torch.Tensor]:
    """The gradients of an update of D and one of G, and the state of the loss."""
    step = _step(world, depth, alpha, labelled, began)
    random = torch.Generator().manual_seed(8)
    shape = step.D.growth.shape_at(depth)
    reals = torch.rand(BATCH, *shape, generator=random, dtype=torch.float64) * 2 - 1
    classes = torch.eye(3, dtype=torch.float64)[torch.randint(3, (BATCH,), generator=random)] if labelled else None
    part = torch.from_numpy(world.part(BATCH, step.D.stddev_group))
    seed_step(1, 0, 0)
    world.seed(torch.initial_seed())
    step.discriminator_update(reals[part], None if classes is None else classes[part], total=BATCH)
    found = [p.grad.clone() for p in step.D.parameters() if p.grad is not None]
    step.generator_update(BATCH)
    found += [p.grad.clone() for p in step.G.parameters() if p.grad is not None]
    world.check_equal([*step.G.parameters(), *step.D.parameters()])
    return found + [value for state in step.loss.state_dict().values() for value in state.values()]


def _cases() -> Iterator[tuple[int, float, bool, bool]]:
    yield from ((*case, False) for case in CASES)
    yield 2, 0.4, False, True


def _process(rank: int, size: int, folder: str) -> None:
    torch.set_num_threads(1)
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=Path(folder, "port").read_text(), RANK=str(rank))
    os.environ["WORLD_SIZE"] = str(size)
    world = World.from_environment()
    with world.connected(torch.device("cpu")):
        if rank == size - 1:
            torch.save([_updates(world, *case) for case in _cases()], Path(folder, "gradients.pt"))
        else:
            for case in _cases():
                _updates(world, *case)
        assert world.broadcast_object(rank) == 0
        lone = torch.full((1,), float(rank))
        try:
            world.check_equal([lone])
        except RuntimeError as error:
            Path(folder, f"error{rank}").write_text(str(error))
        world.broadcast([lone])
        world.check_equal([lone])
    tasks = Path("/proc/self/task").glob("*/comm")  # threads of the group that outlive it may abort the process
    assert not [name for name in (task.read_text() for task in tasks) if "gloo" in name]


@pytest.mark.slow
@pytest.mark.parametrize("size", [2, 3])
def test_gradients_of_several_processes_are_those_of_one(tmp_path: Path, size: int) -> None:
    (tmp_path / "port").write_text(str(free_port()))
    forking()
    mp.start_processes(_process, (size, str(tmp_path)), size, start_method="forkserver")  # type: ignore[no-untyped-call]
    theirs = torch.load(tmp_path / "gradients.pt", weights_only=True)
    for case, gradients in zip(_cases(), theirs, strict=True):
        expected = _updates(World(), *case)
        assert len(gradients) == len(expected) > 10
        for mine, other in zip(expected, gradients, strict=True):
            # k, which BEGAN keeps, is of single precision.
            close = 1e-12 if mine.dtype == torch.float64 else 1e-7
            assert (mine - other).abs().max() <= close * max(1.0, float(mine.abs().max())), case
    said = [(tmp_path / f"error{rank}").read_text() for rank in range(size)]
    assert all(f"processes {list(range(1, size))}" in text for text in said)
