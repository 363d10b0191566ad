"""Each odd image, table and archive is read right or named."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from benchmarks.odd.images import cases, check


def test_none_is_read_wrong(tmp_path: Path) -> None:
    outcomes = {case.name: check(case) for case in cases(tmp_path)}
    assert {name: outcome for name, outcome in outcomes.items() if outcome not in ("read right", "named")} == {}
    counts = Counter(outcomes.values())
    assert counts["read right"] > 100 and counts["named"] > 80
