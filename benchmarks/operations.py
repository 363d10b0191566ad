"""What one step costs the host: PyTorch operations by their cause, and calls of Python functions.

``python benchmarks/step.py --operations`` prints the costs of each contestant. Only operations that no other operation
has called are counted: ``aten::linear`` is one operation, whatever it consists of, and so is one call for a list of
tensors (``aten::_foreach_mul``).
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import Any

from torch.profiler import ProfilerActivity, profile

NODE = "autograd::engine::evaluate_function: "
"""How the profiler names what a node of the graph does in a backward pass."""


@dataclass(frozen=True)
class Count:
    """The cost of a step.

    Args:
        operations: number of calls by (cause of the operation, name of the operation).
        calls: number of calls of Python functions, including those in PyTorch.
    """

    operations: Counter[tuple[str, str]]
    calls: int

    def table(self, rows: int = 12) -> str:
        """Format the totals, a line for each of the most frequent causes, and a line for the rest."""
        causes: dict[str, Counter[str]] = {}
        for (cause, name), count in self.operations.items():
            causes.setdefault(cause, Counter())[name] += count
        order = sorted(causes, key=lambda cause: -causes[cause].total())
        lines = [f"{self.operations.total()} operations, {self.calls} calls of Python functions"]
        for cause in order[:rows]:
            names = ", ".join(f"{name} {count}" for name, count in causes[cause].most_common(5))
            lines.append(f"{causes[cause].total():6} {cause}: {names}")
        rest = sum(causes[cause].total() for cause in order[rows:])
        return "\n".join([*lines, *([f"{rest:6} {len(order) - rows} others"] if rest else [])])


def counted(work: Callable[[], Any]) -> Count:
    """Count the operations and calls of `work` in two runs of it."""
    with profile(activities=[ProfilerActivity.CPU]) as record:
        work()
    operations: Counter[tuple[str, str]] = Counter()
    for event in record.events():
        if _is_operation(event) and not (event.cpu_parent and _is_operation(event.cpu_parent)):
            operations[_cause(event), event.name.removeprefix("aten::")] += 1
    calls = 0

    def note(frame: FrameType, event: str, _: Any) -> None:
        nonlocal calls
        calls += event == "call"

    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
    return Count(operations, calls)


def _is_operation(event: Any) -> bool:
    return str(event.name).startswith(("aten::", "pggan::"))


def _cause(event: Any) -> str:
    """Return the graph node or, if there is none, the autograd function or optimizer that has called an operation."""
    names, above = [], event.cpu_parent
    while above is not None:
        names.append(above.name)
        above = above.cpu_parent
    node = next((name.removeprefix(NODE) for name in names if name.startswith(NODE)), "")
    return node or next((name for name in names if "::" not in name), "forward passes, losses, averages")
