"""Copies between host and device."""

from __future__ import annotations

import pytest
import torch
from fake_cuda import on_paper

from pggan_framework.cpu.transfer import Postbox, for_analysis, to_device, widest


def test_numbers_arrive_in_the_order_they_were_sent() -> None:
    box, value = Postbox(), torch.tensor(1.0)
    box.send(value)
    value.fill_(5.0)  # what was sent is unchanged
    box.send(value)
    assert len(box) == 2 and [box.read(), box.read()] == [1.0, 5.0] and len(box) == 0


def test_a_copy_to_a_gpu_goes_through_page_locked_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    with on_paper(monkeypatch) as mode, mode.watched():
        there = to_device(torch.arange(6).view(2, 3), torch.device("cuda", 0))
        assert there.device.type == "cuda" and there.shape == (2, 3) and there.dtype == torch.int64


def test_a_copy_to_the_host_changes_nothing() -> None:
    x = torch.ones(3)
    assert to_device(x, torch.device("cpu")) is x


@pytest.mark.parametrize(
    ("device", "kind", "analysed"),
    [("cpu", torch.float64, "cpu"), ("cuda:1", torch.float64, "cuda:1"), ("mps", torch.float32, "cpu")],
)
def test_what_an_apple_gpu_lacks_is_avoided(device: str, kind: torch.dtype, analysed: str) -> None:
    assert widest(torch.device(device)) == kind and for_analysis(torch.device(device)) == analysed
