"""The pool of large CPU tensors: blocks keep apart, and freed ones are used again."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from pggan_framework.cpu import native, pool

LARGE = 1 << 17


@pytest.fixture
def used() -> Iterator[None]:
    if not pool.use_pool():
        pytest.skip("no pool on this machine")
    yield
    pool.use_pool(False)


@pytest.mark.usefixtures("used")
def test_a_freed_block_is_used_again() -> None:
    first, second, third = (torch.empty(LARGE + number) for number in (0, 64, 0))
    where = first.data_ptr(), second.data_ptr()
    assert all(x.data_ptr() % 64 == 0 for x in (first, second, third))
    del second
    assert torch.empty(LARGE + 64).data_ptr() == where[1]
    # Holes side by side are one.
    del first
    both = torch.empty(2 * LARGE + 64)
    assert both.data_ptr() == where[0]
    del both, third
    assert torch.empty(LARGE).data_ptr() == where[0]


@pytest.mark.usefixtures("used")
def test_blocks_of_several_threads_keep_apart() -> None:
    failures: list[int] = []

    def work(seed: int) -> None:
        choice, kept = random.Random(seed), list[tuple[int, Tensor]]()
        for number in range(400):
            value = seed * 1000 + number
            kept.append((value, torch.full((choice.randrange(1, 100_000),), value, dtype=torch.int32)))
            while len(kept) > choice.randrange(1, 20):
                value, x = kept.pop(choice.randrange(len(kept)))
                if not bool((x == value).all()):
                    failures.append(value)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_tensors_may_outlast_it() -> None:
    if not pool.use_pool():
        pytest.skip("no pool on this machine")
    inside = torch.full((LARGE,), 3.0)
    pool.use_pool(False)
    outside = torch.full((LARGE,), 4.0)
    start = inside.data_ptr()
    grown = inside.untyped_storage()
    grown.resize_(8 * LARGE)
    assert float(inside.sum()) == 3 * LARGE and inside.data_ptr() != start
    pool.use_pool()
    del inside, grown, outside
    assert torch.empty(LARGE).data_ptr() == start
    pool.use_pool(False)


@pytest.mark.usefixtures("used")
def test_more_than_there_is_is_refused_as_without_it() -> None:
    with pytest.raises(RuntimeError, match="memory"):
        torch.empty(1 << 60, dtype=torch.uint8)


@pytest.mark.usefixtures("used")
def test_a_forked_process_has_blocks_of_its_own() -> None:
    mine = torch.full((LARGE,), 1.0)
    child = os.fork()
    if child == 0:
        mine.fill_(2)
        found = float(torch.full((LARGE,), 5.0)[-1]) == 5 and float(mine[0]) == 2
        os._exit(0 if found else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert float(mine.sum()) == LARGE


def test_without_a_compiler_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", str(tmp_path))
    monkeypatch.setattr(native, "compiler", lambda: None)
    pool.load.cache_clear()
    try:
        assert pool.use_pool() is False
        monkeypatch.setattr(native, "compiler", lambda: "false")  # one that fails
        pool.load.cache_clear()
        assert pool.use_pool() is False and not list(tmp_path.rglob("*.so"))
    finally:
        pool.load.cache_clear()
