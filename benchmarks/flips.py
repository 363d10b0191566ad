"""Flip single bits of a checkpoint and of a prepared file: each flip must be detected, or change nothing that is read.

    python benchmarks/flips.py --count 1000 --seed 0

The checkpoint is from a short run with the networks of the preset tones; the prepared file contains 60 tones. Half of
the flips go into each file, at uniformly drawn bits. If an undetected flip changes what is read, the script prints its
position and exits with status 1.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from pggan_framework import run
from pggan_framework.data.datasets.tones import TonesDataset
from pggan_framework.data.store.prepared import load_prepared, save_prepared
from pggan_framework.errors import UserError
from pggan_framework.training.checkpoint import load_checkpoint

HERE = Path(__file__).resolve().parent
if str(HERE.parent) not in sys.path:
    sys.path.insert(0, str(HERE.parent))

from benchmarks.machine import machine_facts  # noqa: E402  -- it is found only now


def content(value: Any) -> Any:
    """Return a value whose tensors and arrays are shapes, types and bytes, so that values can be compared bitwise."""
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu().contiguous().view(torch.uint8).numpy() if value.dim() else value.item()
    if isinstance(value, np.ndarray):
        return value.shape, str(value.dtype), value.tobytes()
    if isinstance(value, dict):
        return {name: content(each) for name, each in value.items()}
    return [content(each) for each in value] if isinstance(value, list | tuple) else value


def prepared(path: Path) -> Any:
    """Return every image at every depth, the summary without the path, and the labels."""
    data = load_prepared(path)
    images = [data.images(range(len(data)), depth) for depth in range(data.growth.max_depth + 1)]
    return content([images, {**data.summary(), "file": ""}, data.labels])


def flip(
    path: Path, read: Callable[[Path], Any], count: int, random: np.random.Generator
) -> tuple[Counter[str], list[int]]:
    """Return the numbers of detected, harmless and wrong flips, and the positions of the wrong flips in bits."""
    whole, expected = path.read_bytes(), read(path)
    found, wrong = Counter[str](), []
    for place in random.choice(8 * len(whole), count, replace=False).tolist():
        damaged = bytearray(whole)
        damaged[place // 8] ^= 1 << place % 8
        path.write_bytes(damaged)
        try:
            kind = "harmless" if read(path) == expected else "wrong"
        except UserError:
            kind = "noticed"
        found[kind] += 1
        if kind == "wrong":
            wrong.append(place)
    path.write_bytes(whole)
    return found, wrong


def main() -> int:
    """Print one row per kind of file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1000, help="number of flips, half in each file (default: 1000)")
    parser.add_argument("--seed", type=int, default=0, help="random seed of the positions (default: 0)")
    given = parser.parse_args()
    random = np.random.default_rng(given.seed)
    torch.set_num_threads(1)
    print(machine_facts(1))
    print("file         bytes  noticed  harmless  wrong")
    failed = False
    with TemporaryDirectory() as folder:
        flags = {
            "result_dir": folder,
            "TonesDataset.count": 60,
            "total_kimg": 0.05,
            "loggers": [],
            "verbosity": "quiet",
        }
        result = run(config="tones", overrides=flags)
        checkpoint = next(result.path.glob("network-snapshot-*.pt"))
        data = Path(folder, "tones.h5")
        save_prepared(TonesDataset(count=60), data)
        for path, read in ((checkpoint, lambda path: content(load_checkpoint(path))), (data, prepared)):
            found, wrong = flip(path, read, given.count // 2, random)
            row = f"{path.suffix:<6} {path.stat().st_size:>11,}"
            print(row, f"{found['noticed']:>8} {found['harmless']:>9} {found['wrong']:>6}", *wrong, flush=True)
            failed |= bool(wrong)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
