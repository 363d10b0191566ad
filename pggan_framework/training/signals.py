"""Ctrl-C, SIGTERM, SIGHUP (closed terminal) and SIGUSR1 (cluster warning): finish the step, save, end."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

from pggan_framework.data.workers import STOPS

if TYPE_CHECKING:
    from pggan_framework.training.trainer import Trainer


@contextmanager
def stop_on_signals(trainer: Trainer) -> Iterator[dict[str, int]]:
    """A context in which the first signal stops `trainer` after its step, and a second SIGINT stops it immediately.

    SIGHUP and SIGUSR1 remain ignored if they were ignored at the start, as nohup does with SIGHUP.

    Yields a dict with the number of the signal under ``"signal"`` once it is received. Does nothing outside the main
    thread, where Python cannot handle signals.
    """
    seen: dict[str, int] = {}
    if threading.current_thread() is not threading.main_thread():
        yield seen
        return

    def handle(number: int, frame: FrameType | None) -> None:
        if "signal" in seen and number == signal.SIGINT:
            raise KeyboardInterrupt
        seen["signal"] = number
        trainer.stop(signal.Signals(number).name)

    always = (signal.SIGINT, signal.SIGTERM)
    heeded = [number for number in STOPS if number in always or signal.getsignal(number) is not signal.SIG_IGN]
    earlier = {number: signal.signal(number, handle) for number in heeded}
    try:
        yield seen
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)
