"""What a step takes of the memory: as predicted, as a dry run advises, and as benchmarks/memory.py measures it."""

from __future__ import annotations

import gc
import importlib.util
import json
import re
import sys
import weakref
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from tiny import TONES

from pggan_framework.config import resolve_overrides
from pggan_framework.cpu import memory
from pggan_framework.cpu.memory import free_bytes, resident_bytes
from pggan_framework.launch.dry_run import dry_run
from pggan_framework.losses import WGANGP
from pggan_framework.networks import Discriminator, Generator
from pggan_framework.networks.folding import Folding
from pggan_framework.training import costing
from pggan_framework.training.costing import workspace
from pggan_framework.training.estimate import Training, estimate

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "memory.py"
CPU = torch.device("cpu")


def predicted(micro_batch: int | None = None, batch: int = 16) -> int:
    torch.manual_seed(0)
    shape = [3, 16, 16]
    G, D = Generator(shape, 64, fmap_max=8, latent_size=8), Discriminator(shape, 64, fmap_max=8)
    adams = (torch.optim.Adam(network.parameters()) for network in (G, D))
    return estimate(G, D, G.growth, 2, batch, Training(WGANGP(), *adams, micro_batch=micro_batch)).memory_bytes


def test_parts_need_what_a_batch_of_their_size_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, half, quarter = predicted(), predicted(8), predicted(4)
    # And the gradients of the parts before.
    for parts, alone in ((half, predicted(batch=8)), (quarter, predicted(batch=4))):
        assert alone <= parts <= 1.15 * alone
    assert predicted(16) == predicted(64) == whole
    # What convolutions need besides has a bound, and does not follow the batch; all else does.
    monkeypatch.setattr(costing, "workspace", lambda func, args: 0)
    whole, half, quarter = predicted(), predicted(8), predicted(4)
    assert whole - half == pytest.approx(2 * (half - quarter), rel=0.15)


def test_what_an_update_has_folded_is_gone_after_it_without_the_collector() -> None:
    D = Discriminator([3, 16, 16], 64, fmap_max=8)
    gc.disable()
    try:
        folding = Folding(D)
        kernel = weakref.ref(D.blocks[0].conv.made[0])
        folding.end()
        del folding
        assert kernel() is None
    finally:
        gc.enable()


def test_only_a_cpus_allocator_is_allowed_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert resident_bytes(100, 1000, torch.device("cuda")) == 1100
    for pool, least, most in ((object(), 1, 1.3), (None, 1.6, 3)):
        monkeypatch.setattr(memory, "load", lambda pool=pool: pool)
        small, large = (resident_bytes(0, peak, CPU) for peak in (10**8, 10**9))
        assert least < (large - small) / 9e8 < most


@pytest.mark.parametrize("transposed", [False, True])
def test_workspaces_of_convolutions_by_hand(transposed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    geometry = ((2, 2) if transposed else (1, 1)), (1, 1), (1, 1), transposed, (0, 0), 1
    convolution, backward = torch.ops.aten.convolution.default, torch.ops.aten.convolution_backward.default

    def both(channels: int) -> tuple[int, int]:
        side = 4 if transposed else 3
        x, weight = torch.empty(2, channels, 64, 64), torch.empty(channels, channels, side, side)
        y = torch.empty(2, channels, 64 * geometry[0][0], 64 * geometry[0][0])
        forward = workspace(convolution, (x, weight, None, *geometry))
        return forward, workspace(backward, (y, x, weight, None, *geometry, (True, True, False)))

    monkeypatch.setattr(costing, "by_products", lambda x: True)
    monkeypatch.setattr(costing.winograd, "load", lambda number: None)
    # Of 8 channels: the padded input of the two, and the shifted copies of one; the adjoint's is its output's gradient.
    padded, copies = (2 * 8 * 130**2, 64 * 64 * 16 * 8) if transposed else (2 * 8 * 66**2, 2**19)
    assert both(8) == (0, 4 * (padded + copies))
    monkeypatch.setattr(costing, "by_products", lambda x: False)
    assert both(8) == (0, 0)
    # Transformed kernels, and tiles next to them.
    monkeypatch.setattr(costing.winograd, "load", lambda number: object())
    planes = 100 if transposed else 36
    assert both(64) == (4 * planes * (64 * 64 + 48 * 128),) * 2
    assert both(8) == (0, 0)


def test_free_memory_is_what_the_machine_and_the_control_group_leave(tmp_path: Path) -> None:
    assert free_bytes(CPU, tmp_path) is None
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc" / "meminfo").write_text("MemTotal:  9000 kB\nMemFree: 10 kB\nMemAvailable:   3000 kB\n")
    assert free_bytes(CPU, tmp_path) == 3000 * 1024
    group = tmp_path / "sys" / "fs" / "cgroup"
    group.mkdir(parents=True)
    (group / "memory.current").write_text("500000\n")
    for limit, free in (("max", 3000 * 1024), ("2500000", 2_000_000), ("99000000", 3000 * 1024)):
        (group / "memory.max").write_text(f"{limit}\n")
        assert free_bytes(CPU, tmp_path) == free


def advice(free: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], **flags: Any) -> list[str]:
    """What is said of memory, of a run that has but 32 px."""
    monkeypatch.setattr("pggan_framework.launch.dry_run.free_bytes", lambda device: free)
    sizes = {
        "minibatch_size": 24,
        **{f"{kind}.fmap_{at}": 256 for kind in ("Generator", "Discriminator") for at in ("base", "max")},
    }
    whole = {"progressive_growing": False, "total_kimg": 1}
    assert dry_run(resolve_overrides(None, {**TONES, **sizes, **whole, **flags})) == 0
    return [line for line in capsys.readouterr().out.splitlines() if "micro_batch" in line or "are free" in line]


def test_a_dry_run_finds_the_parts_that_fit(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert advice(1 << 40, monkeypatch, capsys) == []
    (line,) = advice(1 << 20, monkeypatch, capsys)
    whole, least = re.findall(r"([\d.]+) MiB", line)[0], re.findall(r"([\d.]+) MiB", line)[2]
    assert line == (
        f"depth 3 needs {whole} MiB; 1 MiB are free, and with --micro_batch 4 it would still need {least} MiB;"
        " smaller networks need less, or --activation_checkpointing always"
    )
    between = (int(whole) + int(least)) // 2
    (line,) = advice(between << 20, monkeypatch, capsys)
    found = re.fullmatch(
        rf"depth 3 needs {whole} MiB; {between} MiB are free; with --micro_batch (\d+) it would need (\d+) MiB", line
    )
    assert found is not None and int(found[1]) in (4, 8, 12) and int(least) <= int(found[2]) <= between
    # With that, nothing is said but how the batch is divided.
    fits = int(found[1])
    assert advice(between << 20, monkeypatch, capsys, micro_batch=fits) == [
        f"micro_batch {fits}: batches are computed in parts: 24 in {24 // fits}"
    ]


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(SCRIPT.parents[1])
    spec = importlib.util.spec_from_file_location("benchmark_memory", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_combination_is_a_row(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    figures = {"predicted": 90.0, "measured": 100.0, "seconds": 0.5, "kept": 40.0, "peak": 30.0}
    monkeypatch.setattr(script, "in_a_process", lambda setting, steps: figures)
    words = ["--resolutions", "16,32", "--batches", "4,8", "--micro_batches", "0,4", "--json", str(tmp_path / "m.json")]
    monkeypatch.setattr(sys, "argv", ["memory.py", *words])
    script.main()
    rows = json.loads((tmp_path / "m.json").read_text())["rows"]
    assert [(r["resolution"], r["batch"], r["micro_batch"]) for r in rows] == [
        (side, batch, micro) for side in (16, 32) for batch, micro in ((4, None), (8, None), (8, 4))
    ]
    text = capsys.readouterr().out
    assert text.count("90 MiB    100 MiB    0.90") == 6
    assert "2.00 times the peak" in text  # 100 of which 40 stay anyway


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="Linux says what was resident")
@pytest.mark.parametrize("micro", [None, 4])
def test_the_prediction_holds(script: ModuleType, micro: int | None) -> None:
    setting = {"resolution": 32, "fmap_base": 1024, "fmap_max": 64, "batch": 16, "micro_batch": micro}
    found = script.in_a_process({**setting, "loss": "WGANGP", "checkpointing": "large", "allocator": "pool"}, 4)
    # 15 % is what the benchmark shows; allocators of other systems differ more.
    assert found["predicted"] == pytest.approx(found["measured"], rel=0.25)
