"""Build about 600 odd files and print the result for each: read right, named, or wrong.

    python benchmarks/odd_files.py
    python benchmarks/odd_files.py sounds

Each module of benchmarks/odd has ``cases(folder)``, which writes files with known contents, and ``check(case)``, which
reads one case and returns ``read right``, ``named``, or a description of the error. An exception other than UserError
counts as wrong.
"""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import sys
import tempfile
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

HERE = Path(__file__).resolve().parent
if str(HERE.parent) not in sys.path:
    sys.path.insert(0, str(HERE.parent))
GOOD = ("read right", "named")


def main() -> int:
    """Run the cases of the given modules, or of all modules; the exit status is 1 if a case is wrong."""
    names = sorted(module.name for module in pkgutil.iter_modules([str(HERE / "odd")]))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="*", choices=[[], *names], help="kinds of files (default: all)")
    wrong = 0
    for name in parser.parse_args().kinds or names:
        outcomes = run(importlib.import_module(f"benchmarks.odd.{name}"))
        counts = Counter(outcome if outcome in GOOD else "wrong" for outcome in outcomes.values())
        wrong += counts["wrong"]
        said = ", ".join(f"{counts[outcome]} {outcome}" for outcome in (*GOOD, "wrong"))
        print(f"{name}: {len(outcomes)} files: {said}")
        for case, outcome in outcomes.items():
            if outcome not in GOOD:
                print(f"    {case}: {outcome}")
    return int(wrong > 0)


def run(module: ModuleType) -> dict[str, str]:
    """Return the result of each case of a module, by name."""
    with tempfile.TemporaryDirectory() as folder:
        return {case.name: _outcome(module, case) for case in module.cases(Path(folder))}


def _outcome(module: ModuleType, case: Any) -> str:
    try:
        outcome: str = module.check(case)
    except Exception as error:  # what a user would see as a traceback
        return f"{type(error).__name__}: {error}"
    return outcome


if __name__ == "__main__":
    sys.exit(main())
