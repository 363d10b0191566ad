"""Torch's threads sleep early where other programs run, unless somebody has decided otherwise."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pggan_framework.cli import threads


@pytest.mark.parametrize(
    ("running", "given", "expected"),
    [
        (0.0, {}, {}),
        (0.2, {}, {}),
        (1.0, {}, {"GOMP_SPINCOUNT": threads.SPINS}),
        (3.0, {"OMP_NUM_THREADS": "1"}, {"OMP_NUM_THREADS": "1"}),
        (3.0, {"OMP_WAIT_POLICY": "active"}, {"OMP_WAIT_POLICY": "active"}),
        (3.0, {"GOMP_SPINCOUNT": "7"}, {"GOMP_SPINCOUNT": "7"}),
    ],
)
def test_when_threads_sleep_early(
    monkeypatch: pytest.MonkeyPatch, running: float, given: dict[str, str], expected: dict[str, str]
) -> None:
    monkeypatch.setattr(threads, "running_elsewhere", lambda: running)
    environment = dict(given)
    threads.share_cores(environment)
    assert environment == expected


def test_another_busy_program_is_seen() -> None:
    """Linux reports what else is running; elsewhere nothing is known and nothing is changed."""
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as busy:
        try:
            assert (threads.running_elsewhere(samples=60) > 0.5) == (sys.platform == "linux")
        finally:
            busy.kill()
