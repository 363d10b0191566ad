"""Which feature maps are recomputed: none where there is room, and no more than need be."""

from __future__ import annotations

import pytest
import torch
from tiny import TONES

from pggan_framework.config import resolve_overrides
from pggan_framework.launch import experiment as launch
from pggan_framework.losses import HingeGAN
from pggan_framework.networks import Discriminator, Generator
from pggan_framework.networks.execution import Execution
from pggan_framework.schedules.growth import Growth
from pggan_framework.training import recomputing
from pggan_framework.training.estimate import Training, memory_bytes


def test_as_few_depths_as_fit_are_recomputed(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    sizes = {"fmap_base": 64, "fmap_max": 16}
    G, D = Generator([3, 16, 16], latent_size=4, **sizes), Discriminator([3, 16, 16], **sizes)  # type: ignore[arg-type]
    training = Training(HingeGAN(), torch.optim.Adam(G.parameters()), torch.optim.Adam(D.parameters()))
    found = []
    for pixels in (None, 256):
        for network in (G, D):
            network.execute(Execution(recompute_from=pixels))
        found.append(memory_bytes(G, D, G.growth, 2, 16, training))
    assert found[1] < found[0]
    for network in (G, D):
        network.execute(Execution())

    needed = {None: 100, 256: 60, 64: 50, 16: 45, 0: 45}  # at the deepest depth; half of that at each one before

    def counted(G: Generator, D: Discriminator, growth: Growth, depth: int, batch: int, training: Training) -> int:
        return needed[G.execution.recompute_from] >> (2 - depth)

    monkeypatch.setattr(recomputing, "memory_bytes", counted)
    assert recomputing.recompute_from(G, D, {2: 16}, training, 1 << 40) is None  # without counting a step
    monkeypatch.setattr(recomputing, "resident_bytes", lambda *_: 1 << 40)
    batches = {0: 16, 1: 16, 2: 16}
    for at_hand, expected in ((None, None), (100, None), (99, 256), (60, 256), (59, 64), (45, 16), (44, 0)):
        assert recomputing.recompute_from(G, D, batches, training, at_hand) == expected
    assert G.execution == D.execution == Execution() and G.depth == 2


@pytest.mark.parametrize(("mode", "expected"), [("auto", 0), ("never", None), ("always", 0)])
def test_a_run_recomputes_where_memory_is_short(
    mode: str, expected: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch, "bytes_at_hand", lambda device: 1 << 20)
    flags = {**TONES, "activation_checkpointing": mode, "device": "cpu"}
    experiment = launch.Experiment(resolve_overrides(None, flags))
    assert experiment.generator.execution.recompute_from == expected
    said = [note for note in experiment.notes if note.startswith("activation checkpointing")]
    assert bool(said) == (mode == "auto") and all("1 MiB are at hand" in note for note in said)
