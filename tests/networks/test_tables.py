"""Tables of networks are made when somebody looks, and once."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from pggan_framework.networks import Discriminator, Generator
from pggan_framework.networks import describe as describe_network
from pggan_framework.networks.describe import Tables
from pggan_framework.schedules.growth import Growth


def test_tables_are_made_when_asked_for_and_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    growth = Growth.of((1, 8, 8))
    G = Generator(growth, fmap_base=32, fmap_max=4, latent_size=4)
    D = Discriminator(growth, fmap_base=32, fmap_max=4)
    made = []

    def counted(network: Any) -> Any:
        made.append(network)
        return describe_network(network)

    # The package has a function of the module's name.
    monkeypatch.setattr(sys.modules["pggan_framework.networks.describe"], "describe", counted)
    tables = Tables(Generator=G, Discriminator=D)
    assert list(tables) == ["Generator", "Discriminator"] and len(tables) == 2 and not made
    for _ in range(2):
        assert dict(tables) == {"Generator": describe_network(G), "Discriminator": describe_network(D)}
    assert made == [G, D]
    assert sum(row[2] for row in tables["Generator"]) == sum(p.numel() for p in G.parameters())
