"""Count the code lines of the package by subfolder, without docstrings, comments and blank lines.

``python benchmarks/code_lines.py`` counts the package of this checkout; ``python benchmarks/code_lines.py FOLDER``
counts another folder.
"""

from __future__ import annotations

import ast
import io
import sys
import tokenize
from collections import Counter
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "pggan_framework"
_NO_CODE = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENCODING,
    tokenize.ENDMARKER,
}


def code_lines(text: str) -> int:
    """Return the number of code lines in a Python file; a statement that is only a string counts as documentation."""
    documentation: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            documentation.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    code = {line for t in tokens if t.type not in _NO_CODE for line in range(t.start[0], t.end[0] + 1)}
    return len(code - documentation)


def by_room(folder: Path) -> Counter[str]:
    """Count the code lines of each subfolder of `folder`, and of the files at its top level."""
    rooms: Counter[str] = Counter()
    for path in sorted(folder.rglob("*.py")):
        rooms[path.relative_to(folder).parts[0]] += code_lines(path.read_text(encoding="utf-8"))
    return rooms


def main() -> None:
    """Print one line per subfolder, the largest first, and the sum."""
    rooms = by_room(Path(sys.argv[1]) if len(sys.argv) > 1 else PACKAGE)
    for room, lines in rooms.most_common():
        print(f"{room:<20} {lines:>6,}")
    print(f"{'total':<20} {rooms.total():>6,}")


if __name__ == "__main__":
    main()
