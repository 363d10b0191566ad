"""A run that is resumed under other kernels, threads or instructions says that it is not bit-exact."""

from __future__ import annotations

from pggan_framework.launch.start import other_machine

HERE = {"kernels": "native", "threads": "2", "cpu_capability": "AVX2"}


def test_what_differs_is_one_line() -> None:
    assert other_machine({"machine": HERE}, HERE) == []
    assert other_machine(None, HERE) == [] == other_machine({}, HERE)  # a new run; a checkpoint of an earlier release
    there = {**HERE, "kernels": "torch", "threads": "4"}
    assert other_machine({"machine": there}, HERE) == [
        "resume: not bit-exact, because of kernels torch -> native, threads 4 -> 2"
    ]
