from pathlib import Path

import torch

from pggan_framework.cpu.allocation import keep_freed_memory
from pggan_framework.training.precision import choose_precision, has_bf16

CPU = torch.device("cpu")


def test_a_cpu_says_whether_it_has_bfloat16(tmp_path: Path) -> None:
    info = tmp_path / "cpuinfo"
    assert not has_bf16(CPU, info)
    for flags, wanted in (("fpu avx2 avx512f", False), ("fpu avx512_bf16", True), ("amx_bf16 amx_tile", True)):
        info.write_text(f"processor\t: 0\nflags\t\t: {flags}\n")
        assert has_bf16(CPU, info) is wanted


def test_precision_follows_the_wish_where_the_device_can(monkeypatch) -> None:
    can = "pggan_framework.training.precision.has_bf16"
    monkeypatch.setattr(can, lambda device: True)
    assert choose_precision("bf16", CPU) == (torch.bfloat16, "")
    assert choose_precision("fp32", CPU) == choose_precision("auto", CPU) == (torch.float32, "")
    assert choose_precision("auto", torch.device("cuda")) == (torch.bfloat16, "")
    monkeypatch.setattr(can, lambda device: False)
    assert choose_precision("auto", torch.device("cuda")) == (torch.float32, "")
    kind, note = choose_precision("bf16", CPU)
    assert kind == torch.float32 and "this cpu has no units for it; fp32 is used" in note


def test_the_allocator_can_be_told_or_there_is_none() -> None:
    known = keep_freed_memory()
    assert keep_freed_memory(False) is known
    assert torch.ones(1 << 24).sum() == 1 << 24
