"""A training step can be read: it enters few files and functions, and the docs list them unchanged."""

from __future__ import annotations

from pathlib import Path

from benchmarks.tour import table, tour

DOCS = Path(__file__).parents[2] / "docs" / "explanation" / "architecture.md"


def test_an_eager_step_enters_at_most_20_files_and_80_functions() -> None:
    found = tour()
    assert len(found) <= 20 and sum(map(len, found.values())) <= 80
    assert {"training/step.py", "losses/context.py", "networks/pggan.py"} <= found.keys()
    text = DOCS.read_text(encoding="utf-8")
    for line in table(found).splitlines():
        assert line in text, (
            f"docs/explanation/architecture.md is to show what python benchmarks/tour.py prints: {line}"
        )
