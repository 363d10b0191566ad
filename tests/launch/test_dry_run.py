"""A dry run begins where the run would, and gives times that a busy machine does not change much."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import TONES

from pggan_framework import run
from pggan_framework.config import resolve_overrides
from pggan_framework.launch.dry_run import dry_run
from pggan_framework.launch.start import resumed_config
from pggan_framework.runs.folders import snapshots
from pggan_framework.training import costing

FLAGS: dict[str, Any] = {
    **TONES,
    "TonesDataset.frames": 16,
    "TonesDataset.n_fft": 32,
    "TonesDataset.hop_length": 8,
    "DepthManager.lod_training_nimg": 40,
    "DepthManager.lod_transition_nimg": 40,
    "HTMLReport.write": False,
    "QualityMonitor.every_ticks": 0,
}


@pytest.fixture
def rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """A dry run's rows, depth -> (kimg, time), and all it prints."""

    def found(**flags: Any) -> tuple[dict[int, tuple[float, str]], str]:
        given: dict[str, Any] = {**({} if "resume" in flags else FLAGS), "result_dir": str(tmp_path)}
        given |= {name.replace("__", "."): value for name, value in flags.items()}
        config = resolve_overrides(None, given)
        if "resume" in flags:
            config = resolve_overrides(None, given, base=resumed_config(config))
        capsys.readouterr()
        assert dry_run(config) == 0
        text = capsys.readouterr().out
        lines = [line.split() for line in text.splitlines() if line[:5].strip().isdigit()]
        return {int(line[0]): (float(line[3]), " ".join(line[7:])) for line in lines}, text

    return found


def test_a_new_run_counts_from_the_start(rows: Any, tmp_path: Path) -> None:
    table, text = rows(total_kimg=0.4)
    assert {depth: kimg for depth, (kimg, _) in table.items()} == {0: 0.04, 1: 0.08, 2: 0.28}
    assert "about" in text and " in all" in text and not list(tmp_path.iterdir())


def test_a_resumed_run_counts_what_is_left(rows: Any, tmp_path: Path) -> None:
    run(overrides={**FLAGS, "total_kimg": 0.1, "result_dir": str(tmp_path)})
    table, text = rows(resume="latest", total_kimg=0.4)
    assert {depth: kimg for depth, (kimg, _) in table.items()} == {1: 0.02, 2: 0.28}
    assert "from 0.1 kimg on, at depth 1" in text
    table, text = rows(resume="latest")
    assert table == {} and "is complete" in text


def test_an_imported_network_begins_where_it_is_told(rows: Any, tmp_path: Path) -> None:
    first = run(overrides={**FLAGS, "total_kimg": 0.1, "result_dir": str(tmp_path)})
    table, text = rows(resume_network=str(snapshots(first.path)[-1]), Trainer__resume_nimg=200, total_kimg=0.4)
    assert {depth: kimg for depth, (kimg, _) in table.items()} == {2: 0.2}
    assert "from 0.2 kimg on" in text


def test_minutes_are_what_a_run_by_the_clock_takes(rows: Any) -> None:
    table, text = rows(minutes=10, WallClockSchedule__min_steps=1)
    assert list(table) == [0, 1, 2] and all(kimg > 0 for kimg, _ in table.values())
    assert table[2][1].startswith("5 min") and "of training of the budget of 10 min 00 s" in text
    # Steps at the last depth would take longer than that: it is not entered.
    table, _ = rows(minutes=10, WallClockSchedule__min_steps=10**8)
    assert list(table) == [0]


def test_minutes_limit_a_schedule_in_images(rows: Any) -> None:
    table, text = rows(minutes=0.5, progressive_growing=False)
    assert list(table) == [2] and 0 < table[2][0] < 1e6 and "of the budget of 30 s" in text
    table, text = rows(minutes=500, progressive_growing=False, total_kimg=0.2)
    assert table[2][0] == 0.2 and "budget" not in text


def test_the_speed_does_not_depend_on_who_else_computes() -> None:
    device = torch.device("cpu")
    measure = costing.speed.__wrapped__
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        alone = measure(device)
        stop = threading.Event()

        def hinder() -> None:
            x = torch.randn(300, 300)
            while not stop.is_set():
                x @ x

        others = [threading.Thread(target=hinder) for _ in range(4)]
        for other in others:
            other.start()
        start = time.perf_counter()
        busy = measure(device)
        seconds = time.perf_counter() - start
        stop.set()
        for other in others:
            other.join()
    finally:
        torch.set_num_threads(before)
    assert seconds < 5
    # Caches and clock rates are common to all; the time spent waiting does not count.
    assert all(0.4 < now / then < 2.5 for now, then in zip(busy, alone, strict=True))
