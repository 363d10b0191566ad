"""The table "What happens with odd files" of docs/reference/data.md."""

from __future__ import annotations

from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "data.md"
KINDS = ("sound", "image", "table", "MIDI")


def rows_of(*kinds: str) -> list[str]:
    """What people have, of these kinds, in the order of the table.

    Raises:
        AssertionError: if the table has a row of an unknown kind, which no test would show.
    """
    text = PAGE.read_text(encoding="utf-8")
    table = text[text.index("| kind | what you have |") :].split("\n\n")[0].splitlines()[2:]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table]
    assert [row for row in cells if len(row) != 3 or row[0] not in KINDS] == []
    return [have for kind, have, _ in cells if kind in kinds]
