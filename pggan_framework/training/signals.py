"""Ctrl-C, SIGTERM, SIGHUP (a terminal that closes) and SIGUSR1 (a cluster's warning): finish the step, save, end."""

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
    """While it is entered, the first of these signals stops `trainer` after its step; a second SIGINT at once.

    SIGHUP and SIGUSR1 stay ignored where they are so from the start, as nohup has SIGHUP.

    Yields a dict that holds the signal's number under ``"signal"`` once one has come. Outside the main thread, where
    Python takes no signals, it does nothing.
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
