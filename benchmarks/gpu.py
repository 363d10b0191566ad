"""First test on a GPU: correctness, synchronization, speed, runs, resuming, plugins and NCCL.

    python benchmarks/gpu.py --minutes 8 --out gpu
    python benchmarks/gpu.py --minutes 3 --out gpu --only timing,resume
    python benchmarks/gpu.py --device cpu --tiny --out tiny

The parts run in order of importance, each in a separate process with a time limit, which is a fraction of the minutes.
If a part fails, its traceback is added to the results and the next part runs. After each part, ``results.json`` (a list
of measurements) and ``results.md`` (a table) are written. A machine without network needs the wheels that
``benchmarks/gpu_wheels.sh DIR`` unpacks: ``--packages DIR``, by default ``gpu_wheels`` in the parent of this file's
folder.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path

HERE = Path(__file__).parent
if str(HERE.parent) not in sys.path:
    sys.path.insert(0, str(HERE.parent))

from benchmarks.gpu_parts.harness import Entry, Part, Recorder, Setting, run_parts  # noqa: E402

WORTH = {
    "environment": ("checks", "environment", 10),
    "correctness": ("checks", "correctness", 75),
    "syncs": ("checks", "syncs", 40),
    "timing": ("speed", "timing", 115),
    "training": ("runs", "training", 80),
    "growing": ("runs", "all_depths", 35),
    "resume": ("runs", "resume", 40),
    "plugins": ("runs", "plugins", 35),
    "samples": ("runs", "samples", 20),
    "nccl": ("runs", "nccl", 15),
    "profile": ("speed", "profile", 30),
}
"""Part -> its module, its function, and the seconds it may take of some eight minutes; in order of worth."""


def part_of(module: str, function: str, fail: bool) -> Callable[[Setting, Recorder], None]:
    """Return a part that imports its modules in its own process, so that a missing module affects only this part."""

    def run(setting: Setting, record: Recorder) -> None:
        found = getattr(import_module(f"benchmarks.gpu_parts.{module}"), function)
        if fail:
            raise RuntimeError("made to fail by --fail")
        found(setting, record)

    return run


def parts(failing: list[str]) -> dict[str, Part]:
    """Return all parts by name; the `failing` parts raise an error."""
    return {
        name: Part(part_of(module, function, name in failing), seconds)
        for name, (module, function, seconds) in WORTH.items()
    }


def _names(text: str) -> list[str]:
    names = [name for name in text.split(",") if name]
    if unknown := [name for name in names if name not in WORTH]:
        raise argparse.ArgumentTypeError(f"there is no part {', '.join(unknown)}; allowed: {', '.join(WORTH)}")
    return names


def _import_once() -> None:
    """Import what most parts need before they are forked; each part reports a missing module by itself."""
    os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")  # to look for a GPU must not start CUDA here
    with suppress(Exception):
        for module in {module for module, _, _ in WORTH.values()}:
            import_module(f"benchmarks.gpu_parts.{module}")


def main(words: list[str] | None = None) -> list[Entry]:
    """Run the parts and return the measurements."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the results")
    parser.add_argument("--minutes", type=float, default=8, help="sum of the parts' time limits (default: 8)")
    parser.add_argument("--only", type=_names, default=[], metavar="A,B", help=f"parts to run: {','.join(WORTH)}")
    parser.add_argument("--device", default="cuda", help="cuda, cuda:1 or cpu (default: cuda)")
    parser.add_argument("--tiny", action="store_true", help="use the smallest sizes; capture graphs without compiling")
    parser.add_argument(
        "--packages",
        type=Path,
        default=HERE.parent / "gpu_wheels",
        help="folder of additional packages (default: %(default)s)",
    )
    parser.add_argument("--fail", type=_names, default=[], metavar="A,B", help="parts that must fail, for a test")
    given = parser.parse_args(words)
    if given.packages.is_dir():
        sys.path.append(str(given.packages.resolve()))
    _import_once()
    entries = run_parts(parts(given.fail), given.device, given.tiny, given.out.resolve(), given.minutes, given.only)
    print(f"{sum('traceback' in entry for entry in entries)} failures; {given.out / 'results.md'}")
    return entries


if __name__ == "__main__":
    main()
