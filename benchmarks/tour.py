"""The files and functions that one eager training step enters: what to read in order to understand a step.

    python benchmarks/tour.py
    python benchmarks/tour.py --kernels auto --resolution 64

The script counts the functions of the package, but not those of PyTorch. The step belongs to a run with the default
networks and loss at its last depth, in the middle of the fade: an update of D, an update of G, and an update of the EMA
generator.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.contestants.ours import stepper, training_step  # noqa: E402
from pggan_framework.networks.execution import Execution  # noqa: E402

ROOT = Path(__file__).parents[1] / "pggan_framework"


def entered(work: Callable[[], Any]) -> dict[str, dict[str, int]]:
    """Return the package's functions that `work` calls: file -> function -> calls, in the order of the first calls.

    Comprehensions and lambdas count as part of the function that contains them.
    """
    found: dict[str, dict[str, int]] = {}
    known: dict[CodeType, tuple[str, str] | None] = {}

    def place(code: CodeType) -> tuple[str, str] | None:
        path = Path(code.co_filename)
        if not path.is_relative_to(ROOT) or code.co_name.startswith("<"):
            return None
        return str(path.relative_to(ROOT)), getattr(code, "co_qualname", code.co_name)  # Python 3.10 has none

    def note(frame: FrameType, event: str, _: Any) -> None:
        if event != "call":
            return
        code = frame.f_code
        if code not in known:
            known[code] = place(code)
        where = known[code]
        if where is not None:
            functions = found.setdefault(where[0], {})
            functions[where[1]] = functions.get(where[1], 0) + 1

    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
    return found


def tour(resolution: int = 16, kernels: str = "torch", batch: int = 8) -> dict[str, dict[str, int]]:
    """Return the result of `entered` for the third step of a training; the first two steps fill caches."""
    step, ema = training_step(resolution, 256, 16, 16, alpha=0.5)
    for network in (step.G, step.D):
        network.execute(Execution(kernels=kernels))  # type: ignore[arg-type]
    one = stepper(step, ema, batch)
    reals = torch.rand(batch, 3, resolution, resolution) * 2 - 1
    for _ in range(2):
        one(reals)
    return entered(lambda: one(reals))


def table(found: dict[str, dict[str, int]]) -> str:
    """Format a line for each file with its functions, in the order of the first calls."""
    lines = [f"{len(found)} files, {sum(map(len, found.values()))} functions"]
    return "\n".join([*lines, *(f"{file}: {', '.join(names)}" for file, names in found.items())])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--resolution", type=int, default=16, help="side of the images in pixels (default: 16)")
    parser.add_argument(
        "--kernels", choices=("auto", "native", "torch"), default="torch", help="convolution kernels (default: torch)"
    )
    options = parser.parse_args()
    print(table(tour(options.resolution, options.kernels)))


if __name__ == "__main__":
    main()
