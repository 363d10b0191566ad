"""How fast a training step is: any number of contestants in turns in one process, compared with the arithmetic limit.

    OMP_NUM_THREADS=1 python benchmarks/step.py
    python benchmarks/step.py --resolutions 4,8,16 --seconds 20 --json step.json --markdown step.md --plot step.svg
    python benchmarks/step.py benchmarks/contestants/plain.py mine.py
    python benchmarks/step.py --against mine.py --against ../older_checkout
    python benchmarks/step.py --operations

A contestant is a Python file with ``make(resolution, fmap_base, fmap_max, latent, batch, alpha) -> step``, where
``step(real)`` is one update of D, with gradient penalty and drift, and one update of G, on real images [batch, 3, R, R]
in [-1, 1]. A file with ``keeps_freed_memory = True`` requests an allocator that keeps freed memory; the others run with
the default settings of glibc. Ratios are relative to the first contestant: medians over the turns of the ratio within a
turn, by processor time, which depends least on other load, and by wall-clock time next to it. The limit is the time of
the arithmetic of our step, with resizes folded into kernels, at the speed of the library's convolution in the same run;
a step with fewer products than convolutions need can exceed 100 % of it. Peak memory is the memory that a new process
needs for several steps, beyond its memory before them.

``--against mine.py`` adds another implementation to the default contestants. ``--against FOLDER`` adds the eager step
of another checkout of this project, in a second process whose turns alternate with those of the others.
``--operations`` counts, instead of timing, the operations that a step passes to PyTorch and its calls of Python
functions, by default at 32 px in a fade.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import Tensor

HERE = Path(__file__).parent
if str(HERE.parent) not in sys.path:
    sys.path.insert(0, str(HERE.parent))

from benchmarks.contestant import Checkout, Contestant, load  # noqa: E402
from benchmarks.machine import convolution_rate, copy_rate, load_libraries, machine_facts, resident  # noqa: E402
from benchmarks.operations import counted  # noqa: E402
from pggan_framework.cpu.allocation import keep_freed_memory  # noqa: E402
from pggan_framework.postprocessors.curves import Chart, Curve, svg_file  # noqa: E402
from pggan_framework.training.costing import Ledger  # noqa: E402

OURS = [HERE / "contestants" / f"{name}.py" for name in ("plain", "ours", "ours_compiled")]
SHORTEST_TURN = 0.2
"""Seconds of a turn, at least one step."""


def main() -> None:
    """Time the contestants."""
    given = _parser().parse_args()
    if given.memory_of:
        print(json.dumps(peak_memory(given.memory_of, given.setting)))
        return
    given.contestants = (given.contestants or OURS[: 2 if given.operations else 3]) + given.against
    given.resolutions = given.resolutions or ([32] if given.operations else [4, 8, 16, 32, 64])
    given.alpha = (0.5 if given.operations else 1.0) if given.alpha is None else given.alpha
    torch.set_num_threads(given.threads)
    if given.operations:
        for side in given.resolutions:
            count_operations(side, given)
        return
    machine = {
        **machine_facts(given.threads),
        "setting": ", ".join(f"{name} {getattr(given, name)}" for name in ("fmap_base", "fmap_max", "latent", "alpha")),
    }
    print("; ".join(f"{name} {value}" for name, value in machine.items()))
    rows: list[dict[str, Any]] = []
    for side in given.resolutions:
        rows += compare(side, given)
        # After each resolution, so that a run that is stopped leaves what it has measured.
        if given.json:
            given.json.write_text(json.dumps({**machine, "rows": rows}, indent=1) + "\n", encoding="utf-8")
        if given.markdown:
            given.markdown.write_text(table(machine, rows), encoding="utf-8")
        if given.plot:
            plot(rows, given.plot)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("contestants", nargs="*", type=Path, help="files (default: plain, ours eager, ours compiled)")
    parser.add_argument(
        "--against", type=Path, action="append", default=[], help="additional contestant or checkout; repeatable"
    )
    parser.add_argument("--operations", action="store_true", help="count operations and calls, by default at 32 px")
    parser.add_argument("--resolutions", type=_numbers, help="sides in pixels, such as 4,8,16 (default: 4 to 64)")
    parser.add_argument("--fmap_base", type=int, default=2048)
    parser.add_argument("--fmap_max", type=int, default=128)
    parser.add_argument("--latent", type=int, default=128)
    parser.add_argument("--batch", type=int, help="images per step (default: 16, from 128 px on 8)")
    parser.add_argument("--alpha", type=float, help="weight of the newest block (default: 1)")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument(
        "--seconds",
        type=float,
        default=30,
        help="total time of the turns per resolution in seconds (default: %(default)s)",
    )
    parser.add_argument("--no_memory", action="store_true", help="do not measure peak memory")
    parser.add_argument("--json", type=Path, help="JSON file for the values")
    parser.add_argument("--markdown", type=Path, help="Markdown file for a table")
    parser.add_argument("--plot", type=Path, help="SVG file for a plot of the ratios")
    parser.add_argument("--memory_of", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--setting", type=json.loads, help=argparse.SUPPRESS)
    return parser


def _numbers(text: str) -> list[int]:
    return [int(word) for word in text.split(",")]


def count_operations(side: int, given: argparse.Namespace) -> None:
    """Print the operations and calls of a step of each contestant on the host at `side` pixels."""
    batch = given.batch or 16
    real = torch.rand(batch, 3, side, side) * 2 - 1
    for path in given.contestants:
        step = load(path).make(side, given.fmap_base, given.fmap_max, given.latent, batch, given.alpha)
        for _ in range(2):  # the first fills caches
            step(real)
        print(
            f"\n{path.stem}, {side}x{side}, alpha {given.alpha:g}: {counted(partial(step, real)).table()}", flush=True
        )


def compare(side: int, given: argparse.Namespace) -> list[dict[str, Any]]:
    """Return a row for each contestant at `side` pixels; each row is printed once it is measured."""
    batch = given.batch or (16 if side < 128 else 8)
    setting = (side, given.fmap_base, given.fmap_max, given.latent, batch, given.alpha)
    real = torch.rand(batch, 3, side, side) * 2 - 1
    all_of_them = []
    for path in given.contestants:
        start = time.perf_counter()
        if path.is_dir():
            other = Checkout(path, setting, given.threads)
            one = Contestant(path.resolve().name, lambda real: None, False, elsewhere=other)
            one.turn(real, 1)
        else:
            module = load(path)
            one = Contestant(path.stem, module.make(*setting), getattr(module, "keeps_freed_memory", False))
            keep_freed_memory(one.keeps)
            one.step(real)
        one.first = time.perf_counter() - start
        _once(one, real)
        all_of_them.append(one)
    counts = [max(round(SHORTEST_TURN / _once(one, real)), 1) for one in all_of_them]
    rates: list[float] = []
    copies: list[float] = []
    end = time.perf_counter() + given.seconds
    while time.perf_counter() < end or len(rates) < 3:
        for one, count in zip(all_of_them, counts, strict=True):
            one.turn(real, count)
        keep_freed_memory()
        rates.append(convolution_rate(side, min(given.fmap_base // (side // 2), given.fmap_max)))
        copies.append(copy_rate())
    flops = arithmetic(setting)
    print(f"\n{side}x{side}, batch {batch}: {flops / batch / 1e9:.2f} GFLOP an image;"
          f" a convolution reaches {max(rates) / 1e9:.0f} GFLOP/s, a copy {max(copies) / 1e9:.0f} GB/s;"
          f" {len(rates)} turns")  # fmt: skip
    print(f"{'':16}{'ms/image':>10}{'cpu':>9}{'ratio':>8}{'by clock':>10}{'of limit':>10}{'MiB':>7}{'first':>9}")
    rows = []
    for path, one in zip(given.contestants, all_of_them, strict=True):
        if one.elsewhere is not None:
            one.elsewhere.end()
        elif not given.no_memory:
            one.memory = measured_memory(path, setting, given.threads)
        limit = flops / max(rates)
        rows.append(
            {
                "resolution": side,
                "batch": batch,
                "name": one.name,
                "ms_image": 1000 * median(one.wall) / batch,
                "cpu_ms_image": 1000 * median(one.cpu) / batch,
                "ratio": median(a / b for a, b in zip(all_of_them[0].cpu, one.cpu, strict=True)),
                "ratio_clock": median(a / b for a, b in zip(all_of_them[0].wall, one.wall, strict=True)),
                "of_limit": limit / min(one.cpu),
                "peak_mib": one.memory,
                "first_seconds": one.first,
                "turns": len(one.wall),
                "gflop_image": flops / batch / 1e9,
                "gflops": max(rates) / 1e9,
                "copy_gb_s": max(copies) / 1e9,
            }
        )
        row = rows[-1]
        print(f"{one.name:16}{row['ms_image']:10.3f}{row['cpu_ms_image']:9.3f}{row['ratio']:8.2f}"
              f"{row['ratio_clock']:10.2f}{row['of_limit']:10.0%}{one.memory:7.0f}{one.first:8.1f}s",
              flush=True)  # fmt: skip
    return rows


def _once(one: Contestant, real: Tensor) -> float:
    """Return the seconds of one step, which is not part of a turn."""
    one.turn(real, 1)
    seconds = one.wall[-1]
    one.cpu.clear()
    one.wall.clear()
    return seconds


def arithmetic(setting: tuple[int, int, int, int, int, float]) -> float:
    """Return the FLOPs of products and convolutions in one of our steps, counted from shapes."""
    from benchmarks.contestants.ours import shapes_only

    with Ledger() as ledger:
        shapes_only(*setting)
    return float(ledger.flops)


def measured_memory(path: Path, setting: tuple[float, ...], threads: int) -> float:
    """Return the peak MiB of a contestant, measured in a separate process."""
    command = [sys.executable, __file__, "--memory_of", str(path), "--setting", json.dumps(setting)]
    command += ["--threads", str(threads)]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    return float(json.loads(done.stdout)) if done.returncode == 0 else float("nan")


def peak_memory(path: Path, setting: list[Any]) -> float:
    """Return the peak resident MiB during steps, beyond the memory before them; NaN on systems other than Linux."""
    module = load(path)
    side, batch = setting[0], setting[4]
    real = torch.rand(batch, 3, side, side) * 2 - 1
    load_libraries()
    before = resident("VmRSS")
    keep_freed_memory(getattr(module, "keeps_freed_memory", False))
    step = module.make(*setting)
    step(real)  # which compiles, where something is compiled: no part of a step's memory
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")
    for _ in range(3):
        step(real)
    return resident("VmHWM") - before


def table(machine: dict[str, Any], rows: list[dict[str, Any]]) -> str:
    """Format the values as a Markdown table with a row per resolution, below a line that describes the machine."""
    names = list(dict.fromkeys(row["name"] for row in rows))
    head = ["px", "batch", f"{names[0]}, ms an image", *(f"{name}: ratio (by clock)" for name in names[1:])]
    head += ["convolutions, GFLOP/s", *(f"{name}: of the limit" for name in names)]
    with_memory = any(row["peak_mib"] for row in rows)
    head += [f"{name}: MiB" for name in names] if with_memory else []
    lines = ["; ".join(f"{name} {value}" for name, value in machine.items()), "", _line(head), "|---" * len(head) + "|"]
    for side in dict.fromkeys(row["resolution"] for row in rows):
        own = [row for row in rows if row["resolution"] == side]
        first = own[0]
        cells = [str(side), str(first["batch"]), f"{first['cpu_ms_image']:.3g}"]
        cells += [f"{row['ratio']:.2f} ({row['ratio_clock']:.2f})" for row in own[1:]]
        cells += [f"{first['gflops']:.0f}", *(f"{row['of_limit']:.0%}" for row in own)]
        cells += [f"{row['peak_mib']:.0f}" for row in own] if with_memory else []
        lines.append(_line(cells))
    return "\n".join(lines) + "\n"


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def plot(rows: list[dict[str, Any]], path: Path) -> None:
    """Plot speed-ups and memory over the resolution, with a curve for each contestant."""
    names = list(dict.fromkeys(row["name"] for row in rows))
    charts = []
    for title, key in (("times the first one's speed", "ratio"), ("peak MiB", "peak_mib")):
        curves = []
        for style, name in enumerate(names):
            own = sorted((row for row in rows if row["name"] == name), key=lambda row: float(row["resolution"]))
            sizes = np.log2([row["resolution"] for row in own])
            curves.append(Curve(name, sizes, np.array([row[key] for row in own], np.float64), style))
        charts.append(Chart(title, curves))
    sides = sorted({row["resolution"] for row in rows})
    marks = {float(np.log2(side)): f"{side} px" for side in sides}
    path.write_text(svg_file(charts, marks, "log2 of the resolution"), encoding="utf-8")


if __name__ == "__main__":
    main()
