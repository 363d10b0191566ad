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
from pggan_framework.training.estimate import Training, memory_bytes
from pggan_framework.training.recomputing import recompute_from

SIZES = {"fmap_base": 64, "fmap_max": 16}


def small() -> tuple[Generator, Discriminator, Training]:
    torch.manual_seed(0)
    G, D = Generator([3, 16, 16], latent_size=8, **SIZES), Discriminator([3, 16, 16], **SIZES)  # type: ignore[arg-type]
    return G, D, Training(HingeGAN(), torch.optim.Adam(G.parameters()), torch.optim.Adam(D.parameters()))


def needed(pixels: int | None) -> int:
    G, D, training = small()
    for network in (G, D):
        network.execute(Execution(recompute_from=pixels))
    return memory_bytes(G, D, G.growth, 2, 16, training)


def test_as_few_depths_as_fit_are_recomputed() -> None:
    G, D, training = small()
    all_kept, largest, every = needed(None), needed(256), needed(0)
    assert every <= largest < all_kept
    batches = {0: 16, 1: 16, 2: 16}
    assert recompute_from(G, D, batches, training, None) is None
    assert recompute_from(G, D, batches, training, 1 << 40) is None
    assert recompute_from(G, D, batches, training, all_kept) is None
    assert recompute_from(G, D, batches, training, all_kept - 1) == 256
    assert recompute_from(G, D, batches, training, every - 1) == 0
    assert G.execution == D.execution == Execution() and G.depth == 2


@pytest.mark.parametrize(("wish", "expected"), [("auto", 0), ("never", None), ("always", 0)])
def test_a_run_recomputes_where_memory_is_short(
    wish: str, expected: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch, "bytes_at_hand", lambda device: 1 << 20)
    flags = {**TONES, "activation_checkpointing": wish, "device": "cpu"}
    experiment = launch.Experiment(resolve_overrides(None, flags))
    assert experiment.generator.execution.recompute_from == expected
    said = [note for note in experiment.notes if note.startswith("activation checkpointing")]
    assert bool(said) == (wish == "auto") and all("1 MiB are at hand" in note for note in said)
