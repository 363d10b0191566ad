"""Shares of the work, and what comes together of them."""

from __future__ import annotations

import signal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ranks import all_ranks

from pggan_framework.training import team as module
from pggan_framework.training.distributed import World
from pggan_framework.training.team import Team


@given(count=st.integers(0, 200), batch=st.integers(1, 40), size=st.integers(1, 9))
def test_shares_are_whole_batches_one_after_the_other(count: int, batch: int, size: int) -> None:
    shares = [Team(World(rank, size)).share(count, batch) for rank in range(size)]
    assert [number for share in shares for number in share] == list(range(count))
    assert all(share.start % batch == 0 or share.start == count for share in shares)
    assert (len(shares[0]) > 0) == (count > 0)
    batches = [-(-len(share) // batch) for share in shares]
    assert max(batches) - min(batches) <= 1
    assert shares == [Team(World(0, size)).share(count, batch, rank) for rank in range(size)]


@pytest.mark.parametrize("kind", [np.uint8, np.float64, np.int16])
@pytest.mark.parametrize("counts", [[3, 2], [1, 0, 4, 2], [5, 0]])
def test_rows_come_together_in_the_order_of_the_processes(
    counts: list[int], kind: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SENT", 100)  # in several pieces
    everything = np.random.default_rng(0).integers(0, 200, (sum(counts), 7, 2)).astype(kind)
    ends = np.cumsum(counts)
    parts: list[np.ndarray] = []  # type: ignore[type-arg]

    def work(team: Team) -> None:
        rank = team.world.rank
        mine = everything[ends[rank] - counts[rank] : ends[rank]] if counts[rank] else None
        team.gather(mine, counts, parts.append)

    all_ranks(len(counts), work, monkeypatch)
    found = np.concatenate(parts)
    assert found.dtype == kind
    np.testing.assert_array_equal(found, everything)


def test_one_process_sends_nothing() -> None:
    team, parts = Team(), []
    before = signal.getsignal(signal.SIGTERM)
    with team.together():
        assert signal.getsignal(signal.SIGTERM) is before
        team.meet()
        assert team.main and team.broadcast("x") == "x" and team.share(5, 2) == range(5)
        team.gather(np.arange(3), [3], parts.append)
    assert len(parts) == 1 and parts[0].tolist() == [0, 1, 2]


def test_who_misses_another_ends_without_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object) -> None:
        raise RuntimeError("Connection closed by peer")

    world = World(1, 2)
    monkeypatch.setattr(world, "barrier", gone)
    monkeypatch.setattr(world, "broadcast_object", gone)
    monkeypatch.setattr(module.dist, "send", gone)
    team = Team(world)
    for talk in (team.meet, lambda: team.broadcast(1), lambda: team.gather(np.zeros(2), [1, 2], print)):
        with pytest.raises(SystemExit) as ended:
            talk()
        assert ended.value.code == 1
