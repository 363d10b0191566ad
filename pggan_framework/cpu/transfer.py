"""Transfers between host and device without waiting, and the most precise floating-point type of a device."""

from __future__ import annotations

import torch
from torch import Tensor


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """Copy a host tensor to `device`, through page-locked memory on a GPU, so that the host need not wait.

    A copy from ordinary memory makes the host wait until everything queued on the GPU is done.
    """
    if device.type == "cuda" and tensor.device.type == "cpu":
        tensor = tensor.pin_memory()  # no copy if it is page-locked already
    return tensor.to(device, non_blocking=True)


def widest(device: torch.device) -> torch.dtype:
    """The floating-point type with the most digits on `device`: Apple's GPUs (mps) have no float64."""
    return torch.float32 if device.type == "mps" else torch.float64


def for_analysis(device: torch.device) -> str:
    """The device for decoding sounds and computing metrics: `device`, or the CPU if `device` is an Apple GPU."""
    return "cpu" if device.type == "mps" else str(device)


class Postbox:
    """Copies numbers from a GPU to the host asynchronously; `read` waits only for the number that it returns.

    ``bool(tensor)`` would wait for everything queued on the GPU. On other devices, values are read immediately.
    """

    def __init__(self) -> None:
        self._sent: list[tuple[Tensor, torch.cuda.Event | None]] = []

    def __len__(self) -> int:
        return len(self._sent)

    def send(self, value: Tensor) -> None:
        """Start the copy of a scalar."""
        if value.device.type != "cuda":
            self._sent.append((value.detach().clone(), None))
            return
        host = torch.empty(value.shape, dtype=value.dtype, pin_memory=True)
        host.copy_(value, non_blocking=True)
        event = torch.cuda.Event()  # type: ignore[no-untyped-call]
        event.record()
        self._sent.append((host, event))

    def read(self) -> float:
        """Remove and return the oldest number."""
        value, event = self._sent.pop(0)
        if event is not None:
            event.synchronize()
        return float(value)
