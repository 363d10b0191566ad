"""The inspection report: headings, aligned rows and warnings as text, and the values behind them as JSON."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

WIDTH = 110
"""Largest line width in columns; longer words are not split."""
LABEL = 18
"""Width of the label column."""
BAR = 40
"""Width of a histogram's longest bar."""


@dataclass
class Report:
    """The results of an inspection.

    Args:
        title: first line of the report.
        sections: rows of (label, text) by heading; a row without label continues the previous row.
        warnings: problems to fix or consider before training, one sentence each.
        verdict: a summary of the data and their quality, one sentence per entry.
        figures: values behind the text, as plain values.
    """

    title: str
    sections: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    verdict: list[str] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)

    def add(self, heading: str, rows: Mapping[str, str] | Sequence[tuple[str, str]]) -> None:
        """Add rows below a heading; without rows, the heading is omitted."""
        pairs = list(rows.items()) if isinstance(rows, Mapping) else list(rows)
        if pairs:
            self.sections.setdefault(heading, []).extend(pairs)

    def text(self) -> str:
        """Return the complete report, ending with a newline."""
        blocks = [self.title]
        for heading, rows in self.sections.items():
            blocks.append("\n".join([heading, *(_row(label, text) for label, text in rows)]))
        closing = [_row("warning", warning) for warning in self.warnings]
        closing += [_row("" if number else "in short", sentence) for number, sentence in enumerate(self.verdict)]
        return "\n\n".join([*blocks, "\n".join(closing)]).rstrip() + "\n"

    def json(self) -> str:
        """Return the values and the warnings as JSON; non-finite numbers are null."""
        content = {**self.figures, "warnings": self.warnings, "verdict": self.verdict}
        return json.dumps(_finite(content), indent=2, allow_nan=False) + "\n"


def histogram(counts: Mapping[str, int]) -> list[tuple[str, str]]:
    """Return bars of ``#`` proportional to the counts; a count above 0 has at least one ``#``."""
    most = max(counts.values(), default=0)
    if not most:
        return []
    bars = {label: "#" * max(round(BAR * count / most), count > 0) for label, count in counts.items()}
    return [(label, f"{bars[label]:<{BAR}} {count}" if count else "") for label, count in counts.items()]


def counted(counts: Mapping[Any, int], unit: str = "", most: int = 6) -> str:
    """Format counts, the most frequent first: ``12 at 44100 Hz; 3 at 8000 Hz``; `unit` follows the value."""
    ordered = sorted(counts.items(), key=lambda pair: -pair[1])
    rest = sum(count for _, count in ordered[most:])
    named = [f"{count} {value}{unit}" for value, count in ordered[:most]]
    return "; ".join([*named, f"{rest} others"] if rest else named)


def _row(label: str, text: str) -> str:
    indent = " " * (LABEL + 2)
    first = f"  {label:<{LABEL - 1}} "
    if text.startswith("#"):  # a bar must not be wrapped
        return first + text
    return (
        textwrap.fill(
            text, WIDTH, initial_indent=first, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
        )
        if text
        else first.rstrip()
    )


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not isfinite(value):
        return None
    return value
